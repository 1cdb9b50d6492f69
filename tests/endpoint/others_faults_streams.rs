//! Faults that others had with streams and their flow control, and that are not to be ours. The
//! comment above each test names the thread in which it was reported.

use futures_util::stream;
use switchboard::format::Json;
use switchboard::{Code, Command, Endpoint, Error, Limits, Receiver, Sender, Streamed, streaming};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use std::sync::Arc;

use super::items::clients_of;
use super::support::*;

/// Adds up what comes.
const SUM: Command<Streamed<u32>, u64, Json> = Command::new("SUM");
/// Sends lines of so many letters without end.
const FLOOD: Command<usize, Streamed<String>, Json> = Command::new("FLOOD");
/// One item, and a value behind it.
const LAST: Command<(), Streamed<u8, String>, Json> = Command::new("LAST");
/// Takes nothing, for ever.
const IDLE: Command<Streamed<String>, (), Json> = Command::new("IDLE");
/// All that came, in order, when all has come.
const GATHER: Command<Streamed<u32>, Streamed<u32>, Json> = Command::new("GATHER");

fn streaming_endpoint(limits: Limits) -> Endpoint {
    endpoint()
        .with_limits(limits)
        .on(SUM, async |(): (), mut numbers: Receiver<u32>| {
            let mut sum = 0;
            while let Some(number) = numbers.next().await? {
                sum += u64::from(number);
            }
            Ok::<_, Error>(sum)
        })
        .on(FLOOD, async |count: usize, out: Sender<String>| -> Result<(), Error> {
            loop {
                out.send(&"x".repeat(count)).await?;
            }
        })
        .on(LAST, async |(): (), out: Sender<u8>| {
            out.send(&1).await?;
            out.send(&2).await?;
            Ok::<_, Error>("last".to_owned())
        })
        .on(IDLE, async |(): (), words: Receiver<String>| {
            let _words = words;
            std::future::pending::<Result<(), Error>>().await
        })
        .on(GATHER, async |(): (), mut up: Receiver<u32>, out: Sender<u32>| {
            let mut numbers = Vec::new();
            while let Some(number) = up.next().await? {
                numbers.push(number);
            }
            for number in numbers {
                out.send(&number).await?;
            }
            Ok::<_, Error>(())
        })
}

fn unlimited() -> Endpoint {
    streaming_endpoint(Limits::default())
}

fn with_places(places: usize) -> Endpoint {
    let change = |limits: &mut Limits| limits.streams_per_connection_max = places;
    streaming_endpoint(Limits::default().with(change))
}

// h2#312: a window update for a stream that had been closed from one side ended the connection.
#[tokio::test(start_paused = true)]
async fn credit_behind_the_end_of_a_request_harms_nobody() {
    let (client, mut peer) = client_and_peer();
    let mut numbers = client.call(SUM, &());
    numbers.send(&7).await.unwrap();
    numbers.end().await.unwrap();
    peer.expect("SUM 1 4 f=json stream=1\nnull").await;
    peer.expect(">1 item 1\n7").await;
    peer.expect(">1 end\n").await;
    peer.send("<1 credit 100\n<1 credit 49152\n<1 ok 1\n7").await;
    assert_eq!(numbers.finish().await.unwrap(), 7);
    let call = tokio::spawn(client.call(ADD, &(1, 2)).into_future());
    peer.expect("ADD 2 2\n\u{1}\u{2}").await;
    peer.send("<2 ok 1\n\u{3}").await;
    assert_eq!(call.await.unwrap().unwrap(), 3);
}

// h2#183: what had come of a stream that was reset counted against the connection for ever.
#[tokio::test(start_paused = true)]
async fn items_that_nobody_took_are_given_back_with_their_call() {
    let change = |limits: &mut Limits| limits.held_bytes_max = 256 << 10;
    let endpoint = streaming_endpoint(Limits::default().with(change));
    let mut peer = peer(&endpoint);
    // Another is open all the while.
    peer.send("SUM 2 4 stream=1 f=json\nnull").await;
    let item = format!(">1 item 1002\n\"{}\"", "x".repeat(1000));
    for _ in 0..100 {
        peer.send("IDLE 1 4 stream=1 f=json\nnull").await;
        // As much as may come without credit.
        peer.send(item.repeat(15)).await;
        settle().await;
        peer.send(">1 cancel\n").await;
        peer.expect_ran(1, Code::Cancelled).await;
    }
    peer.send(">2 item 1\n7>2 end\n").await;
    peer.expect("<2 ok 1\n7").await;
}

