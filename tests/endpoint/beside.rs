//! What goes beside a call, a reply and an error: metadata, details, codes of one's own.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use switchboard::format::{Json, Line};
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Metadata, Result, Traceparent};

use super::support::*;

const TENANT: Command<String, String, Line> = Command::new("TENANT");
const RESERVE: Command<u32, (), Json> = Command::new("RESERVE");
const RESERVE_BINCODE: Command<u32, ()> = Command::new("RESERVE");
const PASS_ON: Command<u32, (), Json> = Command::new("PASS_ON");

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Missing {
    wanted: u32,
    in_stock: u32,
}

async fn tenant(key: String, context: Context) -> Result<String> {
    let tenant = context.metadata().get(&key).map(|tenant| tenant.into_owned());
    context.set_reply_metadata(Metadata::default().with("served-by", "never sent")?);
    context.set_reply_metadata(Metadata::default().with("served-by", "node 1")?);
    tenant.ok_or_else(|| Error::new(Code::Unauthenticated, "whose?"))
}

async fn reserve(wanted: u32) -> Result<()> {
    let missing = Missing { wanted, in_stock: 3 };
    let error = Error::new(Code::Conflict, "too few").with_details(missing);
    Err(error.with_retry_after(Duration::from_millis(250)))
}

fn with_commands() -> Endpoint {
    endpoint().on(TENANT, tenant).on(RESERVE_BINCODE, reserve)
}

/// Over a connection, in process, and each behind another channel.
fn clients(endpoint: &Endpoint) -> Vec<Client> {
    let (far, near) = (client(endpoint), endpoint.client());
    let fronts = [Client::over(Through(far.clone())), Client::over(Through(near.clone()))];
    [far, near].into_iter().chain(fronts).collect()
}

#[tokio::test(start_paused = true)]
async fn metadata_goes_both_ways() {
    for client in clients(&with_commands()) {
        let (key, value) = ("tenant-id", "42 and more, 100 %");
        let call = client.call(TENANT, &key.to_owned()).trace(Traceparent::begin());
        let call = call.metadata(key, value);
        let (reply, metadata) = call.with_reply_metadata().await.unwrap();
        assert_eq!(reply, value);
        assert_eq!(metadata.get("served-by").as_deref(), Some("node 1"));

        let error = client.call(TENANT, &key.to_owned()).await.unwrap_err();
        assert_eq!(error.code(), Code::Unauthenticated);
        assert_eq!(error.metadata().get("served-by").as_deref(), Some("node 1"));

        let twice = client.call(TENANT, &key.to_owned()).metadata(key, "1").metadata(key, "2");
        let error = twice.await.unwrap_err();
        assert_eq!((error.code(), error.was_sent()), (Code::Invalid, false));
    }
}

#[tokio::test(start_paused = true)]
async fn what_goes_beside_is_in_the_lines() {
    let endpoint = with_commands();
    let sent = "TENANT 1 9 f=line tenant-id=4%202\ntenant-id";
    check(&endpoint, sent, "<1 ok 3 served-by=node%201\n4 2").await;
    let told = "<1 err 6 unauthenticated ran=1 served-by=node%201\nwhose?";
    check(&endpoint, "TENANT 1 9 f=line\ntenant-id", told).await;
    // A plain call has no place for it.
    check(&endpoint, "TENANT\nx\n", "<0 err 7 unauthenticated ran=1\nwhose?\n").await;
    let told = "<1 err 32 conflict d=25 retry=250 ran=1\ntoo few{\"wanted\":9,\"in_stock\":3}";
    check(&endpoint, "RESERVE 1 1 f=json\n9", told).await;
    let told = "<1 err 9 conflict d=2 retry=250 ran=1\ntoo few\u{9}\u{3}";
    check(&endpoint, "RESERVE 1 1\n\u{9}", told).await;
}

#[tokio::test(start_paused = true)]
async fn details_are_a_value_in_the_format_of_the_call() {
    for client in clients(&with_commands()) {
        let missing = Missing { wanted: 9, in_stock: 3 };
        for error in [
            client.call(RESERVE, &9).await.unwrap_err(),
            client.call(RESERVE_BINCODE, &9).await.unwrap_err(),
        ] {
            assert_eq!((error.code(), error.text()), (Code::Conflict, "too few"));
            assert_eq!(error.retry_after(), Some(Duration::from_millis(250)));
            assert_eq!(error.details::<Missing>().unwrap().unwrap(), missing);
            let other = error.details::<String>().unwrap().unwrap_err();
            assert_eq!(other.code(), Code::BadPayload);
            assert!(!error.is_safe_to_retry(), "it ran");
        }
        let none = client.call(TENANT, &String::new()).await.unwrap_err();
        assert!(none.details::<Missing>().is_none());
    }
}

