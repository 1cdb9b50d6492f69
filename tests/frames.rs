//! One direction of a connection as frames: what they are, that no byte is lost or added, and what
//! a proxy of them and a codec of others' on a lent connection do.
//!
//! `SWITCHBOARD_SCALE` multiplies the number of random rounds; a round that fails prints its seed.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a panic is how a test fails"
)]

use bytes::BytesMut;
use switchboard::wire::{Flaw, Frame, Frames, Line};
use switchboard::{Code, Limits};
use switchboard_testing::random::{Random, rounds};

#[test]
fn a_frame_is_a_line_with_its_body_or_a_piece() {
    // (what comes, each frame: the line as it is printed, or `-` for a piece, and the body)
    check("GREET 1 3\nAda", &[("GREET 1 3", "Ada")]);
    check("GREET 1 0\n", &[("GREET 1 0", "")]);
    check("GREET 1 3\r\nAda>1 cancel\r\n", &[("GREET 1 3", "Ada"), (">1 cancel", "")]);
    check("<1 ok 2\nhi<0 ok 0\n", &[("<1 ok 2", "hi"), ("<0 ok 0", "")]);
    check(
        "<1 open\n<1 item 1\nx<1 credit 9\n",
        &[("<1 open", ""), ("<1 item 1", "x"), ("<1 credit 9", "")],
    );
    // Behind a plain call nothing is read.
    check("GREET json\n\"Ada\"\nGREET 1 0\n", &[("GREET json", ""), ("-", "\"Ada\"\nGREET 1 0\n")]);
    check("  ?  \n", &[("?", "")]);
    // What is no line, too long, or cut short.
    check("100\nGREET 1 0\n", &[("-", "100\nGREET 1 0\n")]);
    check("\u{16}\u{3}", &[("-", "\u{16}\u{3}")]);
    check("GREET 1 0\nGREET", &[("GREET 1 0", ""), ("-", "GREET")]);
    check("GREET 1 3\nAd", &[("GREET 1 3", "Ad")]);
    check("GREET 1 3\n", &[("GREET 1 3", "")]);
    check("GREET 1 0 pad=xxxxxxxxxxxxxxxxx\n", &[("-", "GREET 1 0 pad=xxxxxxxxxxxxxxxxx\n")]);
    // A body over the limit is not kept, and the line behind it is found.
    check("GREET 1 9\n123456789?\n", &[("GREET 1 9", ""), ("-", "123456789"), ("?", "")]);
    check("GREET 1 18446744073709551615\nx", &[("GREET 1 18446744073709551615", ""), ("-", "x")]);
    check("", &[]);
}

const LIMITS: (usize, usize) = (30, 8);

fn frames() -> Frames {
    let mut limits = Limits::default();
    (limits.line_bytes_max, limits.payload_bytes_max) = LIMITS;
    Frames::new(&limits)
}

fn check(came: &str, expected: &[(&str, &str)]) {
    let frames = read(came.as_bytes(), &[]);
    let shown: Vec<_> = frames.iter().map(show).collect();
    let expected: Vec<_> =
        expected.iter().map(|(line, body)| ((*line).to_owned(), (*body).to_owned())).collect();
    assert_eq!(shown, expected, "{came:?}");
    assert_eq!(written(&frames), came.as_bytes(), "{came:?}");
}

/// The frames of what comes, cut at these places; pieces behind each other are one.
fn read(came: &[u8], cuts: &[usize]) -> Vec<Frame> {
    let (mut frames, mut input, mut read) = (frames(), BytesMut::new(), Vec::<Frame>::new());
    let mut take = |frame: Frame| match read.last_mut() {
        Some(last) if last.line().is_none() && frame.line().is_none() => {
            *last = Frame::piece([&last.body()[..], frame.body()].concat());
        }
        _ => read.push(frame),
    };
    let ends = cuts.iter().copied().chain([came.len()]);
    let mut begin = 0;
    for end in ends {
        input.extend_from_slice(&came[begin..end]);
        begin = end;
        while let Some(frame) = frames.decode(&mut input) {
            take(frame);
        }
        // Nothing waits but what may still become a whole line or body.
        assert!(input.len() < LIMITS.0.max(LIMITS.1), "{} bytes wait", input.len());
    }
    while let Some(frame) = frames.decode_end(&mut input) {
        take(frame);
    }
    assert!(input.is_empty());
    read
}

fn show(frame: &Frame) -> (String, String) {
    let line = frame.line().map_or_else(
        || "-".to_owned(),
        |line| {
            let mut text = BytesMut::new();
            line.encode(&mut text);
            String::from_utf8(text.to_vec()).unwrap().trim_end().to_owned()
        },
    );
    (line, String::from_utf8(frame.body().to_vec()).unwrap())
}

