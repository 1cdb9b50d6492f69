//! Streams that go on at a position of their source, through every door there is.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use switchboard::{Code, Command, Context, Encoded, Endpoint, Error, Receiver, Sender, Streamed};

use super::items::clients_of;
use super::support::*;

/// The entries 100 to 109, and 120, of a log that begins at 100.
const FOLLOW: Command<(), Streamed<String>> = Command::new("FOLLOW").resumable();
/// Says nothing of positions.
const PLAIN: Command<(), Streamed<String>> = Command::new("PLAIN");
/// Says that it can go on, and does not.
const DEAF: Command<(), Streamed<String>> = Command::new("DEAF").resumable();
/// Begins one further than it is asked to.
const SKIPS: Command<(), Streamed<String>> = Command::new("SKIPS").resumable();
/// Says that it is there, and no more.
const QUIET: Command<(), Streamed<String>> = Command::new("QUIET").resumable();

async fn follow((): (), out: Sender<String>, context: Context) -> Result<(), Error> {
    let first = context.resume_at().unwrap_or(100);
    if !(100..=121).contains(&first) {
        return Err(Error::no_such_position(100..121));
    }
    out.open_at(first);
    for position in first..110 {
        out.send(&position.to_string()).await?;
    }
    if first <= 120 {
        out.send_at(120, &"120".to_owned()).await?;
    }
    Ok(())
}

async fn deaf((): (), out: Sender<String>) -> Result<(), Error> {
    out.send(&"x".to_owned()).await
}

async fn skips((): (), out: Sender<String>, context: Context) -> Result<(), Error> {
    out.open_at(context.resume_at().unwrap_or_default() + 1);
    out.send(&"x".to_owned()).await
}

async fn quiet((): (), out: Sender<String>, context: Context) -> Result<(), Error> {
    match context.resume_at() {
        Some(position) => out.open_at(position),
        None => out.open(),
    }
    std::future::pending().await
}

fn logging() -> Endpoint {
    endpoint().on(FOLLOW, follow).on(PLAIN, deaf).on(DEAF, deaf).on(SKIPS, skips).on(QUIET, quiet)
}

#[tokio::test(start_paused = true)]
async fn a_caller_goes_on_where_it_was() {
    for client in clients_of(&logging()) {
        for first in [100, 105, 109, 110, 120, 121] {
            let mut lines = client.call(FOLLOW, &()).resume_at(first);
            let mut expected = (first..110).chain([120]).filter(|position| *position >= first);
            while let Some(line) = lines.next().await {
                let (line, position) = (line.unwrap(), expected.next().unwrap());
                assert_eq!((line, lines.position()), (position.to_string(), Some(position)));
                assert_eq!(lines.next_position(), Some(position + 1));
            }
            assert_eq!(expected.next(), None);
            lines.finish().await.unwrap();
        }
        // Positions are told to whoever does not ask to go on as well.
        let mut lines = client.call(FOLLOW, &()).resume_at(None);
        assert_eq!(lines.opened().await.unwrap(), Some(100));
        assert_eq!(lines.next().await.unwrap().unwrap(), "100");
        assert_eq!(lines.position(), Some(100));
        // Where there are none, none are told.
        let mut lines = client.call(PLAIN, &());
        assert_eq!(lines.next().await.unwrap().unwrap(), "x");
        assert_eq!((lines.position(), lines.opened().await.unwrap()), (None, None));
    }
}

