//! Calls that want no reply: none vanishes, and what was handed over can be waited for.

use std::time::Duration;

use switchboard::format::Line;
use switchboard::transport::{self, MemoryStream};
use switchboard::{Client, Code, Command, Context, Endpoint, Error, Report};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufWriter};
use tokio::sync::oneshot;

use super::support::watched::{Step, Watching};
use super::support::*;

/// Wants no reply.
const NOTE: Command<String, String, Line> = Command::new("NOTE");
/// What the handler of `NOTE` asks its caller.
const ASK: Command<String, String, Line> = Command::new("ASK");

/// Serves one client by `endpoint` until `work` is done; answers what happened.
async fn serve<F: Future<Output = ()>>(
    endpoint: Endpoint,
    caller: Endpoint,
    work: impl FnOnce(Client) -> F,
) -> Report {
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    let client = caller.connect_over(dialer.dial().await.unwrap());
    work(client.clone()).await;
    within(client.close()).await;
    drop(stop);
    within(serving).await.unwrap().unwrap()
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_at_once_all_run() {
    let ran = Count::default();
    let endpoint = {
        let ran = ran.clone();
        Endpoint::new().on(NOTE, move |_: String| {
            let ran = ran.clone();
            async move {
                tokio::time::sleep(Duration::from_millis(1)).await;
                ran.add();
                Ok::<_, Error>(String::new())
            }
        })
    };
    let report = serve(endpoint, Endpoint::new(), async |client| {
        for number in 0..10_000 {
            client.notify(NOTE, &number.to_string()).await.unwrap();
        }
        within(client.flush()).await.unwrap();
    })
    .await;
    assert_eq!(ran.now(), 10_000);
    assert_eq!((report.one_way_calls, report.one_way_calls_refused), (10_000, 0));
    assert_eq!((report.calls_answered, report.calls_cut_off), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn handlers_that_ask_back_are_answered_however_many_wait() {
    let ran = Count::default();
    let endpoint = {
        let ran = ran.clone();
        Endpoint::new().on(NOTE, move |text: String, context: Context| {
            let ran = ran.clone();
            async move {
                assert_eq!(context.client().call(ASK, &text).await?, text);
                ran.add();
                Ok::<_, Error>(String::new())
            }
        })
    };
    let caller = Endpoint::new().on(ASK, async |text: String| Ok::<_, Error>(text));
    let begun = tokio::time::Instant::now();
    let report = serve(endpoint, caller, async |client| {
        for number in 0..10_000 {
            client.notify(NOTE, &number.to_string()).await.unwrap();
        }
        within(ran.reach(10_000)).await;
    })
    .await;
    assert_eq!(report.one_way_calls, 10_000);
    // No handler waited for its deadline.
    assert!(begun.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn they_begin_in_the_order_in_which_they_came() {
    let (sender, mut begun) = tokio::sync::mpsc::channel(1000);
    let endpoint = limited(|limits| limits.calls_per_connection_max = 3);
    let endpoint = endpoint.on(NOTE, move |text: String| {
        sender.try_send(text.clone()).unwrap();
        async move {
            // Longer for some than for others, so that they end in another order.
            let number: u64 = text.parse().unwrap();
            tokio::time::sleep(Duration::from_millis(number * 7 % 10)).await;
            Ok::<_, Error>(String::new())
        }
    });
    let client = client(&endpoint);
    for number in 0..500 {
        client.notify(NOTE, &number.to_string()).await.unwrap();
    }
    for number in 0..500 {
        assert_eq!(within(begun.recv()).await.unwrap(), number.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_endpoint_counts_what_it_refuses() {
    let held = Held::new();
    let full = held.on(limited(|limits| limits.calls_max = 1));
    let report = serve(full, Endpoint::new(), async |client| {
        for _ in 0..5 {
            client.notify(HOLD, &"a".to_owned()).await.unwrap();
        }
        // Neither are these lost unseen.
        client.notify(NOTE, &"unknown".to_owned()).await.unwrap();
        held.begun.reach(1).await;
        within(client.flush()).await.unwrap();
        settle().await;
        held.release(1);
    })
    .await;
    assert_eq!((report.one_way_calls, report.one_way_calls_refused), (1, 5));
}

/// `Report::one_way_calls_refused` says so: nobody knows how many there would have been.
#[tokio::test(start_paused = true)]
async fn those_that_were_not_read_when_their_connection_ended_are_in_no_count() {
    let (listener, dialer) = transport::memory_listener();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving =
        tokio::spawn(async move { endpoint().serve_until(listener, stopped).await.unwrap() });
    let mut peer = Peer::new(dialer.dial().await.unwrap());
    let unread = "NOPE 0 0\nECHO 0 1 f=line\na".repeat(3);
    // The first is refused, and the connection ends behind it, at an empty line.
    peer.send(format!("NOPE 0 0\n\n{unread}")).await;
    peer.expect_error(0, Code::Protocol).await;
    peer.finish().await;
    peer.expect_end().await;
    drop(stop);
    let report = within(serving).await.unwrap();
    assert_eq!((report.one_way_calls, report.one_way_calls_refused), (0, 1));
    assert_eq!((report.calls_answered, report.calls_cut_off), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn one_cannot_be_cancelled() {
    let held = Held::new();
    let mut peer = peer(&held.on(endpoint()));
    peer.send("HOLD 0 1 f=line\na").await;
    held.begun.reach(1).await;
    peer.send(">0 cancel\nECHO 1 1 f=line\nb").await;
    peer.expect("<1 ok 1\nb").await;
    settle().await;
    assert_eq!(held.ended.now(), 0);
    held.release(1);
    held.ended.reach(1).await;
}

/// Whatever the reason, nobody is told and it is not lost unseen.
#[tokio::test(start_paused = true)]
async fn each_that_cannot_run_is_dropped_and_counted() {
    let large = format!("ECHO 0 1048577 f=line\n{}", "x".repeat(1_048_577));
    for sent in [
        "NOPE 0 1\na",
        "?NOPE 0 1\na",
        "ADD 0 1\na",
        "ADD 0 2 f=xml\nab",
        "ECHO 0 1\na",
        "STRING 0 1\na",
        "ECHO 0 1 f=line t=0\na",
        "ECHO 0 1 f=line stream=1\na",
        &large,
    ] {
        let (listener, dialer) = transport::memory_listener();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move { endpoint().serve_until(listener, stopped).await });
        let stream = dialer.dial().await.unwrap();
        let told = exchange_over(stream, format!("{sent}ECHO 1 1 f=line\nx")).await;
        let case = &sent[..sent.len().min(40)];
        assert_eq!(told, "<1 ok 1\nx", "{case:?}");
        drop(stop);
        let report = within(serving).await.unwrap().unwrap();
        let counts = (report.calls_answered, report.one_way_calls, report.one_way_calls_refused);
        assert_eq!(counts, (1, 0, 1), "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_are_charged() {
    let held = Held::new();
    let small = held.on(limited(|limits| {
        limits.calls_per_connection_max = 1;
        limits.held_bytes_max = 64 * 1024;
    }));
    let report = serve(small, Endpoint::new(), async |client| {
        for _ in 0..10 {
            client.notify(HOLD, &"x".repeat(20_000)).await.unwrap();
            within(client.flush()).await.unwrap();
            settle().await;
        }
        held.release(10);
    })
    .await;
    let Report { one_way_calls: ran, one_way_calls_refused: refused, .. } = report;
    assert_eq!(ran + refused, 10);
    assert!((2..=4).contains(&ran), "{ran} were held in 64 KiB");
}

#[tokio::test(start_paused = true)]
async fn flush_waits_until_all_that_was_handed_over_is_written() {
    let (client, mut peer) = client_and_peer();
    within(client.flush()).await.unwrap();
    let large = "x".repeat(500_000);
    client.notify(NOTE, &large).await.unwrap();
    let mut flush = tokio::spawn({
        let client = client.clone();
        async move { client.flush().await }
    });
    settle().await;
    assert!(!flush.is_finished(), "the peer has not read it");
    peer.expect(&format!("NOTE 0 500000 f=line\n{large}")).await;
    within(&mut flush).await.unwrap().unwrap();
    // What comes later is not waited for.
    client.notify(NOTE, &"a".to_owned()).await.unwrap();
    within(client.flush()).await.unwrap();
    peer.expect("NOTE 0 1 f=line\na").await;
}

#[tokio::test(start_paused = true)]
async fn flush_waits_for_the_streams_own_buffer() {
    let (here, mut there) = transport::memory();
    let client = Endpoint::new().connect_over(BufWriter::with_capacity(1 << 20, here));
    client.notify(NOTE, &"a".to_owned()).await.unwrap();
    within(client.flush()).await.unwrap();
    let mut read = [0; 17];
    let count = there.read_exact(&mut read).await.unwrap();
    assert_eq!(&read[..count], b"NOTE 0 1 f=line\na");
}

#[tokio::test(start_paused = true)]
async fn flush_ends_with_the_connection() {
    type Break = fn(MemoryStream) -> Option<MemoryStream>;
    let cases: [(Break, &str); 2] = [
        (Some, "nothing was read for write_time_max (10s)"),
        (
            |peer| {
                drop(peer);
                None
            },
            "broken pipe",
        ),
    ];
    for (break_it, text) in cases {
        let (client, peer) = client_and_peer();
        client.notify(NOTE, &"x".repeat(500_000)).await.unwrap();
        settle().await;
        let _peer = break_it(peer.stream);
        let error = within(client.flush()).await.unwrap_err();
        assert_eq!(error.code(), Code::Disconnected);
        assert!(error.text().contains(text), "{error}");
        assert!(!error.is_safe_to_retry(), "some of it may have run");
        assert_eq!(within(client.flush()).await.unwrap_err().text(), error.text());
    }
}

#[tokio::test(start_paused = true)]
async fn flush_waits_while_the_stream_takes_nothing() {
    let (here, there) = transport::memory();
    let (gate, opened) = std::sync::mpsc::channel::<()>();
    let mut is_open = false;
    let (stream, _) = Watching::stepping(here, move || {
        is_open |= opened.try_recv().is_ok();
        if is_open { Step::Take(3) } else { Step::Wait }
    });
    let client = Endpoint::new().connect_over(stream);
    let mut peer = Peer::new(there);
    client.notify(NOTE, &"abc".to_owned()).await.unwrap();
    let flush = tokio::spawn({
        let client = client.clone();
        async move { client.flush().await }
    });
    settle().await;
    assert!(!flush.is_finished());
    gate.send(()).unwrap();
    within(flush).await.unwrap().unwrap();
    peer.expect("NOTE 0 3 f=line\nabc").await;
}

#[test]
fn a_program_that_flushes_may_leave_main() {
    // A real socket: what was handed to the system outlives the runtime.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = Client::connect(&address).await.unwrap();
        for _ in 0..1000 {
            client.notify(NOTE, &"abcdefghij".to_owned()).await.unwrap();
        }
        client.flush().await.unwrap();
    });
    drop(runtime);
    let (mut stream, _) = listener.accept().unwrap();
    let mut read = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut read).unwrap();
    let notes = read.windows(5).filter(|window| window == b"NOTE ").count();
    assert_eq!(notes, 1000);
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_that_has_the_stream_holds_a_flush_up() {
    let held = Held::new();
    let back = std::sync::Arc::new(std::sync::Mutex::new(None));
    let slot = back.clone();
    let endpoint = held.on(Endpoint::new()).on(ECHO, move |text: String, context: Context| {
        *slot.lock().unwrap() = Some(context.client());
        async move { Ok::<_, Error>(text) }
    });
    let mut peer = peer(&endpoint);
    peer.send("ECHO 1 1 f=line\naHOLD\nb\n").await;
    peer.expect("<1 ok 1\na").await;
    held.begun.reach(1).await;
    let client: Client = back.lock().unwrap().take().unwrap();
    client.notify(NOTE, &"c".to_owned()).await.unwrap();
    let flush = tokio::spawn(async move { client.flush().await });
    settle().await;
    assert!(!flush.is_finished());
    held.release(1);
    peer.expect_bytes("b\nNOTE 0 1 f=line\nc").await;
    within(flush).await.unwrap().unwrap();
    peer.stream.shutdown().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_flushed_also_when_the_connection_has_ended_since() {
    let (client, mut peer) = client_and_peer();
    client.notify(NOTE, &"a".to_owned()).await.unwrap();
    peer.expect("NOTE 0 1 f=line\na").await;
    peer.send("<0 err 4 shutting_down\ngone<0 ok 0\n").await;
    peer.finish().await;
    within(client.closed()).await;
    within(client.flush()).await.unwrap();
    let error = within(client.call(ECHO, &"b".to_owned())).await.unwrap_err();
    assert_eq!((error.code(), error.was_sent()), (Code::ShuttingDown, false));
    within(client.flush()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flush_of_what_was_lost_is_not_well() {
    let (client, peer) = client_and_peer();
    client.notify(NOTE, &"x".repeat(65_536 - 20)).await.unwrap();
    // Which fills the stream, and all of it is written.
    within(client.flush()).await.unwrap();
    client.notify(NOTE, &"x".repeat(1000)).await.unwrap();
    settle().await;
    drop(peer);
    within(client.closed()).await;
    let error = within(client.flush()).await.unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_cannot_be_flushed_is_a_peer_that_does_not_read() {
    let (here, _there) = tokio::io::duplex(16);
    let client = Endpoint::new().connect_over(BufWriter::new(here));
    client.notify(NOTE, &"x".repeat(500)).await.unwrap();
    let error = within(client.flush()).await.unwrap_err();
    assert!(error.text().contains("nothing was read for write_time_max (10s)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_was_called_plainly_cannot_call_back() {
    let endpoint = Endpoint::new().on(NOTE, async |text: String, context: Context| {
        let asked = context.client().call(ASK, &text).await.unwrap_err();
        let noted = context.client().notify(ASK, &text).await.unwrap_err();
        assert_eq!((asked.code(), noted.code()), (Code::UnsupportedFormat, noted.code()));
        Err::<String, _>(Error::new(Code::Denied, asked.text().to_owned()))
    });
    let text = "a handler that was called plainly cannot call back";
    check(&endpoint, "NOTE\na\n", &ran(0, Code::Denied, text)).await;
}

#[tokio::test]
async fn a_blocking_handler_for_which_there_is_no_thread_has_not_run() {
    let (sender, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let ran = Count::default();
    let counted = ran.clone();
    let endpoint = limited(|limits| limits.blocking_calls_max = 1).on(
        NOTE,
        switchboard::blocking(move |text: String| {
            counted.add();
            _ = gate.lock().unwrap().recv();
            Ok::<_, Error>(text)
        }),
    );
    let report = serve(endpoint, Endpoint::new(), async |client| {
        for _ in 0..10 {
            client.notify(NOTE, &"a".to_owned()).await.unwrap();
        }
        ran.reach(1).await;
        within(client.flush()).await.unwrap();
        settle().await;
        drop(sender);
    })
    .await;
    assert_eq!(report.one_way_calls + report.one_way_calls_refused, 10);
    assert_eq!(report.one_way_calls, ran.now() as u64);
}