// grpc-go#632: after some hundreds of calls that were given up early the next got no items.
#[tokio::test(start_paused = true)]
async fn whoever_leaves_after_two_items_may_come_again_without_end() {
    let endpoint = streaming_endpoint(Limits::default().with(|limits| {
        limits.streams_per_connection_max = 4;
        limits.held_bytes_max = 1 << 20;
    }));
    // What each leaves behind is a tenth of that.
    for client in [client(&endpoint), endpoint.client()] {
        for _ in 0..40 {
            let mut items = client.call(FLOOD, &20_000);
            for _ in 0..2 {
                assert_eq!(within(items.next()).await.unwrap().unwrap().len(), 20_000);
            }
        }
    }
}

// grpc-go#8517: the deadline did not end a call whose reply waited for the window.
#[tokio::test(start_paused = true)]
async fn a_deadline_ends_a_call_whose_last_value_waits_for_credit() {
    let mut peer = peer(&unlimited());
    peer.send("LAST 1 4 credit=1 t=1000 f=json\nnull").await;
    peer.expect("<1 item 1\n1").await;
    settle().await;
    let text = peer.expect_ran(1, Code::DeadlineExceeded).await;
    // And not stall_time_max, which is longer.
    assert_eq!(text, "the handler did not answer in time");
    peer.send(">1 credit 1000\nECHO 1 1 f=line\nx").await;
    peer.expect("<1 ok 1\nx").await;
}

// grpc-go#2444: a stream that was reset while its last words waited for the window stayed for ever.
#[tokio::test(start_paused = true)]
async fn a_cancel_frees_the_place_of_a_call_whose_last_value_waits_for_credit() {
    let mut peer = peer(&with_places(1));
    for _ in 0..10 {
        peer.send("LAST 1 4 credit=1 f=json\nnull").await;
        peer.expect("<1 item 1\n1").await;
        settle().await;
        peer.send(">1 cancel\n").await;
        peer.expect_ran(1, Code::Cancelled).await;
    }
    peer.send("LAST 2 4 credit=1000 f=json\nnull").await;
    peer.expect("<2 item 1\n1").await;
    peer.expect("<2 item 1\n2").await;
    peer.expect("<2 ok 6\n\"last\"").await;
}

// h2#230: streams that the peer had refused counted as open, until no other could be.
#[tokio::test(start_paused = true)]
async fn streams_that_are_refused_take_no_place() {
    let client = client(&with_places(2));
    let mut open = [client.call(FLOOD, &1000), client.call(FLOOD, &1000)];
    for items in &mut open {
        items.next().await.unwrap().unwrap();
    }
    for _ in 0..500 {
        let error = client.call(FLOOD, &1000).next().await.unwrap().unwrap_err();
        assert_eq!((error.code(), error.is_safe_to_retry()), (Code::Overloaded, true));
    }
    drop(open);
    settle().await;
    for _ in 0..500 {
        assert_eq!(client.call(LAST, &()).finish().await.unwrap(), "last");
    }
}

// h2#898: a window that a credit only brought back to nothing counted as room.
#[tokio::test(start_paused = true)]
async fn credit_that_only_pays_a_debt_lets_no_item_go() {
    let mut peer = peer(&unlimited());
    peer.send("FLOOD 1 4 credit=1 f=json\n1000").await;
    let item = format!("<1 item 1002\n\"{}\"", "x".repeat(1000));
    for _ in 0..3 {
        peer.expect(&item).await;
        // It cost 1,066, and 1 was there.
        peer.send(">1 credit 1065\n").await;
        settle().await;
        peer.send("?PING 2 0\n").await;
        peer.expect("<2 ok 0\n").await;
        peer.send(">1 credit 1\n").await;
    }
}

