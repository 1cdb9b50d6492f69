//! What is an address, and what is wrong with one that is none.

use std::net::SocketAddr;

use switchboard::transport::{self, Address, DEFAULT_PORT};
use switchboard::{Client, Code, Connection, Endpoint, Error};

use crate::accept::check_error;

#[test]
fn addresses_are_parsed_and_printed() {
    check_address("127.0.0.1:7000", "127.0.0.1", 7000);
    check_address("localhost:0", "localhost", 0);
    check_address("example.org:65535", "example.org", 65535);
    check_address("example.org", "example.org", DEFAULT_PORT);
    check_address(":7000", "127.0.0.1", 7000);
    check_address("[::1]:7000", "::1", 7000);
    check_address("[::1]", "::1", DEFAULT_PORT);
    check_address("::1", "::1", DEFAULT_PORT);
    check_address("::", "::", DEFAULT_PORT);
    check_address("[::1:8080]", "::1:8080", DEFAULT_PORT);
    check_address("::1:beef", "::1:beef", DEFAULT_PORT);
    check_address("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", DEFAULT_PORT);
    check_address("fe80::1%eth0", "fe80::1%eth0", DEFAULT_PORT);
    check_address("[fe80::1%2]:7000", "fe80::1%2", 7000);
    for path in ["/run/stock.sock", "stock.sock", "a b/ü@:1", "[::1]:2"] {
        let address: Address = format!("unix:{path}").parse().unwrap();
        assert_eq!(address, Address::Unix(path.into()));
        assert_eq!(address.to_string(), format!("unix:{path}"));
    }
}

#[test]
fn an_address_that_is_none_is_told_what_is_wrong_with_it() {
    check_no_address("", "the address is empty");
    check_no_address("unix:", "the address \"unix:\" names no file");
    check_no_address("unix:a\0b", "the path \"a\\0b\" contains a zero byte");
    check_no_address(":", "the port \"\" is not a number from 0 to 65535");
    check_no_address("host:", "the port \"\" is not a number from 0 to 65535");
    check_no_address("host:65536", "the port \"65536\" is not a number from 0 to 65535");
    check_no_address("host:+1", "the port \"+1\" is not a number from 0 to 65535");
    check_no_address("host:http", "the port \"http\" is not a number from 0 to 65535");
    check_no_address("[::1", "the address \"[::1\" lacks a closing bracket");
    check_no_address("[host]:1", "\"host\" in brackets is not an IPv6 address");
    check_no_address("[::1%]:1", "\"::1%\" in brackets is not an IPv6 address");
    check_no_address("[::1]1", "\"1\" after the bracket is not a port");
    check_no_address("[::1]:", "the port \"\" is not a number from 0 to 65535");
    let text = "\"::1:7000\" may end in a port; write [::1]:7000 or [::1:7000]";
    check_no_address("::1:7000", text);
    let brackets = "has too many colons; an IPv6 address is written in brackets,";
    check_no_address("fe80::1:61000", &format!("\"fe80::1:61000\" {brackets} [fe80::1]:61000"));
    check_no_address("a:b:c", &format!("\"a:b:c\" {brackets} [::1]:61000"));
    let text = "\"/run/x\" is not host:port; a Unix socket is written unix:/path";
    check_no_address("/run/x", text);
    let text = "the host \"my host\" contains a space or a control character";
    check_no_address("my host:1", text);
    let text = "an address has no user or password before an @";
    check_no_address("ada:secret@host:1", text);
    check_no_address("http://ada:secret@host", text);
}

fn check_address(text: &str, host: &str, port: u16) {
    let address: Address = text.parse().unwrap();
    assert_eq!(address, Address::Tcp { host: host.to_owned(), port }, "{text}");
    assert_eq!(address.to_string().parse::<Address>().unwrap(), address, "{text}");
}

fn check_no_address(text: &str, expected: &str) {
    check_error(&text.parse::<Address>().unwrap_err(), Code::Invalid, expected);
}

