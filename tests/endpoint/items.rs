//! Streamed commands, through every door there is.

use switchboard::format::Json;
use switchboard::{
    Client, Code, Command, Context, Endpoint, Error, Receiver, Sender, Streamed, Traceparent,
    with_state,
};

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use switchboard::transport;
use switchboard_testing::SECOND;
use switchboard_testing::waiting::settle;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::support::*;

const COUNT: Command<u32, Streamed<u32, String>> = Command::new("COUNT");
const SUM: Command<Streamed<u32, u64>, u64> = Command::new("SUM");
const SHOUT: Command<Streamed<String>, Streamed<String>, Json> = Command::new("SHOUT");

async fn count(end: u32, out: Sender<u32>) -> Result<String, Error> {
    for number in 1..=end {
        out.send(&number).await?;
    }
    if end == 13 {
        return Err(Error::new(Code::Conflict, "no luck"));
    }
    Ok(format!("{end} in all"))
}

async fn sum(start: u64, mut numbers: Receiver<u32>) -> Result<u64, Error> {
    let mut sum = start;
    while let Some(number) = numbers.next().await? {
        sum += u64::from(number);
        if number == 13 {
            return Err(Error::new(Code::Conflict, "no luck"));
        }
    }
    Ok(sum)
}

async fn shout(_: (), mut words: Receiver<String>, out: Sender<String>) -> Result<(), Error> {
    while let Some(word) = words.next().await? {
        out.send(&word.to_uppercase()).await?;
    }
    Ok(())
}

fn streaming() -> Endpoint {
    endpoint().on(COUNT, count).on(SUM, sum).on(SHOUT, shout)
}

/// A client for each way there is.
fn clients() -> [Client; 4] {
    clients_of(&streaming())
}

pub fn clients_of(endpoint: &Endpoint) -> [Client; 4] {
    let over = client(endpoint);
    // Made of another, as a wrapper is.
    let wrapped = Client::over(Through(client(endpoint)));
    let in_process = Client::over(Through(endpoint.client()));
    [over, endpoint.client(), wrapped, in_process]
}