fn written(frames: &[Frame]) -> BytesMut {
    let mut written = BytesMut::new();
    for frame in frames {
        let before = written.len();
        frame.encode(&mut written);
        assert_eq!(written.len() - before, frame.bytes());
    }
    written
}

#[test]
fn however_it_is_cut_the_frames_and_their_bytes_are_the_same() {
    const PARTS: [&str; 16] = [
        "GREET 1 3\nAda",
        "GREET 2 8 f=json\n12345678",
        "GREET 3 9\r\n123456789",
        "<1 ok 2\nhi",
        "<1 err 0 failed\n",
        ">1 cancel\r\n",
        "<1 open\n",
        "? 7 0\n",
        "GREET 4 20\n12345678901234567890",
        "?PING 1 0\n",
        "GREET json\n",
        "  ?  \n",
        "\n",
        "\u{16}",
        "GREET 1 99999999999\n",
        "xx",
    ];
    for seed in 0..rounds(3000) {
        let mut random = Random::new(seed);
        // Those at the end are read to the end of the stream, so they are rare.
        let parts = 1 + random.below(8);
        let came: Vec<u8> = (0..parts)
            .flat_map(|_| {
                let most = if random.below(6) == 0 { PARTS.len() } else { 10 };
                PARTS[random.below(most)].bytes()
            })
            .collect();
        let whole = read(&came, &[]);
        assert_eq!(written(&whole), came, "seed {seed}");
        let mut cuts: Vec<_> = (0..random.below(9)).map(|_| random.below(came.len() + 1)).collect();
        cuts.sort_unstable();
        assert_eq!(read(&came, &cuts), whole, "seed {seed}");
        let each: Vec<_> = (0..came.len()).collect();
        assert_eq!(read(&came, &each), whole, "seed {seed}");
    }
}

#[test]
fn why_nothing_is_read_any_more_is_known() {
    let check = |came: &str, expected: (bool, Option<Flaw>)| {
        let mut frames = frames();
        let mut input = BytesMut::from(came);
        while frames.decode(&mut input).is_some() {}
        assert_eq!((frames.is_unread(), frames.flaw()), expected, "{came:?}");
    };
    check("GREET 1 3\nAda", (false, None));
    check("GREET 1 9\n123", (false, None));
    check("GREET\n", (true, None));
    check("\n", (true, Some(Flaw::EmptyLine)));
    check("GET / HTTP/1.1\r\n", (true, Some(Flaw::Http)));
}

#[test]
fn a_frame_that_is_made_is_whole() {
    let line = || Line::parse(b"<1 ok 2").unwrap();
    let frame = Frame::new(line(), "hi").unwrap();
    assert!(frame.is_whole());
    assert_eq!(&written(&[frame])[..], b"<1 ok 2\nhi");
    assert_eq!(Frame::new(line(), "").unwrap_err().code(), Code::Invalid);
    assert_eq!(Frame::new(Line::parse(b"?").unwrap(), "hi").unwrap_err().code(), Code::Invalid);
    assert!(!read(b"GREET 1 9\n123456789", &[])[0].is_whole());
}

#[cfg(all(feature = "codec", feature = "json", feature = "bincode"))]
mod framed {
    use futures_util::{SinkExt, StreamExt};
    use switchboard::format::Json;
    use switchboard::transport::{self, MemoryStream};
    use switchboard::{
        Client, Command, Connection, Endpoint, Error, Limits, Result, Sender, Streamed,
    };
    use switchboard_testing::waiting::within;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
    use tokio_util::codec::{Framed, FramedRead, FramedWrite, LinesCodec};

    use super::{Frame, Frames};

    const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD");
    const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");
    const LETTERS: Command<usize, String, Json> = Command::new("LETTERS");

    fn endpoint() -> Endpoint {
        Endpoint::new()
            .on(ADD, async |(a, b)| Ok::<_, Error>(a + b))
            .on(LETTERS, async |count: usize| Ok::<_, Error>("x".repeat(count)))
            .on(COUNT, async |end: u32, out: Sender<u32>| {
                for number in 1..=end {
                    out.send(&number).await?;
                }
                Ok::<_, Error>(())
            })
    }

