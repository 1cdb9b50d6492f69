//! The format of a call: a caller says its own, and is never understood in another.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use switchboard::format::{self, Bincode, Format, Json, Line};
use switchboard::service::{Request, Service};
use switchboard::{Client, Code, Command, Context, Endpoint, Error};

use super::support::*;

/// Every way to call the handlers of `endpoint`.
fn clients(endpoint: &Endpoint) -> [(&'static str, Client); 4] {
    [
        ("over a connection", client(endpoint)),
        ("over a channel before a connection", Client::over(Through(client(endpoint)))),
        ("in process", endpoint.client()),
        ("over a door", Client::over(endpoint.door())),
    ]
}

/// A command of the format `F` under `S`'s name is called with a command of the format `C`, by each
/// way: it runs with the value, or it does not run.
async fn check_spoken<S, ST, C, CT>(sent: CT, expected: Option<ST>, text: &str)
where
    S: Format<ST> + 'static,
    ST: Clone + PartialEq + std::fmt::Debug + Send + 'static,
    C: Format<CT> + 'static,
    CT: PartialEq + std::fmt::Debug + Send + 'static,
{
    let ran_with = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&ran_with);
    let endpoint = Endpoint::new().on(Command::<ST, ST, S>::new("SAME"), move |value: ST| {
        kept.lock().unwrap().push(value.clone());
        std::future::ready(Ok::<_, Error>(value))
    });
    let command = Command::<CT, CT, C>::new("SAME");
    for (way, client) in clients(&endpoint) {
        let what = format!("{} as {} {way}", <S as Format<ST>>::NAME, <C as Format<CT>>::NAME);
        // What is refused is not told over a connection.
        let _ = within(client.notify(command, &sent)).await;
        let got = within(client.call(command, &sent)).await;
        let ran_with = std::mem::take(&mut *ran_with.lock().unwrap());
        match &expected {
            Some(value) => {
                assert_eq!(got.as_ref().unwrap(), &sent, "{what}");
                assert_eq!(ran_with, [value.clone(), value.clone()], "{what}");
            }
            None => {
                let error = got.unwrap_err();
                assert_eq!(error.code(), Code::UnsupportedFormat, "{what}: {error}");
                assert_eq!(error.text(), spoken(text), "{what}");
                assert_eq!(ran_with, [], "{what}");
            }
        }
    }
}

/// The text in a build that speaks gob beside JSON.
fn spoken(text: &str) -> String {
    if cfg!(feature = "gob") { text.replace(" json", " json and gob") } else { text.to_owned() }
}

fn text() -> String {
    "three".to_owned()
}

fn bytes() -> Bytes {
    Bytes::from_static(b"\x05three")
}

#[tokio::test(start_paused = true)]
async fn a_command_runs_in_the_format_of_its_caller_or_not_at_all() {
    check_spoken::<Bincode, u32, Bincode, _>(3_u32, Some(3), "").await;
    check_spoken::<Bincode, u32, Json, _>(3_u32, Some(3), "").await;
    check_spoken::<Json, u32, Json, _>(3_u32, Some(3), "").await;
    check_spoken::<Bincode, _, Json, _>(text(), Some(text()), "").await;
    check_spoken::<Line, _, Line, _>(text(), Some(text()), "").await;
    check_spoken::<Line, _, Json, _>(text(), Some(text()), "").await;
    check_spoken::<format::Bytes, _, format::Bytes, _>(bytes(), Some(bytes()), "").await;

    let json = "a call that names no format is bincode; this command speaks json";
    check_spoken::<Json, u32, Bincode, _>(3_u32, None, json).await;
    let line = "a call that names no format is bincode; this command speaks line and json";
    check_spoken::<Line, String, Bincode, _>(text(), None, line).await;
    let raw = "a call that names no format is bincode; this command speaks bytes";
    check_spoken::<format::Bytes, Bytes, Bincode, _>(text(), None, raw).await;
    check_spoken::<format::Bytes, Bytes, Json, _>(text(), None, "this command speaks bytes").await;
    check_spoken::<format::Bytes, Bytes, Line, _>(text(), None, "this command speaks bytes").await;
    let serde = "this command speaks bincode and json";
    check_spoken::<Bincode, String, Line, _>(text(), None, serde).await;
    check_spoken::<Bincode, String, format::Bytes, _>(bytes(), None, serde).await;
    let json = "this command speaks json";
    check_spoken::<Json, String, Line, _>(text(), None, json).await;
    check_spoken::<Json, String, format::Bytes, _>(bytes(), None, json).await;
}

#[cfg(feature = "postcard")]
#[tokio::test(start_paused = true)]
async fn postcard_is_not_taken_for_bincode() {
    use switchboard::format::Postcard;

    check_spoken::<Postcard, u32, Postcard, _>(300_u32, Some(300), "").await;
    check_spoken::<Postcard, u32, Json, _>(300_u32, Some(300), "").await;
    let postcard = "a call that names no format is bincode; this command speaks postcard and json";
    check_spoken::<Postcard, u32, Bincode, _>(300_u32, None, postcard).await;
    let serde = "this command speaks bincode and json";
    check_spoken::<Bincode, u32, Postcard, _>(300_u32, None, serde).await;
    check_spoken::<Json, u32, Postcard, _>(300_u32, None, "this command speaks json").await;
    let serde = "this command speaks postcard and json";
    check_spoken::<Postcard, String, Line, _>(text(), None, serde).await;
}

