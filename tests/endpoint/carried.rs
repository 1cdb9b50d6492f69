//! Types that a format cannot carry: refused when a handler is registered, and when a client calls.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use switchboard::format::Json;
use switchboard::{Code, Command, Endpoint, Error, Fault, transport};

use super::support::*;

#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
#[allow(dead_code, reason = "a variant that is skipped is never made")]
enum Shifted {
    #[serde(skip)]
    A,
    B(u8),
    C(u8),
}

type Pairs = BTreeMap<(u8, u8), u8>;

const REQUEST: Command<Shifted, u8> = Command::new("REQUEST");
const REPLY: Command<u8, Shifted> = Command::new("REPLY");
const NAMED: Command<Shifted, Shifted, Json> = Command::new("NAMED");
const PAIRS: Command<Pairs, Pairs> = Command::new("PAIRS");
const JSON_PAIRS: Command<u8, Pairs, Json> = Command::new("JSON_PAIRS");

#[tokio::test(start_paused = true)]
async fn a_command_that_cannot_be_carried_is_not_registered() {
    let endpoint = Endpoint::new();
    let request = endpoint.add(REQUEST, async |_: Shifted| Ok::<_, Error>(1)).unwrap_err();
    let reply = endpoint.add(REPLY, async |_: u8| Ok::<_, Error>(Shifted::B(1))).unwrap_err();
    let text = "::Shifted` has no form in bincode: ::B: it is written as variant 1, and read as \
                variant 0: use `Json` for this command, or remove the attribute";
    for error in [request, reply] {
        assert_eq!(error.code(), Code::Failed);
        assert!(error.text().ends_with(text), "{error}");
    }
    let pairs = endpoint.add(JSON_PAIRS, async |_: u8| Ok::<_, Error>(Pairs::new())).unwrap_err();
    assert!(
        pairs.text().ends_with(
            "in json: [key]: the keys of a map are text in JSON: use a \
                                    list of pairs"
        ),
        "{pairs}"
    );
    endpoint.add(NAMED, async |shifted: Shifted| Ok::<_, Error>(shifted)).unwrap();
    check(&endpoint, "NAMED 1 7 f=json\n{\"C\":5}", "<1 ok 7\n{\"C\":5}").await;
}

/// What only JSON cannot carry takes JSON away, and not the command.
#[tokio::test(start_paused = true)]
async fn a_command_that_json_cannot_carry_does_without_it() {
    let endpoint = Endpoint::new().on(PAIRS, async |pairs: Pairs| Ok::<_, Error>(pairs));
    check(&endpoint, "PAIRS 1 4\n\u{1}\u{2}\u{3}\u{4}", "<1 ok 4\n\u{1}\u{2}\u{3}\u{4}").await;
    let mut peer = peer(&endpoint);
    peer.send("PAIRS 1 2 f=json\n{}").await;
    let told = peer.expect_error(1, Code::UnsupportedFormat).await;
    assert!(!told.contains("json"), "{told}");
}

/// A client that has not asked before finds out by its first call, and its peer hears nothing.
#[tokio::test(start_paused = true)]
async fn a_value_that_would_be_another_one_is_not_sent() {
    let (here, there) = transport::memory();
    let server = Endpoint::new().on(PAIRS, async |pairs: Pairs| Ok::<_, Error>(pairs));
    tokio::spawn(async move { server.serve_stream(there).await });
    let client = Endpoint::new().connect_over(here);
    let error = client.call(REQUEST, &Shifted::B(5)).await.unwrap_err();
    assert_eq!((error.code(), error.fault()), (Code::BadPayload, Fault::Caller));
    assert!(!error.was_sent() && !error.is_from_peer(), "{error:?}");
    assert!(error.text().contains("::B: it is written as variant 1"), "{error}");
}