// rust-yamux#100: a reader that granted only when all was used up made its writer stop each time.
#[tokio::test(start_paused = true)]
async fn a_reader_grants_before_its_peer_has_run_out() {
    let mut peer = peer(&unlimited());
    peer.send("SUM 1 4 stream=1 f=json\nnull").await;
    // Little more than half of 16,384, at 65 each.
    peer.send(">1 item 1\n1".repeat(127)).await;
    let granted = peer.next().await.unwrap();
    assert!(granted.starts_with("<1 credit "), "{granted}");
    peer.send(">1 end\n").await;
    peer.expect("<1 ok 3\n127").await;
}

// tentacle#33 (tokio-yamux): credit was seen only by whoever read, and not by whoever wrote.
#[tokio::test(start_paused = true)]
async fn a_caller_that_only_sends_is_granted_credit() {
    for client in clients_of(&unlimited()) {
        let mut numbers = client.call(GATHER, &());
        for number in 0..5000 {
            within(numbers.send(&number)).await.unwrap();
        }
        numbers.end().await.unwrap();
        for number in 0..5000 {
            assert_eq!(within(numbers.next()).await.unwrap().unwrap(), number);
        }
        assert!(numbers.next().await.is_none());
    }
}

// quinn#2411: a write that was given up half way looked like one that had ended.
#[tokio::test(start_paused = true)]
async fn a_send_that_is_given_up_sends_nothing_and_ends_nothing() {
    const TAKE: Command<Streamed<u32>, Vec<u32>, Json> = Command::new("TAKE");
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let endpoint = endpoint().on(TAKE, move |(): (), mut numbers: Receiver<u32>| {
        let opened = Arc::clone(&opened);
        async move {
            opened.acquire().await.unwrap().forget();
            let mut taken = Vec::new();
            while let Some(number) = numbers.next().await? {
                taken.push(number);
            }
            Ok::<_, Error>(taken)
        }
    });
    for client in clients_of(&endpoint) {
        let mut numbers = client.call(TAKE, &());
        let (mut sent, mut given_up) = (Vec::new(), 0);
        for number in 0.. {
            if given_up == 10 {
                break;
            }
            match timeout(MS, numbers.send(&number)).await {
                Ok(done) => {
                    done.unwrap();
                    sent.push(number);
                }
                Err(_) => given_up += 1,
            }
        }
        gate.add_permits(1);
        for number in 1_000_000..1_001_000 {
            numbers.send(&number).await.unwrap();
            sent.push(number);
        }
        assert_eq!(numbers.finish().await.unwrap(), sent);
    }
}

// quinn#1763: nobody knew which reads may be given up without losing what had come.
#[tokio::test(start_paused = true)]
async fn a_wait_for_an_item_that_is_given_up_loses_none() {
    const ECHOES: Command<Streamed<u32>, Streamed<u32>> = Command::new("ECHOES");
    let endpoint =
        endpoint().on(ECHOES, async |(): (), mut up: Receiver<u32>, out: Sender<u32>| {
            loop {
                match timeout(MS, up.next()).await {
                    Ok(Ok(Some(number))) => out.send(&number).await?,
                    Ok(next) => return next.map(drop),
                    Err(_) => {}
                }
            }
        });
    for client in clients_of(&endpoint) {
        let (up, mut down) = client.call(ECHOES, &()).split().await.unwrap();
        tokio::spawn(async move {
            for number in 0..500 {
                up.send(&number).await.unwrap();
                if number % 7 == 0 {
                    sleep(3 * MS).await;
                }
            }
            up.end();
        });
        let (mut taken, mut given_up) = (Vec::new(), 0);
        loop {
            match timeout(MS, down.next()).await {
                Ok(Some(number)) => taken.push(number.unwrap()),
                Ok(None) => break,
                Err(_) => given_up += 1,
            }
        }
        assert!(given_up > 50, "{given_up}");
        assert_eq!(taken, (0..500).collect::<Vec<_>>());
    }
}

