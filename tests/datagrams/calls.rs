//! What is a call, what is answered to it, and how it ends.

use switchboard::{Code, Limits};
use switchboard_testing::random::{Random, rounds};
use switchboard_testing::waiting::settle;
use switchboard_testing::{MS, SECOND};
use tokio::net::UdpSocket;
use tokio::time::Instant;

use crate::caller::{Caller, Server, endpoint, server, unbounded_rates};

#[tokio::test]
async fn a_datagram_is_a_call_and_its_answer_one() {
    let (server, _) = server().await;
    let caller = Caller::new(&server).await;
    let pad = "x".repeat(60);
    let padded = |datagram: &str| datagram.replace("PAD", &format!("pad={pad}"));
    let cases = [
        // By hand.
        ("CHECK_STOCK json\n\"item1\"\n", "<0 ok 4\n100\n"),
        ("CHECK_STOCK json\n\"item1\"", "<0 ok 4\n100\n"),
        ("CHECK_STOCK json\r\n\"item1\"\r\n", "<0 ok 4\n100\n"),
        ("ECHO\nwhat is said\n    ", "<0 ok 13\nwhat is said\n"),
        ("?PING\n          ", "<0 ok 0\n"),
        ("?DESCRIBE\nSTRING\n     ", "<0 ok 11\nSTRING raw\n"),
        // With a tag.
        ("CHECK_STOCK 7 7 f=json\n\"item1\"", "<7 ok 3\n100"),
        ("CHECK_STOCK 7 6\n\x05item1", "<7 ok 1\n\x64"),
        ("ECHO 8 2 f=line\nhi", "<8 ok 2\nhi"),
        ("?PING 9 0\n", "<9 ok 0\n"),
        ("ECHO 8 2 f=line tenant-id=42 t=1000 trace=00\nhi", "<8 ok 2\nhi"),
        // Errors, with their text where there is room.
        ("CHECK_STOCK 7 3 f=json PAD\n\"x\"", "<7 err 21 not_found ran=1\nthere is no such item"),
        ("CHECK_STOCK 7 12 f=json\n\"ten-letters", "<7 err 0 bad_payload\n"),
        ("BREW 7 0 PAD\n", "<7 err 38 unknown_command\nthere is no command BREW; ? lists them"),
        ("ECHO 7 2 f=xml pad=xxxxxxxxxxxxxxx\nhi", "<7 err 0 unsupported_format\n"),
        ("PANIC 7 4 f=json PAD\nnull", "<7 err 20 panicked ran=1\nthe handler panicked"),
        (
            "STRING 7 0 PAD\n",
            "<7 err 40 unsupported_format\nSTRING is a raw command: call it plainly",
        ),
        (
            "COUNT 7 1 stream=1 PAD\n\x05",
            "<7 err 27 unsupported_format\na datagram carries no items",
        ),
        (
            "ECHO 7 2 f=line credit=1 PAD\nhi",
            "<7 err 27 unsupported_format\na datagram carries no items",
        ),
        (
            "ECHO 7 2 f=line from=1 PAD\nhi",
            "<7 err 41 invalid\nthis command cannot go on from a position",
        ),
        (
            "ECHO 7 2 f=line t=0 PAD\nhi",
            "<7 err 45 deadline_exceeded\nthe deadline had passed when the call arrived",
        ),
    ];
    for (datagram, expected) in cases {
        assert_eq!(caller.ask(padded(datagram)).await, expected, "{datagram:?}");
    }
    caller.hears_nothing("no call is answered twice").await;
}

