//! Gobs on a connection: both habits of Go programs, gobs in pieces, halves and bombs.
//!
//! The peers are played with the encoder and the decoder of the gob crate, which are as strict as
//! Go's; `tests/go.rs` does the same with Go.

use serde::{Deserialize, Serialize};
use switchboard::format::Gob;
use switchboard::{Code, Command, Connection, Endpoint, Error, Result};
use switchboard_gob::{Decoder, Encoder, from_slice, to_vec};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::support::*;

/// Gives back what it gets.
const TEXTS: Command<Vec<String>, Vec<String>> = Command::new("TEXTS");
const CHAIN: Command<Chain, Chain> = Command::new("CHAIN");

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Chain {
    n: i64,
    c: Option<Box<Self>>,
}

fn with_gobs(endpoint: Endpoint) -> Endpoint {
    endpoint
        .on(TEXTS, async |texts: Vec<String>| Ok::<_, Error>(texts))
        .on(CHAIN, async |chain: Chain| Ok::<_, Error>(chain))
        .on_raw("GOB", take_gob)
}

async fn take_gob(connection: &mut Connection) -> Result<()> {
    connection.read_value::<Gob, Vec<String>>().await?;
    Ok(())
}

fn texts(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("text {number}")).collect()
}

// --- habits ---

/// A peer that keeps its encoder, and its decoder: the latter takes no definition twice.
#[tokio::test(start_paused = true)]
async fn one_stream_is_answered_by_one_stream() {
    let mut stream = dial(&with_gobs(endpoint()));
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new());
    let mut lengths = Vec::new();
    for count in [3, 3, 0, 3, 1] {
        let mut sent = b"TEXTS gob\n".to_vec();
        encoder.encode(&texts(count), &mut sent).unwrap();
        stream.write_all(&sent).await.unwrap();
        let reply = read_gob(&mut stream, &mut decoder).await;
        assert_eq!(decoder.decode::<Vec<String>>().unwrap(), texts(count));
        lengths.push(reply.len());
    }
    // Until the second value nobody can know; from then on the types are known.
    assert_eq!(lengths, [13 + 26, 26, 5, 26, 12], "bytes of the replies");
}

/// A peer that makes everything anew for each value.
#[tokio::test(start_paused = true)]
async fn new_streams_are_answered_by_new_streams() {
    let mut stream = dial(&with_gobs(endpoint()));
    for count in [3, 3, 0, 3, 1] {
        let sent = [b"TEXTS gob\n".to_vec(), to_vec(&texts(count)).unwrap()].concat();
        stream.write_all(&sent).await.unwrap();
        let reply = read_gob(&mut stream, &mut Decoder::new()).await;
        assert_eq!(reply, to_vec(&texts(count)).unwrap());
    }
}

/// A number needs no definition, so a peer that sends nothing else shows no habit. What it is
/// answered is read by a decoder that lasts, and by one for each value.
#[tokio::test(start_paused = true)]
async fn who_has_shown_no_habit_is_answered_so_that_either_can_read() {
    const COUNT: Command<usize, Vec<String>> = Command::new("COUNT");
    let endpoint = endpoint().on(COUNT, async |count: usize| Ok::<_, Error>(texts(count)));
    let (mut stream, mut lasting) = (dial(&endpoint), Decoder::new());
    for count in 0..5 {
        stream.write_all(b"COUNT gob\n").await.unwrap();
        stream.write_all(&to_vec(&count).unwrap()).await.unwrap();
        let reply = read_gob(&mut stream, &mut lasting).await;
        assert_eq!(lasting.decode::<Vec<String>>().unwrap(), texts(count));
        assert_eq!(from_slice::<Vec<String>>(&reply).unwrap(), texts(count));
    }
}

/// Reads a byte at a time up to the end of a value.
async fn read_gob(stream: &mut (impl AsyncReadExt + Unpin), decoder: &mut Decoder) -> Vec<u8> {
    let mut read = Vec::new();
    loop {
        let byte = within(stream.read_u8()).await.unwrap();
        read.push(byte);
        if decoder.push(&[byte]).unwrap().is_complete {
            return read;
        }
    }
}

