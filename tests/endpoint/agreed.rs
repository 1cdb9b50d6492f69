//! Whether both sides mean the same by a command, asked before it is called.

use serde::{Deserialize, Serialize};
use switchboard::format::{Format, Json, Line};
use switchboard::{
    Client, Code, Command, Connection, Endpoint, Error, Receiver, Result, Sender, Signature,
    Streamed,
};

use super::support::*;

mod ours {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Order {
        pub items: Vec<Item>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Item {
        pub name: String,
        pub price: u32,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Noted {
        pub name: String,
    }
}

mod theirs {
    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Order {
        pub items: Vec<Item>,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Item {
        pub name: String,
        pub price: f64,
    }

    #[derive(Debug, Serialize, Deserialize)]
    pub struct Noted {
        pub note: Option<String>,
        pub name: String,
    }
}

async fn never<Req: Send + 'static, Rep: Send + 'static>(_: Req) -> Result<Rep> {
    Err(Error::new(Code::Failed, "only asked about"))
}

/// Over a connection and in process.
fn clients(endpoint: &Endpoint) -> [Client; 2] {
    [client(endpoint), endpoint.client()]
}

/// The server has `Req -> Rep` in a format of its own, the client `Own -> OwnRep`.
async fn check<Req, Rep, F, Own, OwnRep, G>(
    there: Command<Req, Rep, F>,
    here: Command<Own, OwnRep, G>,
    expected: Result<(), &str>,
) where
    Req: Send + 'static,
    Rep: Send + 'static,
    F: Format<Req> + Format<Rep>,
    G: Format<Own> + Format<OwnRep>,
{
    let endpoint = endpoint().on(there, never::<Req, Rep>);
    for client in clients(&endpoint) {
        let found = client.check(here).await;
        match expected {
            Ok(()) => found.unwrap_or_else(|error| panic!("{here:?}: {error}")),
            Err(text) => {
                let error = found.unwrap_err();
                assert_eq!((error.code(), error.text()), (Code::Conflict, text));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn types_that_happen_to_fit_are_told_apart() {
    type In<Req, Rep, F> = Command<Req, Rep, F>;
    check(ADD2, ADD2, Ok(())).await;
    check(
        In::<u8, u64, Bin>::new("X"),
        In::<u64, u64, Bin>::new("X"),
        Err("X: request: u64 here, u8 there"),
    )
    .await;
    check(
        In::<u64, u8, Json>::new("X"),
        In::<u64, u64, Bin>::new("X"),
        Err("X: the format is bincode here, and json there"),
    )
    .await;
    check(
        In::<u64, u8, Bin>::new("X"),
        In::<u64, u64, Json>::new("X"),
        Err("X: reply: u64 here, u8 there"),
    )
    .await;
    let price = "X: request.items[].price: u32 here, f64 there";
    check(In::<theirs::Order, (), Bin>::new("X"), In::<ours::Order, (), Bin>::new("X"), Err(price))
        .await;
    check(
        In::<theirs::Order, (), Bin>::new("X"),
        In::<ours::Order, (), Json>::new("X"),
        Err(price),
    )
    .await;
    // A format with names forgives a field that may be missing, one without does not.
    check(In::<theirs::Noted, (), Bin>::new("X"), In::<ours::Noted, (), Json>::new("X"), Ok(()))
        .await;
    let differs = "X: request.note: no field here, optional string there";
    check(
        In::<theirs::Noted, (), Bin>::new("X"),
        In::<ours::Noted, (), Bin>::new("X"),
        Err(differs),
    )
    .await;
    // Formats that say nothing of their types pass.
    check(In::<String, String, Line>::new("X"), In::<String, String, Line>::new("X"), Ok(())).await;
}

type Bin = switchboard::format::Bincode;
const ADD2: Command<(u32, u32), u32> = Command::new("ADD2");

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_told() {
    let endpoint = endpoint().on_raw("RAW", async |_: &mut Connection| Ok::<_, Error>(()));
    for client in clients(&endpoint) {
        let error = client.check(Command::<u8, u8>::new("NOPE")).await.unwrap_err();
        let missing = "NOPE: there is no such command there";
        assert_eq!((error.code(), error.text()), (Code::Conflict, missing));
        // It does not hide what else differs.
        let (nope, raw) = (Command::<u8, u8>::new("NOPE"), Command::<u8, u8>::new("RAW"));
        let error = client.check_all([nope.signature(), raw.signature()]).await.unwrap_err();
        assert_eq!(error.text(), format!("{missing}\nRAW: it is a raw command there"));
        let error = client.check(Command::<u8, u8>::new("RAW")).await.unwrap_err();
        assert_eq!(error.text(), "RAW: it is a raw command there");
    }
}

#[tokio::test(start_paused = true)]
async fn all_that_differ_are_told_at_once() {
    let client = client(&endpoint());
    let wrong = [
        Command::<(u32, u64), u32>::new("ADD").signature(),
        CHECK_STOCK.signature(),
        Command::<u32, String, Json>::new("LETTERS").signature(),
    ];
    let error = client.check_all(wrong).await.unwrap_err();
    assert_eq!(
        error.text(),
        "ADD: request[1]: u64 here, u32 there\nLETTERS: request: u32 here, u64 there"
    );
    client.check_all([ADD.signature(), CHECK_STOCK.signature(), ECHO.signature()]).await.unwrap();
}

/// What a peer calls its fields goes into the text of an error, and on to terminals and logs.
#[tokio::test(start_paused = true)]
async fn names_of_a_peer_can_be_printed() {
    const ORDER: Command<ours::Noted, ()> = Command::new("ORDER");
    const LONG: &str = "long_name";

    async fn text(name: &str) -> String {
        let shape = serde_json::json!([["struct", "", "open", name, "1", "may"], ["string"]]);
        let request = serde_json::json!({ "shapes": { "bincode": shape } });
        let told = serde_json::json!({ "formats": ["bincode"], "request": request }).to_string();
        let (client, mut peer) = client_and_peer();
        let answer = async {
            peer.expect("?DESCRIBE 1 7 f=json\n\"ORDER\"").await;
            peer.send(format!("<1 ok {}\n{told}", told.len())).await;
        };
        let (found, ()) = tokio::join!(client.check(ORDER), answer);
        found.unwrap_err().text().to_owned()
    }

    let red = text("\u{1b}[31m\n").await;
    assert!(red.contains("request.\\u{1b}[31m\\n: no field here"), "{red}");
    let long = text(&LONG.repeat(100_000)).await;
    assert!(long.contains(LONG) && long.len() < 5000, "{} bytes", long.len());
}

/// Items are parts of a command as its request and its reply are.
#[tokio::test(start_paused = true)]
async fn items_that_look_different_are_told() {
    type Streams<Up, Down> = Command<Streamed<Up, String>, Streamed<Down>>;
    type Down<T> = Command<String, Streamed<T>>;
    async fn both(_: String, _: Receiver<u32>, _: Sender<u64>) -> Result<(), Error> {
        Ok(())
    }
    async fn down(_: String, _: Sender<u32>) -> Result<(), Error> {
        Ok(())
    }
    let endpoint =
        endpoint().on(Streams::<u32, u64>::new("BOTH"), both).on(Down::<u32>::new("DOWN"), down);
    for client in clients(&endpoint) {
        let check = async |signature: Signature, text: &str| {
            let name = signature.name;
            let error = client.check_all([signature]).await.unwrap_err();
            assert_eq!(error.text(), format!("{name}: {text}"));
        };
        client.check(Streams::<u32, u64>::new("BOTH")).await.unwrap();
        client.check(Down::<u32>::new("DOWN")).await.unwrap();
        let text =
            "item of the request: u8 here, u32 there; item of the reply: i64 here, u64 there";
        check(Streams::<u8, i64>::new("BOTH").signature(), text).await;
        let text = "the request comes as one value here, and in items there; \
                    item of the reply: u32 here, u64 there";
        check(Down::<u32>::new("BOTH").signature(), text).await;
        let text = "the request comes in items here, and as one value there";
        check(Streams::<u8, u32>::new("DOWN").signature(), text).await;
        let text = "the reply comes as one value here, and in items there";
        check(Command::<String, ()>::new("DOWN").signature(), text).await;
    }
}