/// The text is for people and reaches them whatever the details are.
#[tokio::test(start_paused = true)]
async fn details_that_do_not_fit_are_left_out() {
    let says = async |text: String| {
        Err::<String, _>(Error::new(Code::Invalid, "no").with_details("x".repeat(text.len())))
    };
    const SAYS: Command<String, String, Json> = Command::new("SAYS");
    const PLAINLY: Command<String, String, Line> = Command::new("PLAINLY");
    let endpoint = limited(|limits| limits.payload_bytes_max = 10).on(SAYS, says).on(PLAINLY, says);
    check(&endpoint, "SAYS 1 2 f=json\n\"\"", "<1 err 4 invalid d=2 ran=1\nno\"\"").await;
    let told = "<1 err 2 invalid ran=1\nno";
    check(
        &endpoint,
        "SAYS 1 10 f=json\n\"xxxxxxxx\"",
        "<1 err 12 invalid d=10 ran=1\nno\"xxxxxxxx\"",
    )
    .await;
    check(
        &endpoint,
        "PLAINLY 1 10 f=json\n\"\\n\\n\\n\\n\"",
        "<1 err 8 invalid d=6 ran=1\nno\"xxxx\"",
    )
    .await;
    check(&endpoint, "PLAINLY 1 9 f=line\nxxxxxxxxx", told).await;
}

/// A word that this side does not know is for people, and nothing else is done with it.
#[tokio::test(start_paused = true)]
async fn an_unknown_code_is_failed_and_kept() {
    let (client, mut peer) = client_and_peer();
    let call = tokio::spawn(client.call(ADD, &(1, 2)));
    peer.next().await.unwrap();
    peer.send("<1 err 9 out_of-paper retry=1500\nload more").await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.code_word()), (Code::Failed, "out_of-paper"));
    assert_eq!(error.retry_after(), Some(Duration::from_millis(1500)));
    assert_eq!(error.to_string(), "ADD: the peer answered out_of-paper: load more");
    assert_eq!(
        client.call(ADD, &(1, 2)).timeout(MS).await.unwrap_err().code(),
        Code::DeadlineExceeded
    );
}

/// `ran=1` and not the code says whether a call may be made again.
#[tokio::test(start_paused = true)]
async fn a_code_alone_makes_no_call_safe_to_retry() {
    for (told, is_safe) in [
        ("<1 err 0 overloaded\n", true),
        ("<1 err 0 shutting_down\n", true),
        ("<1 err 0 overloaded ran=1\n", false),
        ("<1 err 0 shutting_down ran=1\n", false),
        ("<1 err 0 failed\n", false),
    ] {
        let (client, mut peer) = client_and_peer();
        let call = tokio::spawn(client.call(ADD, &(1, 2)));
        peer.next().await.unwrap();
        peer.send(told).await;
        let error = call.await.unwrap().unwrap_err();
        assert_eq!(error.is_safe_to_retry(), is_safe, "{told}");
        // Nothing is safer because it is passed on.
        assert!(is_safe || !error.pass_on().is_safe_to_retry(), "{told}");
    }
}

/// A handler that asks somebody else may pass on the answer, and nothing of how it was asked.
#[tokio::test(start_paused = true)]
async fn an_error_is_passed_on() {
    let back_end = with_commands();
    let (lost, peer) = client_and_peer();
    drop(peer);
    let asked = client(&back_end);
    let endpoint = endpoint().on(PASS_ON, move |how: u32| {
        let (asked, lost) = (asked.clone(), lost.clone());
        async move {
            match how {
                0 => asked.call(RESERVE, &9).await.map_err(Error::pass_on),
                1 => asked.call(RESERVE_BINCODE, &9).await.map_err(Error::pass_on),
                2 => lost.call(RESERVE, &9).await.map_err(Error::pass_on),
                3 => asked.call(RESERVE, &9).timeout(Duration::ZERO).await.map_err(Error::pass_on),
                _ => asked.call(RESERVE, &9).await,
            }
        }
    });
    let text = "another service, which was asked for this, gave no answer";
    let details = Missing { wanted: 9, in_stock: 3 };
    let client = client(&endpoint);
    for (how, code, text, is_there) in [
        (0, Code::Conflict, "too few", true),
        // In another format they would be read as something else.
        (1, Code::Conflict, "too few", false),
        (2, Code::Failed, text, false),
        (3, Code::DeadlineExceeded, text, false),
        (4, Code::Failed, "the handler failed", false),
    ] {
        let error = client.call(PASS_ON, &how).await.unwrap_err();
        assert_eq!((error.code(), error.text()), (code, text), "{how}");
        assert!(!error.is_safe_to_retry(), "{how}: the handler had begun");
        let found = error.details::<Missing>().map(|found| found.unwrap());
        assert_eq!(found, is_there.then(|| details.clone()), "{how}");
    }
}