/// Neither side has shown a habit, so types are defined under new ids each time: more of them than
/// a connection keeps.
#[tokio::test(start_paused = true)]
async fn our_own_sides_go_on_for_ever() {
    let mut connection = Connection::connect_over(dial(&with_gobs(endpoint())));
    for number in 0..3000 {
        let chain = Chain { n: number, c: None };
        connection.write_line("CHAIN gob").await.unwrap();
        connection.write_value::<Gob, _>(&chain).await.unwrap();
        let reply = connection.read_value::<Gob, Chain>().await.unwrap();
        assert_eq!(reply, Some(chain));
    }
}

#[tokio::test(start_paused = true)]
async fn a_tagged_payload_is_a_stream_of_its_own() {
    let gob = to_vec(&texts(3)).unwrap();
    let mut peer = peer(&with_gobs(endpoint()));
    for tag in 1..4 {
        peer.send(format!("TEXTS {tag} {} f=gob\n", gob.len())).await;
        peer.send(&gob).await;
        let expected = format!("<{tag} ok {}\n{}", gob.len(), show(&gob));
        peer.expect(&expected).await;
    }
    // What another call defined is not known here.
    let value = &gob[13..];
    peer.send(format!("TEXTS 4 {} f=gob\n", value.len())).await;
    peer.send(value).await;
    let text = peer.expect_error(4, Code::BadPayload).await;
    assert!(text.contains("the type id 65, which is not defined"), "{text}");
}

// --- pieces, halves, nonsense ---

#[tokio::test(start_paused = true)]
async fn a_gob_may_come_in_pieces_of_any_size() {
    let gob = to_vec(&texts(3)).unwrap();
    let sent = [b"TEXTS gob\n".as_slice(), &gob, b"GOB\n", &gob, b"STRING\nx\n"].concat();
    let expected = format!("{}Thank you.\n", show(&gob));
    let endpoint = with_gobs(endpoint());
    for size in 1..=sent.len() {
        let mut peer = peer(&endpoint);
        for piece in sent.chunks(size) {
            peer.send(piece).await;
            settle().await;
        }
        peer.finish().await;
        assert_eq!(peer.rest().await, expected, "pieces of {size} bytes");
    }
}

/// Whatever the place at which it ends, nothing of it is run.
#[tokio::test(start_paused = true)]
async fn a_gob_that_is_cut_short_is_told_so() {
    let gob = to_vec(&texts(3)).unwrap();
    let (endpoint, canary) = with_canary(with_gobs(endpoint()));
    for (line, none) in [("GOB\n", ""), ("TEXTS gob\n", NO_PAYLOAD)] {
        for end in 0..gob.len() {
            let sent = [line.as_bytes(), &gob[..end]].concat();
            let expected = match end {
                0 if none.is_empty() => String::new(),
                0 => err(0, Code::BadPayload, none),
                // A raw handler reads it itself.
                _ if none.is_empty() => ran(0, Code::BadPayload, CUT_SHORT),
                _ => err(0, Code::BadPayload, CUT_SHORT),
            };
            assert_eq!(exchange(&endpoint, sent).await, expected, "{line:?}, {end} bytes");
        }
    }
    assert_eq!(canary.now(), 0);
}

const CUT_SHORT: &str = "the stream ended in the middle of a payload";
const NO_PAYLOAD: &str = "the stream ended where a payload should be";

#[tokio::test(start_paused = true)]
async fn half_a_gob_has_its_time_and_a_drip_no_more() {
    let endpoint = with_gobs(limited(|limits| {
        limits.idle_time_max = 5 * SECOND;
        limits.body_time_max = 10 * SECOND;
    }));
    let gob = to_vec(&texts(3)).unwrap();
    for line in ["GOB\n", "TEXTS gob\n"] {
        let (mut none, mut half, mut drip) = (peer(&endpoint), peer(&endpoint), peer(&endpoint));
        none.send(line).await;
        half.send([line.as_bytes(), &gob[..20]].concat()).await;
        drip.send(line).await;
        for byte in &gob[..9] {
            drip.send([*byte]).await;
            sleep(SECOND).await;
        }
        let late = async |peer: &mut Peer<_>| match line {
            // A raw handler reads it itself.
            "GOB\n" => peer.expect_ran(0, Code::DeadlineExceeded).await,
            _ => peer.expect_error(0, Code::DeadlineExceeded).await,
        };
        let text = late(&mut none).await;
        assert_eq!(text, "the payload did not come within idle_time_max (5s)");
        for mut peer in [half, drip] {
            let text = late(&mut peer).await;
            assert_eq!(text, "the payload did not come within body_time_max (10s)");
            peer.expect_end().await;
        }
        check_serves(&endpoint).await;
    }
}