// grpc-rust#515 (tonic): no item of a request went before the callee had said something.
#[tokio::test(start_paused = true)]
async fn items_of_a_request_go_before_its_callee_has_said_a_word() {
    let (client, mut peer) = client_and_peer();
    let mut numbers = client.call(GATHER, &());
    for number in 1..=3 {
        within(numbers.send(&number)).await.unwrap();
    }
    peer.expect("GATHER 1 4 f=json stream=1 credit=65536\nnull").await;
    for number in 1..=3 {
        peer.expect(&format!(">1 item 1\n{number}")).await;
    }
}

// grpc-rust#2155 (tonic): a stream that panicked ended its reply as if all had been said.
#[tokio::test(start_paused = true)]
async fn a_stream_that_panics_is_not_at_its_end() {
    const PANICS: Command<u32, Streamed<u32>, Json> = Command::new("PANICS");
    fn panics(end: u32) -> impl stream::Stream<Item = Result<u32, Error>> {
        stream::iter((0..).map(move |number| {
            assert!(number < end, "on purpose");
            Ok(number)
        }))
    }
    let endpoint = endpoint().on(PANICS, streaming(panics));
    for client in clients_of(&endpoint) {
        let mut numbers = client.call(PANICS, &2);
        assert_eq!(numbers.next().await.unwrap().unwrap(), 0);
        assert_eq!(numbers.next().await.unwrap().unwrap(), 1);
        assert_eq!(numbers.next().await.unwrap().unwrap_err().code(), Code::Panicked);
        assert!(numbers.next().await.is_none());
        assert!(numbers.finish().await.is_err());
    }
    let told = ran(0, Code::Panicked, "the handler panicked");
    check(&endpoint, "PANICS json\n2\n", &format!("0\n1\n{told}")).await;
}

// tarpc#389: whoever sent too much learned that the connection was gone, and no more.
#[tokio::test(start_paused = true)]
async fn an_item_that_is_too_large_is_told_with_its_limit_and_ends_nothing() {
    const LENGTHS: Command<Streamed<String>, Streamed<usize>> = Command::new("LENGTHS");
    let lengths = async |(): (), mut words: Receiver<String>, out: Sender<usize>| {
        while let Some(word) = words.next().await? {
            out.send(&word.len()).await?;
        }
        Ok::<_, Error>(())
    };
    for client in clients_of(&endpoint().on(LENGTHS, lengths)) {
        let mut words = client.call(LENGTHS, &());
        words.send(&"x".repeat(10)).await.unwrap();
        let error = words.send(&"x".repeat(65_536)).await.unwrap_err();
        assert_eq!(error.code(), Code::TooLarge);
        assert!(error.text().contains("over item_bytes_max (65536)"), "{error}");
        words.send(&"x".repeat(65_533)).await.unwrap();
        words.end().await.unwrap();
        assert_eq!(words.next().await.unwrap().unwrap(), 10);
        assert_eq!(words.next().await.unwrap().unwrap(), 65_533);
        words.finish().await.unwrap();
    }
}

// grpclib#67: what a handler did not take of its request used the window up, and held up the rest.
#[tokio::test(start_paused = true)]
async fn a_handler_may_drop_its_request_and_go_on() {
    const PICKY: Command<Streamed<u32>, Streamed<u32>, Json> = Command::new("PICKY");
    let endpoint = endpoint().on(PICKY, async |(): (), mut up: Receiver<u32>, out: Sender<u32>| {
        up.next().await?;
        drop(up);
        // Longer than anybody waits for credit.
        for number in 0..70 {
            sleep(SECOND).await;
            out.send(&number).await?;
        }
        Ok::<_, Error>(())
    });
    for client in clients_of(&endpoint) {
        let (up, mut down) = client.call(PICKY, &()).split().await.unwrap();
        let sending = tokio::spawn(async move {
            for number in 0..5000 {
                up.send(&number).await.unwrap();
            }
            up.end();
        });
        for number in 0..70 {
            assert_eq!(down.next().await.unwrap().unwrap(), number);
        }
        assert!(sending.is_finished());
        assert!(down.next().await.is_none());
        sending.await.unwrap();
        down.finish().await.unwrap();
    }
}