#[cfg(feature = "json")]
#[test]
fn an_address_is_its_text_to_serde() {
    for text in ["127.0.0.1:7000", "example.org:61000", "[fe80::1%2]:7000", "unix:a b/\u{fc}@:1"] {
        let json = serde_json::to_string(text).unwrap();
        let address: Address = serde_json::from_str(&json).unwrap();
        assert_eq!(address, text.parse().unwrap(), "{text}");
        assert_eq!(serde_json::to_string(&address).unwrap(), json);
    }
    let check = |json: &str, expected: &str| {
        let told = serde_json::from_str::<Address>(json).unwrap_err().to_string();
        assert!(told.starts_with(expected), "{told}");
    };
    check("\"host:http\"", "the port \"http\" is not a number from 0 to 65535");
    check("\"ada:secret@host:1\"", "an address has no user or password before an @");
    let expected = "invalid type: integer `7000`, expected an address, such as 127.0.0.1:61000 or \
                    unix:/run/stock.sock";
    check("7000", expected);
}

/// What a program made by hand may have no text, which is found before somebody reads it.
#[cfg(feature = "json")]
#[test]
fn an_address_without_a_text_of_its_own_is_not_written() {
    let check = |address: Address, why: &str| {
        let told = serde_json::to_string(&address).unwrap_err().to_string();
        assert_eq!(told, format!("an address that cannot be written as a text: {why}"));
    };
    let tcp = |host: &str| Address::Tcp { host: host.to_owned(), port: 1 };
    check(tcp(""), "it would be read as 127.0.0.1:1");
    check(tcp("a b"), "the host \"a b\" contains a space or a control character");
    check(tcp("ada:secret@host"), "an address has no user or password before an @");
    check(Address::Unix("".into()), "the address \"unix:\" names no file");
    #[cfg(unix)]
    {
        use std::os::unix::ffi::OsStrExt;
        let path = std::ffi::OsStr::from_bytes(b"/run/\xff");
        check(Address::Unix(path.into()), "the path \"/run/\\xFF\" is not UTF-8");
    }
}

/// An address is taken as it comes, wherever one is taken.
#[tokio::test]
async fn whatever_becomes_an_address_is_listened_at_and_dialled() {
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap();
    let text = address.to_string();
    let socket: SocketAddr = text.parse().unwrap();
    let serving = tokio::spawn(async { Endpoint::new().serve(listener).await });

    check(&text, || text.as_str()).await;
    check(&text, || &text).await;
    check(&text, || text.clone()).await;
    check(&text, || &address).await;
    check(&text, || address.clone()).await;
    check(&text, || socket).await;
    serving.abort();

    /// `text` is what somebody listens at.
    async fn check<A>(text: &str, address: impl Fn() -> A)
    where
        A: TryInto<Address, Error: Into<Error>> + Send,
    {
        let endpoint = Endpoint::new();
        assert!(!sent(Client::connect(address())).await.unwrap().is_closed());
        assert!(!sent(endpoint.connect(address())).await.unwrap().is_closed());
        sent(Connection::connect(address())).await.unwrap();
        #[cfg(feature = "gob")]
        sent(endpoint.connect_net_rpc(address())).await.unwrap();
        let taken = format!("another process is listening at {text}");
        check_error(&sent(endpoint.listen(address())).await.unwrap_err(), Code::Failed, &taken);
        check_error(&sent(transport::bind(address())).await.unwrap_err(), Code::Failed, &taken);
    }
}

#[tokio::test]
async fn port_0_is_for_listening() {
    for address in ["localhost:0", "[::1]:0"] {
        let text = format!("{address} leads nowhere: port 0 is for listening");
        let error = Client::connect(address).await.unwrap_err();
        check_error(&error, Code::Invalid, &text);
        assert!(!error.is_transient());
    }
}

#[tokio::test]
async fn a_text_that_is_no_address_is_told_wherever_one_is_taken() {
    let text = "host:http".to_owned();
    check(|| text.as_str()).await;
    check(|| &text).await;
    check(|| text.clone()).await;

    async fn check<A>(text: impl Fn() -> A)
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        let endpoint = Endpoint::new();
        let told = "the port \"http\" is not a number from 0 to 65535";
        check_error(&Client::connect(text()).await.unwrap_err(), Code::Invalid, told);
        check_error(&endpoint.connect(text()).await.unwrap_err(), Code::Invalid, told);
        check_error(&Connection::connect(text()).await.unwrap_err(), Code::Invalid, told);
        #[cfg(feature = "gob")]
        check_error(&endpoint.connect_net_rpc(text()).await.unwrap_err(), Code::Invalid, told);
        check_error(&endpoint.listen(text()).await.unwrap_err(), Code::Invalid, told);
        check_error(&transport::bind(text()).await.unwrap_err(), Code::Invalid, told);
    }
}

/// A future that may go to another thread.
fn sent<F: Future + Send>(future: F) -> F {
    future
}