#[tokio::test(start_paused = true)]
async fn a_reply_of_many_items() {
    for client in clients() {
        for end in [0, 1, 10_000] {
            let mut numbers = client.call(COUNT, &end);
            for number in 1..=end {
                assert_eq!(numbers.next().await.unwrap().unwrap(), number);
            }
            assert!(numbers.next().await.is_none());
            assert!(numbers.next().await.is_none());
            assert_eq!(numbers.finish().await.unwrap(), format!("{end} in all"));
        }
        // Those that are not taken are dropped.
        assert_eq!(client.call(COUNT, &10_000).finish().await.unwrap(), "10000 in all");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_a_stream_behind_its_items() {
    for client in clients() {
        let mut numbers = client.call(COUNT, &13);
        for number in 1..=13 {
            assert_eq!(numbers.next().await.unwrap().unwrap(), number);
        }
        let error = numbers.next().await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Conflict, "no luck"));
        assert!(error.to_string().starts_with("COUNT: "), "{error}");
        assert!(numbers.next().await.is_none());
        // Whoever has not looked at it learns it at the end.
        let error = numbers.finish().await.unwrap_err();
        assert_eq!((error.code(), error.text()), (Code::Conflict, "no luck"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_of_many_items() {
    for client in clients() {
        for end in [0, 1, 10_000] {
            let mut numbers = client.call(SUM, &7);
            for number in 14..14 + end {
                numbers.send(&number).await.unwrap();
            }
            let expected = 7 + (14..14 + u64::from(end)).sum::<u64>();
            assert_eq!(numbers.finish().await.unwrap(), expected);
        }
        // One that fails is known by the next that is sent, or at the end.
        let mut numbers = client.call(SUM, &0);
        let mut sent = 0;
        let error = loop {
            match numbers.send(&13).await {
                Ok(()) if sent < 100_000 => sent += 1,
                Ok(()) => panic!("it takes all of them"),
                Err(error) => break error,
            }
        };
        assert_eq!((error.code(), error.text()), (Code::Conflict, "no luck"));
    }
}

#[tokio::test(start_paused = true)]
async fn items_both_ways() {
    for client in clients() {
        let mut words = client.call(SHOUT, &());
        for word in ["one", "two"] {
            words.send(&word.to_owned()).await.unwrap();
            assert_eq!(words.next().await.unwrap().unwrap(), word.to_uppercase());
        }
        words.finish().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn by_hand_a_stream_is_a_reply_for_each_item_and_then_the_end() {
    let check = async |sent: &str, expected: &str| {
        // The caller ends its direction at once, as `nc -N` does.
        assert_eq!(exchange(&streaming(), sent).await, expected, "{sent}");
    };
    check("COUNT json\n3\n", "1\n2\n3\n").await;
    check("COUNT json\n0\n", "").await;
    // Nothing behind it is read.
    check("COUNT json\n1\nECHO\nx\n", "1\n").await;
    let numbers: String = (1..=13).map(|number| format!("{number}\n")).collect();
    check("COUNT json\n13\n", &format!("{numbers}{}", ran(0, Code::Conflict, "no luck"))).await;
    let text = "a request of many items cannot be sent plainly: call it with a tag";
    check("SUM json\n1\n", &err(0, Code::UnsupportedFormat, text)).await;
    check("SHOUT\nnull\n", &err(0, Code::UnsupportedFormat, text)).await;
}

/// Endless, until nobody wants it any more.
const TICK: Command<(), Streamed<u64>> = Command::new("TICK");

/// An endpoint that ticks once a second, and how many tickers run.
fn ticking() -> (Endpoint, Arc<AtomicUsize>) {
    struct Running(Arc<AtomicUsize>);

    impl Drop for Running {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    let running = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&running);
    let endpoint = endpoint().on(TICK, move |(): (), out: Sender<u64>| {
        count.fetch_add(1, Ordering::SeqCst);
        let running = Running(Arc::clone(&count));
        async move {
            let _running = running;
            for tick in 0.. {
                out.send(&tick).await?;
                sleep(SECOND).await;
            }
            Ok::<_, Error>(())
        }
    });
    (endpoint, running)
}

#[tokio::test(start_paused = true)]
async fn whoever_drops_a_stream_stops_its_handler() {
    let (endpoint, running) = ticking();
    for client in [client(&endpoint), endpoint.client()] {
        let mut ticks = client.call(TICK, &());
        assert_eq!(ticks.next().await.unwrap().unwrap(), 0);
        assert_eq!(ticks.next().await.unwrap().unwrap(), 1);
        assert_eq!(running.load(Ordering::SeqCst), 1);
        drop(ticks);
        settle().await;
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }
    // By hand, too.
    let (mut here, there) = transport::memory();
    tokio::spawn(async move { endpoint.serve_stream(there).await });
    here.write_all(b"TICK json\nnull\n").await.unwrap();
    let mut first = [0; 2];
    here.read_exact(&mut first).await.unwrap();
    assert_eq!((&first, running.load(Ordering::SeqCst)), (b"0\n", 1));
    drop(here);
    sleep(5 * SECOND).await;
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_the_time_that_its_caller_says_and_no_other() {
    let (endpoint, running) = ticking();
    for client in [client(&endpoint), endpoint.client()] {
        // Longer than any call, and than a connection may be idle.
        let mut ticks = client.call(TICK, &()).timeout(1000 * SECOND);
        let mut count = 0;
        let error = loop {
            match ticks.next().await.unwrap() {
                Ok(tick) => assert_eq!(tick, count),
                Err(error) => break error,
            }
            count += 1;
        };
        assert_eq!((error.code(), count), (Code::DeadlineExceeded, 1000));
        assert!(ticks.next().await.is_none());
        settle().await;
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_has_the_time_of_its_command() {
    const TICK_5: Command<(), Streamed<u64>> = TICK.timeout(SECOND.saturating_mul(5));
    let (endpoint, running) = ticking();
    for client in clients_of(&endpoint) {
        let mut ticks = client.call(TICK_5, &());
        let mut count = 0;
        let error = loop {
            match ticks.next().await.unwrap() {
                Ok(_) => count += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((error.code(), count), (Code::DeadlineExceeded, 5));
        settle().await;
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }
    // The other side is told.
    let (client, mut peer) = client_and_peer();
    let mut ticks = client.call(TICK_5, &());
    let call = tokio::spawn(async move { ticks.next().await });
    assert_eq!(peer.next().await.unwrap(), "TICK 1 0 t=5000 credit=65536\n");
    call.abort();
}

#[tokio::test(start_paused = true)]
async fn a_reader_who_stops_stops_its_writer_and_nobody_else() {
    let endpoint = streaming();
    let client = client(&endpoint);
    let mut stopped = client.call(COUNT, &1_000_000);
    assert_eq!(stopped.next().await.unwrap().unwrap(), 1);
    for _ in 0..100 {
        assert_eq!(client.call(ECHO, &"x".to_owned()).await.unwrap(), "x");
        let mut numbers = client.call(COUNT, &1000);
        for number in 1..=1000 {
            assert_eq!(numbers.next().await.unwrap().unwrap(), number);
        }
    }
    assert_eq!(stopped.next().await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_ends_its_streams() {
    let (endpoint, running) = ticking();
    let (here, there) = transport::memory();
    let serving = {
        let endpoint = endpoint.clone();
        tokio::spawn(async move { endpoint.serve_stream(there).await })
    };
    let client = Endpoint::new().connect_over(here);
    let mut ticks = client.call(TICK, &());
    assert_eq!(ticks.next().await.unwrap().unwrap(), 0);
    serving.abort();
    let error = ticks.next().await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Disconnected, false));
    assert_eq!(running.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_none_ends_its_call_and_no_other() {
    let mut peer = peer(&streaming());
    peer.send("SUM 1 1 stream=1 f=json\n0>1 item 3\n\"x\">1 item 1\n1>1 end\n").await;
    let text = peer.expect_ran(1, Code::BadPayload).await;
    assert!(text.starts_with("the payload is not valid json: expected a whole number"), "{text}");
    peer.send("ECHO 2 1 f=line\nx").await;
    peer.expect("<2 ok 1\nx").await;

    // Of a callee.
    let (client, mut peer) = client_and_peer();
    let mut numbers = client.call(COUNT, &1);
    let numbers = tokio::spawn(async move { (numbers.next().await, numbers.next().await) });
    assert_eq!(peer.next().await.unwrap(), "COUNT 1 1 credit=65536\n\u{1}");
    peer.send("<1 item 0\n").await;
    peer.send("<1 ok 0\n").await;
    let (first, second) = numbers.await.unwrap();
    assert_eq!(first.unwrap().unwrap_err().code(), Code::BadPayload);
    // The call itself went well, to the callee.
    assert!(second.is_none());
}

/// Streams its caller's own items back to it, by calling it.
const BACK: Command<u32, u64> = Command::new("BACK");

#[tokio::test(start_paused = true)]
async fn a_handler_may_call_back_with_streams() {
    let server = endpoint().on(BACK, async |end: u32, context: Context| {
        let mut numbers = context.client().call(COUNT, &end);
        let mut sums = context.client().call(SUM, &0);
        while let Some(number) = numbers.next().await {
            sums.send(&(number? + 13)).await?;
        }
        sums.finish().await
    });
    let (here, there) = transport::memory();
    tokio::spawn(async move { server.serve_stream(there).await });
    let client = streaming().connect_over(here);
    assert_eq!(client.call(BACK, &10_000).await.unwrap(), 50_135_000);
}

#[cfg(feature = "gob")]
#[tokio::test(start_paused = true)]
async fn net_rpc_carries_no_streams() {
    let endpoint = streaming();
    let (listener, dialer) = transport::memory_listener();
    tokio::spawn(async move { endpoint.serve_net_rpc(listener).await });
    let client = Endpoint::new().connect_net_rpc_over(dialer.dial().await.unwrap());
    const COUNT_GOB: Command<u32, Streamed<u32, String>, switchboard::format::Gob> =
        Command::new("COUNT");
    let error = client.call(COUNT_GOB, &1).next().await.unwrap().unwrap_err();
    assert_eq!(
        (error.code(), error.text()),
        (Code::UnsupportedFormat, "net/rpc carries no streams of items")
    );
    // A Go program is told as well.
    const UNARY: Command<u32, String, switchboard::format::Gob> = Command::new("COUNT");
    let error = client.call(UNARY, &1).await.unwrap_err();
    assert!(error.text().ends_with("this way to call it carries no items"), "{error}");
}

/// Each sends all of its items before it takes one.
#[tokio::test(start_paused = true)]
async fn one_half_may_send_while_the_other_waits() {
    const COUNT_MAX: u32 = 20_000;
    const EAGER: Command<Streamed<u32>, Streamed<u32>> = Command::new("EAGER");
    let endpoint = streaming().on(EAGER, async |(), mut up: Receiver<u32>, out: Sender<u32>| {
        for number in 0..COUNT_MAX {
            out.send(&number).await?;
        }
        while up.next().await?.is_some() {}
        Ok::<_, Error>(())
    });
    for client in [client(&endpoint), endpoint.client()] {
        let (up, mut down) = client.call(EAGER, &()).split().await.unwrap();
        let sending = tokio::spawn(async move {
            for number in 0..COUNT_MAX {
                up.send(&number).await.unwrap();
            }
            up.end();
        });
        for number in 0..COUNT_MAX {
            assert_eq!(down.next().await.unwrap().unwrap(), number);
        }
        sending.await.unwrap();
        down.finish().await.unwrap();
    }
}

/// Whoever learns of the end by sending still has what came before it.
#[tokio::test(start_paused = true)]
async fn an_early_end_leaves_the_items_before_it() {
    const EARLY: Command<Streamed<u32, bool>, Streamed<u32>> = Command::new("EARLY");
    let endpoint = streaming().on(EARLY, async |is_well, _up: Receiver<u32>, out: Sender<u32>| {
        for number in 0..3 {
            out.send(&number).await?;
        }
        if is_well { Ok(()) } else { Err(Error::new(Code::Conflict, "no luck")) }
    });
    let wrapped = Client::over(Through(client(&endpoint)));
    for client in [client(&endpoint), endpoint.client(), wrapped] {
        for (is_well, code) in [(true, Code::Cancelled), (false, Code::Conflict)] {
            let mut call = client.call(EARLY, &is_well);
            let error = loop {
                if let Err(error) = call.send(&1).await {
                    break error;
                }
            };
            assert_eq!(error.code(), code);
            for number in 0..3 {
                assert_eq!(call.next().await.unwrap().unwrap(), number);
            }
            assert!(call.next().await.is_none());
            assert_eq!(call.finish().await.is_ok(), is_well);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_whose_items_are_not_taken_is_told_which_limit_it_was() {
    let endpoint = endpoint().on(SUM, |_: u64, numbers: Receiver<u32>| async move {
        let _numbers = numbers;
        std::future::pending::<Result<u64, Error>>().await
    });
    let client = client(&endpoint);
    let mut numbers = client.call(SUM, &0);
    let error = loop {
        if let Err(error) = numbers.send(&1).await {
            break error;
        }
    };
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.text().contains("stall_time_max (60s)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_streamed_call_says_what_another_may() {
    let endpoint = endpoint().on(COUNT, async |_: u32, _: Sender<u32>, context: Context| {
        let tenant = context.metadata().get("tenant-id").map(String::from);
        Ok::<_, Error>(format!("{:?} {tenant:?}", context.trace()))
    });
    for client in clients_of(&endpoint) {
        let trace = Some(Traceparent::begin());
        let call = client.call(COUNT, &1).trace(trace.clone()).metadata("tenant-id", "7");
        assert_eq!(call.finish().await.unwrap(), format!("{trace:?} Some(\"7\")"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_between_two_items_ends_the_call_behind_the_first() {
    let endpoint = endpoint().on(COUNT, async |end: u32, out: Sender<u32>| {
        out.send(&end).await?;
        assert!(end == 0, "on purpose");
        Ok::<_, Error>(String::new())
    });
    for client in [client(&endpoint), endpoint.client()] {
        let mut numbers = client.call(COUNT, &1);
        assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
        assert_eq!(numbers.next().await.unwrap().unwrap_err().code(), Code::Panicked);
        assert_eq!(client.call(COUNT, &0).finish().await.unwrap(), "");
    }
}

#[tokio::test(start_paused = true)]
async fn every_shape_of_streamed_handler_answers() {
    async fn down(state: Arc<u32>, end: u32, out: Sender<u32>) -> Result<String, Error> {
        out.send(&(end + *state)).await?;
        Ok(String::new())
    }
    async fn down_with_context(
        end: u32,
        out: Sender<u32>,
        context: Context,
    ) -> Result<String, Error> {
        out.send(&end).await?;
        Ok(context.command().to_owned())
    }
    async fn up(state: Arc<u32>, start: u64, mut up: Receiver<u32>) -> Result<u64, Error> {
        let first = up.next().await?.unwrap_or_default();
        Ok(start + u64::from(first + *state))
    }
    async fn up_with_context(
        start: u64,
        mut up: Receiver<u32>,
        context: Context,
    ) -> Result<u64, Error> {
        let first = up.next().await?.unwrap_or_default();
        Ok(start + u64::from(first) + context.command().len() as u64)
    }
    async fn both(
        state: Arc<u32>,
        (): (),
        mut up: Receiver<String>,
        out: Sender<String>,
        context: Context,
    ) -> Result<(), Error> {
        let word = up.next().await?.unwrap_or_default();
        out.send(&format!("{word} {state} {}", context.format())).await
    }
    let state = Arc::new(100);
    let stated = endpoint()
        .on(COUNT, with_state(&state, down))
        .on(SUM, with_state(&state, up))
        .on(SHOUT, with_state(&state, both));
    let client = client(&stated);
    assert_eq!(client.call(COUNT, &1).next().await.unwrap().unwrap(), 101);
    let mut sum = client.call(SUM, &1000);
    sum.send(&10).await.unwrap();
    assert_eq!(sum.finish().await.unwrap(), 1110);
    let mut words = client.call(SHOUT, &());
    words.send(&"x".to_owned()).await.unwrap();
    assert_eq!(words.next().await.unwrap().unwrap(), "x 100 json");

    let with_context = endpoint().on(COUNT, down_with_context).on(SUM, up_with_context);
    let client = super::support::client(&with_context);
    let mut numbers = client.call(COUNT, &1);
    assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
    assert_eq!(numbers.finish().await.unwrap(), "COUNT");
    let mut sum = client.call(SUM, &1000);
    sum.send(&10).await.unwrap();
    assert_eq!(sum.finish().await.unwrap(), 1013);
}

/// Whoever asks again for the end of a call hears all that was known of it.
#[tokio::test(start_paused = true)]
async fn the_error_of_a_call_is_the_same_error_again() {
    const FULL: Command<(), Streamed<u32>> = Command::new("FULL");
    let endpoint = endpoint().on(FULL, async |(), _: Sender<u32>| {
        let error = Error::new(Code::Conflict, "changed").with_retry_after(SECOND);
        Err::<(), _>(error.with_details(7_u32))
    });
    for client in clients_of(&endpoint) {
        let mut numbers = client.call(FULL, &());
        let first = numbers.next().await.unwrap().unwrap_err();
        let again = numbers.finish().await.unwrap_err();
        for error in [first, again] {
            assert!(error.is_from_peer() && error.is_transient() && error.was_sent(), "{error:?}");
            assert!(!error.is_safe_to_retry(), "{error:?}");
            assert_eq!(error.retry_after(), Some(SECOND));
            assert_eq!(error.to_string(), "FULL: the peer answered conflict: changed");
            assert_eq!(error.details::<u32>().unwrap().unwrap(), 7);
        }
    }
    // A call that never left is as safe to make again as before.
    let (client, peer) = client_and_peer();
    drop(peer);
    client.closed().await;
    let mut numbers = client.call(FULL, &());
    let first = numbers.next().await.unwrap().unwrap_err();
    let again = numbers.finish().await.unwrap_err();
    assert!(first.is_safe_to_retry() && again.is_safe_to_retry(), "{again:?}");
    assert_eq!(first.to_string(), again.to_string());
}