/// What is behind a gob that is none is never run; a tagged call has a length, and loses only
/// itself.
#[tokio::test(start_paused = true)]
async fn nonsense_closes_a_plain_call_and_costs_a_tagged_one() {
    let good = to_vec(&texts(2)).unwrap();
    let mut wrong_field = good.clone();
    wrong_field[3] = 9;
    let unknown_type = b"\x04\xff\x90\0\0".to_vec();
    let cases = [
        (b"\0".to_vec(), "a message without a byte"),
        (b"\x08CANARY\nx".to_vec(), ""),
        (wrong_field, ""),
        (unknown_type, "the type id 72, which is not defined"),
        (b"\xf0\xff".to_vec(), ""),
    ];
    for (gob, text) in cases {
        let (endpoint, canary) = with_canary(with_gobs(endpoint()));
        let case = format!("{gob:02x?}");
        let mut plain = peer(&endpoint);
        plain.send([b"TEXTS gob\n".as_slice(), &gob, b"\nCANARY\nx\n"].concat()).await;
        let told = plain.expect_error(0, Code::BadPayload).await;
        assert!(told.contains("not valid gob") && told.contains(text), "{case}: {told}");
        plain.expect_end().await;

        let mut tagged = peer(&endpoint);
        tagged.send(format!("TEXTS 1 {} f=gob\n", gob.len())).await;
        tagged.send([gob.as_slice(), b"STRING\nx\n"].concat()).await;
        let told = tagged.expect_error(1, Code::BadPayload).await;
        assert!(told.contains("not valid gob") && told.contains(text), "{case}: {told}");
        tagged.expect_bytes("Thank you.\n").await;
        assert_eq!(canary.now(), 0, "{case}");
    }
}

/// Its end is known, so what is behind it is a command.
#[tokio::test(start_paused = true)]
async fn a_gob_of_another_type_is_an_error_of_its_call_alone() {
    for gob in [to_vec(&7_u64).unwrap(), to_vec(&Chain::default()).unwrap()] {
        let endpoint = with_gobs(limited(|limits| limits.consecutive_errors_max = 3));
        let call = [b"TEXTS gob\n".as_slice(), &gob].concat();
        let mut peer = peer(&endpoint);
        for _ in 0..3 {
            peer.send(&call).await;
            let told = peer.expect_error(0, Code::BadPayload).await;
            assert!(told.contains("wanted slice, received"), "{told}");
        }
        // One that goes well begins a new count of mistakes.
        peer.send("STRING\nx\n").await;
        peer.expect_bytes("Thank you.\n").await;
        for _ in 0..4 {
            peer.send(&call).await;
            peer.expect_error(0, Code::BadPayload).await;
        }
        let told = peer.expect_error(0, Code::Protocol).await;
        assert!(told.contains("consecutive_errors_max (3)"), "{told}");
        peer.expect_end().await;
    }
}

/// What has no form in gob is not offered in it, and found out before anybody calls.
#[tokio::test(start_paused = true)]
async fn a_reply_that_has_no_form_is_not_offered() {
    type Pair = (u64, String);
    const PAIR: Command<u64, Pair> = Command::new("PAIR");
    const GOB_PAIR: Command<u64, Pair, Gob> = Command::new("GOB_PAIR");
    const DONE: Command<u64, (), Gob> = Command::new("DONE");
    let pair = async |number: u64| Ok::<_, Error>((number, "pair".to_owned()));
    let endpoint = endpoint().on(PAIR, pair).on(DONE, async |_: u64| Ok::<_, Error>(()));

    let error = endpoint.add(GOB_PAIR, pair).unwrap_err();
    assert_eq!(error.code(), Code::Failed);
    let text = "`(u64, alloc::string::String)` has no form in gob";
    assert!(error.text().starts_with(text), "{error}");

    let seven = to_vec(&7_u64).unwrap();
    let mut peer = peer(&endpoint);
    peer.send(format!("PAIR 1 {} f=gob\n{}", seven.len(), show(&seven))).await;
    let refused = peer.expect_error(1, Code::UnsupportedFormat).await;
    assert!(!refused.contains("gob"), "{refused}");
    // For Go a struct without fields.
    peer.send(format!("DONE 2 {} f=gob\n{}", seven.len(), show(&seven))).await;
    let nothing = to_vec(&()).unwrap();
    peer.expect(&format!("<2 ok {}\n{}", nothing.len(), show(&nothing))).await;
}