#[tokio::test(start_paused = true)]
async fn where_it_cannot_go_on_a_caller_is_told() {
    for client in clients_of(&logging()) {
        let check = async |command: Command<(), Streamed<String>>,
                           position,
                           code,
                           there: Option<Range<u64>>,
                           text: &str| {
            for finishes in [false, true] {
                let mut lines = client.call(command, &()).resume_at(position);
                let error = if finishes {
                    lines.finish().await.unwrap_err()
                } else {
                    let error = lines.next().await.unwrap().unwrap_err();
                    assert!(lines.next().await.is_none());
                    error
                };
                assert_eq!((error.code(), error.positions()), (code, there.clone()), "{error}");
                assert!(error.text().contains(text), "{error}");
            }
        };
        let there = Some(100..121);
        let text = "the positions 100 to 120 are there, and 121 is the next";
        check(FOLLOW, 99, Code::NotFound, there.clone(), text).await;
        check(FOLLOW, 122, Code::NotFound, there, text).await;
        let text = "this command cannot go on from a position";
        check(PLAIN, 7, Code::Invalid, None, text).await;
        let text = "the other side does not say that it goes on at position 7";
        check(DEAF, 7, Code::Invalid, None, text).await;
        check(SKIPS, 7, Code::Invalid, None, text).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_knows_that_its_call_is_taken_before_there_is_an_item() {
    for client in clients_of(&logging()) {
        let mut lines = client.call(QUIET, &());
        assert_eq!(lines.opened().await.unwrap(), None);
        let mut lines = client.call(QUIET, &()).resume_at(7);
        assert_eq!(lines.opened().await.unwrap(), Some(7));
        let mut lines = client.call(FOLLOW, &()).resume_at(7);
        assert_eq!(lines.opened().await.unwrap_err().code(), Code::NotFound);
    }
}

#[tokio::test(start_paused = true)]
async fn items_of_a_request_have_positions_too() {
    const TAKE: Command<Streamed<String>, Streamed<Option<u64>>> = Command::new("TAKE");
    async fn take((): (), mut up: Receiver<String>, out: Sender<Option<u64>>) -> Result<(), Error> {
        while up.next().await?.is_some() {
            out.send(&up.position()).await?;
        }
        Ok(())
    }
    for client in clients_of(&endpoint().on(TAKE, take)) {
        let (up, mut positions) = client.call(TAKE, &()).split().await.unwrap();
        // Of a request this says nothing.
        up.open_at(1000);
        up.send(&"x".to_owned()).await.unwrap();
        up.send_at(7, &"x".to_owned()).await.unwrap();
        up.send(&"x".to_owned()).await.unwrap();
        up.end();
        for position in [None, Some(7), Some(8)] {
            assert_eq!(positions.next().await.unwrap().unwrap(), position);
        }
        assert!(positions.next().await.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_for_many_stands_behind_the_one_before_it() {
    let endpoint = endpoint().on(FOLLOW, async |(), out: Sender<String>| {
        let item = Encoded::new("x".to_owned());
        out.open_at(7);
        out.send_encoded(&item).await?;
        out.send_encoded(&item).await
    });
    for client in clients_of(&endpoint) {
        let mut lines = client.call(FOLLOW, &());
        for position in [7, 8] {
            assert_eq!(lines.next().await.unwrap().unwrap(), "x");
            assert_eq!(lines.position(), Some(position));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_is_taken_once() {
    let endpoint = endpoint().on(PLAIN, async |(), out: Sender<String>| {
        out.open();
        out.open_at(7);
        out.send(&"x".to_owned()).await?;
        out.open();
        Ok::<_, Error>(())
    });
    let mut peer = peer(&endpoint);
    peer.send("PLAIN 1 0 credit=1\n").await;
    peer.expect("<1 open\n").await;
    peer.expect("<1 item 2\n\u{1}x").await;
    peer.expect("<1 ok 0\n").await;
    for client in clients_of(&endpoint) {
        let mut lines = client.call(PLAIN, &());
        assert_eq!(lines.opened().await.unwrap(), None);
        assert_eq!(lines.next().await.unwrap().unwrap(), "x");
        assert_eq!(lines.position(), None);
    }
}

#[tokio::test(start_paused = true)]
async fn positions_are_said_where_they_must_be() {
    let mut peer = peer(&logging());
    peer.send("FOLLOW 1 0 credit=10000 from=108\n").await;
    peer.expect("<1 open n=108\n").await;
    peer.expect("<1 item 4\n\u{3}108").await;
    peer.expect("<1 item 4\n\u{3}109").await;
    peer.expect("<1 item 4 n=120\n\u{3}120").await;
    peer.expect("<1 ok 0\n").await;
    // That of a caller is passed on, and the answer of one that says nothing is none.
    let (client, mut peer) = client_and_peer();
    let mut lines = client.call(FOLLOW, &()).resume_at(5);
    let lines = tokio::spawn(async move { lines.next().await });
    assert_eq!(peer.next().await.unwrap(), "FOLLOW 1 0 credit=65536 from=5\n");
    peer.send("<1 item 2 n=5\n\u{1}x").await;
    let error = lines.await.unwrap().unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Invalid, false));
    // It wants no more of it.
    assert_eq!(peer.next().await.unwrap(), ">1 cancel\n");
}

/// A reader that begins at the end of a log misses nothing that is written after that, if its
/// connection breaks before the first line.
#[tokio::test(start_paused = true)]
async fn a_caller_knows_where_to_go_on_before_there_is_an_item() {
    const END: Command<(), Streamed<String>> = Command::new("END").resumable();
    let endpoint = logging().on(END, async |(), out: Sender<String>| {
        out.open_at(7);
        std::future::pending::<()>().await;
        Ok::<_, Error>(())
    });
    for client in clients_of(&endpoint) {
        let mut lines = client.call(END, &());
        assert_eq!((lines.next_position(), lines.opened().await.unwrap()), (None, Some(7)));
        assert_eq!((lines.position(), lines.next_position()), (None, Some(7)));
        // Also if it has waited for an item only.
        let mut lines = client.call(END, &());
        assert!(tokio::time::timeout(MS, lines.next()).await.is_err());
        assert_eq!(lines.next_position(), Some(7));
        // One that goes on is not led astray by an opening elsewhere.
        let mut lines = client.call(END, &()).resume_at(5);
        assert_eq!(lines.next_position(), Some(5));
        assert_eq!(lines.opened().await.unwrap(), Some(7));
        assert_eq!(lines.next_position(), Some(5));
    }
}

/// What a program says of its own, which looks like positions where there are no field names.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Pair {
    shelf: u64,
    place: u64,
}

#[tokio::test(start_paused = true)]
async fn details_of_a_program_are_no_positions() {
    const GET: Command<u64, u64> = Command::new("GET");
    const STOCK: Command<(), Streamed<u64>> = Command::new("STOCK").resumable();
    fn missing() -> Error {
        Error::new(Code::NotFound, "gone").with_details(Pair { shelf: 3, place: 9 })
    }
    let endpoint = logging()
        .on(GET, async |_: u64| Err::<u64, _>(missing()))
        .on(STOCK, async |(), _: Sender<u64>| Err::<(), _>(missing()));
    for client in clients_of(&endpoint) {
        let pair = Pair { shelf: 3, place: 9 };
        for error in [
            client.call(GET, &7).await.unwrap_err(),
            client.call(STOCK, &()).finish().await.unwrap_err(),
            client.call(STOCK, &()).resume_at(7).finish().await.unwrap_err(),
        ] {
            assert_eq!(error.positions(), None);
            assert_eq!(error.details::<Pair>().unwrap().unwrap(), pair);
        }
        let error = client.call(FOLLOW, &()).resume_at(7).finish().await.unwrap_err();
        assert_eq!(error.positions(), Some(100..121));
        assert!(error.details::<Pair>().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_too_slow_learns_which_positions_are_left() {
    const LATE: Command<(), Streamed<u64>> = Command::new("LATE").resumable();
    let endpoint = endpoint().on(LATE, async |(), out: Sender<u64>| {
        out.open_at(4);
        out.send(&4).await?;
        Err::<(), _>(Error::no_such_position(7..9))
    });
    for client in clients_of(&endpoint) {
        let error = client.call(LATE, &()).finish().await.unwrap_err();
        assert_eq!(error.positions(), Some(7..9));
    }
}