#[cfg(feature = "gob")]
#[tokio::test(start_paused = true)]
async fn gob_is_not_taken_for_bincode() {
    use switchboard::format::Gob;

    check_spoken::<Gob, u32, Gob, _>(3_u32, Some(3), "").await;
    check_spoken::<Bincode, u32, Gob, _>(3_u32, Some(3), "").await;
    let gob = "a call that names no format is bincode; this command speaks gob and json";
    let client = client(
        &Endpoint::new().on(Command::<u32, u32, Gob>::new("SAME"), async |n| Ok::<_, Error>(n)),
    );
    let error = client.call(Command::<u32, u32>::new("SAME"), &3).await.unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::UnsupportedFormat, gob));
}

/// What a client sends of a call in each format.
async fn check_sent<F: Format<String> + 'static>(expected: &str) {
    let command = Command::<String, String, F>::new("SAME");
    let timed = expected.replacen('\n', " t=1000\n", 1);
    for is_behind in [false, true] {
        let (client, mut peer) = client_and_peer();
        let client = if is_behind { Client::over(Through(client)) } else { client };
        let one_way = expected.replacen("SAME 1 ", "SAME 0 ", 1);
        client.notify(command, &"abc".to_owned()).await.unwrap();
        peer.expect(&one_way).await;
        let call = tokio::spawn(client.call(command, &"abc".to_owned()));
        peer.expect(expected).await;
        peer.send("<1 err 0 failed\n").await;
        call.await.unwrap().unwrap_err();
        let call = tokio::spawn(client.call(command, &"abc".to_owned()).timeout(SECOND));
        peer.expect(&timed.replacen("SAME 1 ", "SAME 2 ", 1)).await;
        call.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_says_every_format_but_bincode() {
    check_sent::<Bincode>("SAME 1 4\n\u{3}abc").await;
    check_sent::<Json>("SAME 1 5 f=json\n\"abc\"").await;
    check_sent::<Line>("SAME 1 3 f=line\nabc").await;
    #[cfg(feature = "postcard")]
    check_sent::<format::Postcard>("SAME 1 4 f=postcard\n\u{3}abc").await;
    #[cfg(feature = "gob")]
    check_sent::<format::Gob>("SAME 1 7 f=gob\n\u{6}\u{c}\u{0}\u{3}abc").await;
}

/// A handler that tells the format of its caller.
fn telling<F: Format<String> + 'static>(endpoint: Endpoint, name: &str) -> Endpoint {
    let command = Command::<String, String, F>::new(name);
    endpoint.on(command, async |_: String, context: Context| {
        Ok::<_, Error>(context.format().to_owned())
    })
}

#[tokio::test(start_paused = true)]
async fn a_handler_sees_the_format_of_its_caller() {
    let endpoint = telling::<Bincode>(Endpoint::new(), "BINCODE");
    let endpoint = telling::<Line>(endpoint, "LINE");
    check(&endpoint, "BINCODE 1 1\n\u{0}", "<1 ok 8\n\u{7}bincode").await;
    check(&endpoint, "BINCODE 1 1 f=bincode\n\u{0}", "<1 ok 8\n\u{7}bincode").await;
    check(&endpoint, "BINCODE 1 2 f=json\n\"\"", "<1 ok 6\n\"json\"").await;
    check(&endpoint, "LINE 1 0 f=line\n", "<1 ok 4\nline").await;
    check(&endpoint, "LINE 1 2 f=json\n\"\"", "<1 ok 6\n\"json\"").await;
    // A plain call that names none is in the command's own.
    check(&endpoint, "BINCODE\n1\n\u{0}", "8\n\u{7}bincode").await;
    check(&endpoint, "LINE\n\n", "line\n").await;
    check(&endpoint, "LINE json\n\"\"\n", "\"json\"\n").await;
    let own = Command::<String, String, Line>::new("LINE");
    let other = Command::<String, String, Json>::new("LINE");
    for (way, client) in clients(&endpoint) {
        assert_eq!(client.call(own, &String::new()).await.unwrap(), "line", "{way}");
        assert_eq!(client.call(other, &String::new()).await.unwrap(), "json", "{way}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_names_no_format_is_bincode() {
    let request = |payload: &'static str| Request::new("ADD", payload).unwrap();
    let (bincode, json) = (request("\u{1}\u{2}"), request("[1,2]").with_format("json").unwrap());
    assert_eq!((bincode.format(), json.format()), ("bincode".to_owned(), "json".to_owned()));
    let endpoint = endpoint();
    for (way, client) in clients(&endpoint) {
        let ask = async |request: &Request| Service::call(&client, request.clone()).await;
        assert_eq!(ask(&bincode).await.unwrap().payload(), b"\x03", "{way}");
        assert_eq!(ask(&json).await.unwrap().payload(), b"3", "{way}");
        let error = ask(&Request::new("ECHO", "x").unwrap()).await.unwrap_err();
        assert_eq!(error.code(), Code::UnsupportedFormat, "{way}: {error}");
    }
}