// --- bombs ---

/// Three million structs inside each other, which end a Go program: its decoder overflows its
/// stack, and that cannot be caught.
#[tokio::test(start_paused = true)]
async fn what_kills_a_go_program_costs_one_call() {
    let bomb = nest(3_000_000);
    assert_eq!(bomb.len() >> 20, 5);
    let endpoint = with_gobs(limited(|limits| limits.payload_bytes_max = 8 << 20));
    let (first, second) = bomb.split_at(bomb.len() / 2);
    let text = "nesting of 129 levels: over depth_max (128)";

    let mut plain = peer(&endpoint);
    plain.send(b"CHAIN gob\n").await;
    plain.send(first).await;
    check_serves(&endpoint).await;
    plain.send(second).await;
    assert!(plain.expect_error(0, Code::TooLarge).await.contains(text));
    plain.expect_end().await;

    let mut tagged = peer(&endpoint);
    tagged.send(format!("CHAIN 1 {} f=gob\n", bomb.len())).await;
    tagged.send(first).await;
    check_serves(&endpoint).await;
    tagged.send(second).await;
    assert!(tagged.expect_error(1, Code::TooLarge).await.contains(text));
    tagged.send("ECHO 2 1 f=line\nx").await;
    tagged.expect("<2 ok 1\nx").await;
    check_serves(&endpoint).await;
}

#[tokio::test(start_paused = true)]
async fn a_gob_that_announces_too_much_is_refused_before_it_comes() {
    let endpoint = with_gobs(endpoint());
    let mut peer = peer(&endpoint);
    // A message of 2^32 bytes.
    peer.send(b"TEXTS gob\n\xfb\x01\0\0\0\0").await;
    let text = peer.expect_error(0, Code::TooLarge).await;
    assert!(text.ends_with("over payload_bytes_max (1048576)"), "{text}");
    peer.expect_end().await;
    check_serves(&endpoint).await;
}

/// The bytes of half a gob are held twice: as they came, and where they are looked at.
#[tokio::test(start_paused = true)]
async fn half_a_gob_is_held() {
    let endpoint = with_gobs(limited(|limits| limits.held_bytes_max = 160_000));
    let text = "x".repeat(45_000);
    let call = [b"TEXTS gob\n".to_vec(), to_vec(&vec![text.clone()]).unwrap()].concat();
    for _ in 0..20 {
        let mut half = peer(&endpoint);
        half.send(&call[..45_000]).await;
        settle().await;
        let mut other = peer(&endpoint);
        other.send(format!("ECHO 1 45000 f=line\n{text}")).await;
        other.expect_error(1, Code::Overloaded).await;
        half.send(&call[45_000..]).await;
        half.finish().await;
        let reply = half.rest().await;
        assert!(reply.ends_with(&text), "{} bytes", reply.len());
        // All was given back.
        other.send(format!("ECHO 2 45000 f=line\n{text}")).await;
        assert!(other.next().await.unwrap().starts_with("<2 ok 45000\n"));
    }
}

/// `Chain` so many levels deep: each level is a field 2, and its end.
fn nest(levels: usize) -> Vec<u8> {
    let mut bytes = to_vec(&Chain::default()).unwrap();
    // The value of a struct that is all zero: its length, its type and its end.
    let value = bytes.split_off(bytes.len() - 4);
    let body = [&value[1..3], &b"\x02".repeat(levels), &b"\0".repeat(levels + 1)].concat();
    bytes.push(0xfc);
    bytes.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

#[test]
fn nested_bytes_are_a_value() {
    let mut chain = from_slice::<Chain>(&nest(100)).unwrap();
    let mut levels = 0;
    while let Some(next) = chain.c {
        (chain, levels) = (*next, levels + 1);
    }
    assert_eq!(levels, 100);
}