    /// The client's end of a connection to an endpoint with a proxy in between, and what the proxy
    /// has seen in each direction.
    fn tapped(limits: &Limits) -> (MemoryStream, tokio::task::JoinHandle<[Vec<Frame>; 2]>) {
        let (client, here) = transport::memory();
        let (there, server) = transport::memory();
        tokio::spawn(async move { endpoint().serve_stream(server).await });
        let limits = limits.clone();
        let proxy = tokio::spawn(async move {
            let ((from_client, to_client), (from_server, to_server)) = (split(here), split(there));
            let asked = hand_on(from_client, to_server, &limits);
            let answered = hand_on(from_server, to_client, &limits);
            let (asked, answered) = tokio::join!(asked, answered);
            [asked, answered]
        });
        (client, proxy)
    }

    async fn hand_on<R, W>(from: R, to: W, limits: &Limits) -> Vec<Frame>
    where
        R: tokio::io::AsyncRead + Unpin,
        W: tokio::io::AsyncWrite + Unpin,
    {
        let mut from = FramedRead::new(from, Frames::new(limits));
        let mut to = FramedWrite::new(to, Frames::new(limits));
        let mut seen = Vec::new();
        while let Some(frame) = from.next().await {
            let frame = frame.unwrap();
            to.send(&frame).await.unwrap();
            seen.push(frame);
        }
        to.get_mut().shutdown().await.unwrap();
        seen
    }

    #[tokio::test]
    async fn a_client_and_an_endpoint_do_not_notice_a_proxy() {
        // Bodies that come whole, and in pieces.
        for payload_bytes_max in [1 << 20, 16] {
            let limits =
                Limits::default().with(|limits| limits.payload_bytes_max = payload_bytes_max);
            let (stream, proxy) = tapped(&limits);
            let client: Client = Endpoint::new().connect_over(stream);
            assert_eq!(client.call(ADD, &(1, 2)).await.unwrap(), 3);
            assert_eq!(client.call(LETTERS, &100_000).await.unwrap().len(), 100_000);
            let (mut items, mut sum) = (client.call(COUNT, &100), 0);
            while let Some(item) = items.next().await {
                sum += item.unwrap();
            }
            assert_eq!(sum, 5050);
            client.close().await;
            let [asked, answered] = within(proxy).await.unwrap();
            // What the client says at its end has more than 16 bytes, too.
            for frames in [asked, answered] {
                let pieces = frames.iter().filter(|frame| frame.line().is_none()).count();
                assert_eq!(pieces > 0, payload_bytes_max == 16);
            }
        }
    }

    #[tokio::test]
    async fn plain_calls_pass_unread() {
        let (mut stream, proxy) = tapped(&Limits::default());
        stream.write_all(b"ADD 1 5 f=json\n[1,2]ADD\n[3,4]\nADD\n[5,6]\n").await.unwrap();
        stream.shutdown().await.unwrap();
        let mut heard = String::new();
        within(stream.read_to_string(&mut heard)).await.unwrap();
        assert_eq!(heard, "<1 ok 1\n37\n11\n");
        let [asked, answered] = within(proxy).await.unwrap();
        assert_eq!(asked.iter().filter(|frame| frame.line().is_some()).count(), 2);
        assert_eq!(answered.iter().filter(|frame| frame.line().is_some()).count(), 1);
    }

    /// Adds up lines of numbers, by a codec of tokio-util on the connection that it is lent.
    async fn sum(connection: &mut Connection) -> Result<()> {
        let mut lines = Framed::new(connection, LinesCodec::new_with_max_length(16));
        let mut sum = 0_u64;
        while let Some(Ok(line)) = lines.next().await {
            match line.parse::<u64>() {
                Ok(number) => sum += number,
                Err(_) => break,
            }
        }
        lines.send(sum.to_string()).await.map_err(Error::internal)
    }

    #[tokio::test]
    async fn a_raw_handler_may_use_a_codec_of_others() {
        // (what comes, what is answered)
        let cases = [
            ("SUM\n1\n2\n39\n.\n", "42\n"),
            ("SUM\n1\r\n2", "3\n"),
            ("SUM\n1\n11111111111111111\n2\n", "1\n"),
            ("ADD 1 5 f=json\n[1,2]SUM\n7\n\n", "<1 ok 1\n37\n"),
        ];
        for (sent, expected) in cases {
            let (mut here, there) = transport::memory();
            let endpoint = endpoint().on_raw("SUM", sum);
            tokio::spawn(async move { endpoint.serve_stream(there).await });
            here.write_all(sent.as_bytes()).await.unwrap();
            here.shutdown().await.unwrap();
            let mut heard = String::new();
            within(here.read_to_string(&mut heard)).await.unwrap();
            assert_eq!(heard, expected, "{sent:?}");
        }
    }
}