#[tokio::test]
async fn the_document_shows_what_is_answered() {
    let (_, block) = include_str!("../../docs/PROTOCOL.md").split_once("```datagrams\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let (server, _) = server().await;
    let caller = Caller::new(&server).await;
    let mut lines = block.lines().map(|line| line.replace("\\n", "\n"));
    let mut count = 0;
    while let (Some(sent), Some(heard)) = (lines.next(), lines.next()) {
        let (sent, heard) = (sent.strip_prefix("> ").unwrap(), heard.strip_prefix("< ").unwrap());
        assert_eq!(caller.ask(sent).await, heard, "{sent}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[tokio::test]
async fn by_hand_errors_are_notices() {
    let (server, _) = server().await;
    let caller = Caller::new(&server).await;
    let blanks = " ".repeat(100);
    // (datagram, answer to it with many blanks behind it)
    let cases = [
        ("CHECK_STOCK json\n\"x\"\n", "<0 err 22 not_found ran=1\nthere is no such item\n"),
        ("BREW\nhi\n", "<0 err 39 unknown_command\nthere is no command BREW; ? lists them\n"),
        (
            "STRING\nhi\n",
            "<0 err 46 unsupported_format\nSTRING is a raw command: it wants a connection\n",
        ),
        (
            "CHECK_STOCK\n6\n",
            "<0 err 73 unsupported_format\n\
             a plain call by a datagram is a line: name a format such as json, or a tag\n",
        ),
        (
            "COUNT json\n5\n",
            "<0 err 70 unsupported_format\n\
             this command is streamed, and this way to call it carries no items\n",
        ),
    ];
    for (datagram, expected) in cases {
        let answer = caller.ask([datagram, &blanks].concat()).await;
        let (line, text) = expected.split_once('\n').unwrap();
        let told = format!(
            "{}\n{text}",
            line.replace(line.split(' ').nth(2).unwrap(), &text.len().to_string(),)
        );
        assert_eq!(answer, told, "{datagram:?}");
    }
}

#[tokio::test]
async fn what_is_not_one_whole_call_is_not_answered() {
    let (server, seen) = server().await;
    let caller = Caller::new(&server).await;
    let cases = [
        "",
        "\n",
        "ECHO",
        "ECHO hi",
        "ECHO 1 2 f=line\nhi\n",
        "ECHO 1 3 f=line\nhi",
        "ECHO 1 2 f=line\nhiECHO 2 2 f=line\nho",
        "ECHO\nhi\nECHO\nho\n",
        "NOTE 0 3 f=json\n\"x\"",
        "<1 ok 2\nhi",
        "<0 err 0 failed\n",
        "<1 item 2\nhi",
        "<1 open\n",
        ">1 cancel\n",
        ">1 item 2\nhi",
        ">1 credit 7\n",
        "GET / HTTP/1.1\r\n\r\n",
        "{\"jsonrpc\":\"2.0\"}\n",
        "ECHO 1 2 t=x\nhi",
        "ECHO 1 2 f=line f=line\nhi",
        "\u{16}\u{3}\u{1}\0",
    ];
    for datagram in cases {
        caller.say(datagram).await;
        caller.hears_nothing(datagram).await;
    }
    seen.noted.reach(1).await;
    let report = server.report().await;
    // All but the call that wants no answer.
    assert_eq!(report.datagrams_dropped, u64::try_from(cases.len()).unwrap() - 1);
    assert_eq!(report.calls_answered, u64::try_from(cases.len()).unwrap() + 1);
}

#[tokio::test]
async fn two_doors_do_not_talk_to_each_other() {
    let ((one, _), (other, _)) = (server().await, server().await);
    let (to_one, to_other) = (Caller::new(&one).await, Caller::new(&other).await);
    let unknown = format!("BREW\nhi\n{}", " ".repeat(90));
    for call in ["ECHO\nECHO\n        ", "ECHO 1 9 f=line\n?PING 1 0", "?PING\n    ", &unknown] {
        // As if the other one had called.
        let answer = to_one.ask(call).await;
        to_other.say(&answer).await;
        to_other.hears_nothing(&answer).await;
    }
}

#[tokio::test]
async fn random_garbage_is_never_answered() {
    let (endpoint, _) = endpoint();
    let server = Server::new(&endpoint, |_| (), unbounded_rates).await;
    let caller = Caller::new(&server).await;
    let mut random = Random::new(1);
    for round in 0..rounds(2000) {
        let mut bytes: Vec<u8> =
            (0..random.below(64)).map(|_| random.draw().to_le_bytes()[3]).collect();
        // A line of a word is a plain call of a command that nobody knows.
        bytes.retain(|byte| *byte != b'\n');
        caller.say(&bytes).await;
        caller.hears_nothing((round, bytes)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_stopped_and_answered() {
    let (server, seen) = server().await;
    let caller = Caller::new(&server).await;
    // (its options, after how many milliseconds it is stopped)
    let call_time_max = u128::from(Limits::default().call_time_max.as_secs()) * 1000;
    for (count, (options, time)) in [("t=250", 250), ("", call_time_max)].into_iter().enumerate() {
        let begun = Instant::now();
        caller
            .say(
                format!("HOLD 7 4 f=json {options} pad=......................\nnull")
                    .replace("  ", " "),
            )
            .await;
        let mut buffer = [0; 99];
        let len = caller.socket.recv(&mut buffer).await.unwrap();
        let answer = String::from_utf8_lossy(&buffer[..len]).into_owned();
        assert_eq!(answer, "<7 err 0 deadline_exceeded ran=1\n");
        assert_eq!(begun.elapsed().as_millis(), time);
        assert_eq!(seen.stopped.now(), count + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_lets_calls_finish_and_refuses_new_ones() {
    let (server, seen) = server().await;
    let caller = Caller::new(&server).await;
    let hold = format!("HOLD 7 4 f=json pad={}\nnull", "x".repeat(100));
    caller.say(&hold).await;
    seen.begun.reach(1).await;
    let begun = Instant::now();
    let serving = server.stop();
    settle().await;
    assert!(!serving.is_finished());
    caller.say(hold.replace(" 7 ", " 8 ")).await;
    let (mut buffer, mut answers) = ([0; 199], Vec::new());
    for _ in 0..2 {
        let len = caller.socket.recv(&mut buffer).await.unwrap();
        answers.push(String::from_utf8_lossy(&buffer[..len]).into_owned());
    }
    answers.sort();
    let expected = [
        "<7 err 48 shutting_down ran=1\nthe call did not end within drain_time_max (10s)",
        "<8 err 23 shutting_down\nno more calls are taken",
    ];
    assert_eq!(answers, expected);
    assert!(begun.elapsed() >= Limits::default().drain_time_max - SECOND + MS);
    let report = serving.await.unwrap();
    assert_eq!((report.calls_answered, report.calls_cut_off), (0, 1));
    assert_eq!(seen.stopped.now(), 1);
}

#[tokio::test]
async fn dropping_the_future_stops_reading_and_answers_what_runs() {
    let (endpoint, seen) = endpoint();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = tokio::spawn(async move { endpoint.serve_datagrams(socket).await });
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(address).await.unwrap();
    let caller = Caller { socket };
    caller.say("GATE 7 4 f=json pad=xxxxxxxxxx\nnull").await;
    seen.begun.reach(1).await;
    serving.abort();
    assert!(serving.await.unwrap_err().is_cancelled());
    caller.say("ECHO 8 2 f=line\nhi").await;
    seen.open.notify_one();
    assert_eq!(caller.hear_text().await, "<7 ok 6 served-by=node%201\n\"open\"");
    settle().await;
    assert!(caller.socket.try_recv(&mut [0; 99]).is_err());
    // Nobody has the port any more.
    let again = UdpSocket::bind(address).await;
    assert!(again.is_ok(), "{again:?}");
}

#[tokio::test]
async fn calls_by_datagrams_are_counted_as_all_others() {
    let (endpoint, seen) = endpoint();
    let server = Server::new(&endpoint, |_| (), |all| all).await;
    let caller = Caller::new(&server).await;
    caller.ask("ECHO 1 2 f=line\nhi").await;
    caller.ask("ECHO\nhi\n            ").await;
    caller.ask("PANIC 2 4 f=json pad=xxxxxxx\nnull").await;
    caller.say("STRING\nhi\n").await;
    caller.hears_nothing("a raw command").await;
    caller.say("NOTE 0 3 f=json\n\"x\"").await;
    seen.noted.reach(1).await;
    // Refused by name, and with nothing but that.
    caller.say("BREW 1 0\n").await;
    caller.hears_nothing("an unknown command").await;
    let stats = endpoint.stats();
    let of = |name: &str| stats.command(name).unwrap();
    assert_eq!((of("ECHO").begun, of("ECHO").answered), (4, 4));
    assert_eq!((of("NOTE").begun, of("NOTE").one_way), (1, 1));
    assert_eq!(of("PANIC").errors[&Code::Panicked], 1);
    assert_eq!(of("STRING").errors[&Code::UnsupportedFormat], 1);
    assert_eq!(stats.calls_refused[&Code::UnknownCommand], 1);
}
