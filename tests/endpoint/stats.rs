//! The ledger: each call is counted once, by whatever door it came and however it ended.

use std::collections::BTreeMap;
use std::time::Duration;

use switchboard::format::{Json, Line};
use switchboard::service::{Pipe, Request, Service};
use switchboard::transport;
use switchboard::{
    CallStats, Client, Code, Command, Connection, Context, Endpoint, Error, Receiver, Result,
    Sender, Streamed, blocking,
};
use switchboard_testing::random::{Random, rounds};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;

use super::support::*;

/// What a command has counted, once all is quiet.
async fn calls(endpoint: &Endpoint, name: &str) -> CallStats {
    settle().await;
    endpoint.stats().command(name).cloned().unwrap_or_else(|| panic!("there is no {name}"))
}

/// All that came has ended, and as this says.
#[track_caller]
fn check_ended(what: &str, calls: &CallStats, answered: u64, errors: &[(Code, u64)]) {
    let errors: BTreeMap<_, _> = errors.iter().copied().collect();
    assert_eq!((calls.answered, &calls.errors), (answered, &errors), "{what}");
    assert_eq!((calls.begun, calls.in_flight), (answered + calls.failed(), 0), "{what}");
}

/// Makes a call that goes well and one that fails, by one door.
type Door = for<'a> fn(&'a Endpoint) -> std::pin::Pin<Box<dyn Future<Output = ()> + 'a>>;

async fn call_both(client: &Client) {
    assert_eq!(client.call(CHECK_STOCK, &"item1".into()).await.unwrap(), 100);
    client.call(CHECK_STOCK, &"x".into()).await.unwrap_err();
}

fn asked(item: &str) -> Request {
    Request::new("CHECK_STOCK", format!("{item:?}")).unwrap().with_format("json").unwrap()
}

#[tokio::test(start_paused = true)]
async fn all_doors_count_alike() {
    let doors: &[(&str, Door)] = &[
        ("with a tag", |endpoint| Box::pin(async { call_both(&client(endpoint)).await })),
        ("in the process", |endpoint| Box::pin(async { call_both(&endpoint.client()).await })),
        ("one-way", |endpoint| {
            Box::pin(async {
                let client = client(endpoint);
                client.notify(CHECK_STOCK, &"item1".into()).await.unwrap();
                client.notify(CHECK_STOCK, &"x".into()).await.unwrap();
                client.flush().await.unwrap();
            })
        }),
        ("plainly", |endpoint| {
            Box::pin(async {
                let sent = "CHECK_STOCK json\n\"item1\"\nCHECK_STOCK json\n\"x\"\n";
                let told = exchange(endpoint, sent).await;
                assert!(told.starts_with("100\n<0 err"), "{told}");
            })
        }),
        ("a door", |endpoint| {
            Box::pin(async {
                let door = endpoint.door();
                door.call(asked("item1")).await.unwrap();
                door.call(asked("x")).await.unwrap_err();
            })
        }),
        ("the endpoint as a service", |endpoint| {
            Box::pin(async {
                Service::call(endpoint, asked("item1")).await.unwrap();
                Service::call(endpoint, asked("x")).await.unwrap_err();
            })
        }),
        #[cfg(feature = "gob")]
        ("net/rpc", |endpoint| {
            Box::pin(async {
                let (listener, dialer) = transport::memory_listener();
                let serving = endpoint.clone();
                tokio::spawn(async move { serving.serve_net_rpc(listener).await });
                let io = dialer.dial().await.unwrap();
                call_both(&gob_client(Endpoint::new().connect_net_rpc_over(io))).await;
            })
        }),
    ];
    for (what, door) in doors {
        let endpoint = endpoint();
        door(&endpoint).await;
        let calls = calls(&endpoint, "CHECK_STOCK").await;
        check_ended(what, &calls, 1, &[(Code::Failed, 1)]);
        assert_eq!(calls.latency.calls(), 2, "{what}");
        assert!(calls.payload_bytes_in > 5, "{what}: {calls}");
        let is_one_way = *what == "one-way";
        assert_eq!(calls.one_way, if is_one_way { 2 } else { 0 }, "{what}");
        assert_eq!(calls.payload_bytes_out == 0, is_one_way, "{what}");
        assert_eq!(endpoint.stats().calls, calls, "{what}");
    }
}

/// `CHECK_STOCK` in gob, as a Go program calls it.
#[cfg(feature = "gob")]
fn gob_client(client: Client) -> Client {
    use switchboard::service::{Answer, Channel};
    struct InGob(Client);
    impl Service for InGob {
        fn call(&self, request: Request) -> Answer {
            use bytes::BytesMut;
            use switchboard::Limits;
            use switchboard::format::{Bincode, Budget, Format, Gob};
            let limits = Limits::default();
            let budget = Budget::new(&limits, request.payload().len());
            let item: String = Bincode::decode(request.payload().clone(), &budget).unwrap();
            let mut payload = BytesMut::new();
            <Gob as Format<String>>::encode(&item, &limits, &mut payload).unwrap();
            let request = Request::new(request.command(), payload.freeze()).unwrap();
            let answer = Service::call(&self.0, request.with_format("gob").unwrap());
            Answer::new(async move {
                answer.await?;
                let mut reply = BytesMut::new();
                <Bincode as Format<u32>>::encode(&100, &Limits::default(), &mut reply)?;
                Ok(switchboard::service::Reply::new(reply.freeze()))
            })
        }
    }
    impl Channel for InGob {
        fn inner(&self) -> Option<&dyn Channel> {
            Some(&self.0)
        }
    }
    Client::over(InGob(client))
}

/// How a call of `HOLD` ends, or of another command.
#[tokio::test(start_paused = true)]
async fn each_end_is_counted_by_its_code() {
    let panic = Command::<String, String, Line>::new("PANIC");
    let async_panic = Command::<String, String, Line>::new("LATER");
    // What is sent, and the command and the code that it counts for. Time passes after it.
    let cases = [
        ("HOLD 1 1 f=line\na>1 cancel\n", "HOLD", Code::Cancelled),
        ("HOLD 1 1 f=line t=10\na", "HOLD", Code::DeadlineExceeded),
        ("HOLD 1 1 f=line\na", "HOLD", Code::DeadlineExceeded),
        ("HOLD 0 1 f=line\na", "HOLD", Code::DeadlineExceeded),
        ("HOLD\na\n", "HOLD", Code::DeadlineExceeded),
        // The connection ends with it.
        ("HOLD 1 1 f=line\na<7 ok 0\n", "HOLD", Code::Cancelled),
        ("HOLD 1 1\na", "HOLD", Code::UnsupportedFormat),
        ("HOLD xml\na\n", "HOLD", Code::UnsupportedFormat),
        ("HOLD 1 2 f=line\na\n", "HOLD", Code::BadPayload),
        ("ADD\n\u{1}\0\0\0", "ADD", Code::BadPayload),
        ("ADD json\n[1]\n", "ADD", Code::BadPayload),
        ("PANIC 1 1 f=line\na", "PANIC", Code::Panicked),
        ("PANIC\na\n", "PANIC", Code::Panicked),
        ("LATER 1 1 f=line\na", "LATER", Code::Panicked),
        ("RAW\n", "RAW", Code::Denied),
        ("RAW json\n", "RAW", Code::UnsupportedFormat),
        ("RAW 1 0\n", "RAW", Code::UnsupportedFormat),
        ("?DESCRIBE 1 1 f=line\na", "?", Code::NotFound),
        ("?STATS 1 1\na", "?", Code::BadPayload),
    ];
    for (sent, name, code) in cases {
        let held = Held::new();
        let endpoint = limited(|limits| limits.call_time_max = SECOND);
        let endpoint = held
            .on(endpoint)
            .on(panic, |_: String| -> std::future::Ready<Result<String>> { panic!("on purpose") })
            .on(async_panic, async |_: String| -> Result<String> {
                tokio::task::yield_now().await;
                panic!("on purpose")
            })
            .on_raw("RAW", async |_: &mut Connection| Err::<(), _>(Error::new(Code::Denied, "no")));
        let mut peer = dial(&endpoint);
        peer.write_all(sent.as_bytes()).await.unwrap();
        settle().await;
        if sent.starts_with("ADD\n") {
            peer.shutdown().await.unwrap();
        }
        tokio::time::sleep(2 * SECOND).await;
        settle().await;
        let stats = endpoint.stats();
        let calls = if name == "?" { &stats.own } else { stats.command(name).unwrap() };
        check_ended(sent, calls, 0, &[(code, 1)]);
        assert_eq!(&stats.calls, calls, "{sent}");
        assert!(stats.calls_refused.is_empty() && stats.calls_turned_away == 0, "{sent}: {stats}");
        drop(peer);
    }
}

/// What is refused before the seam, and what is full behind it.
#[tokio::test(start_paused = true)]
async fn refusals_are_counted_where_they_happen() {
    let held = Held::new();
    let endpoint = held.on(limited(|limits| {
        limits.calls_max = 2;
        limits.calls_per_connection_max = 1;
        limits.payload_bytes_max = 10;
        limits.consecutive_errors_max = u32::MAX;
    }));
    let (mut one, mut two) = (peer(&endpoint), peer(&endpoint));
    // Too many at one connection, too large, and too late: no command was looked for.
    one.send("HOLD 1 1 f=line\naHOLD 2 1 f=line\naHOLD 3 11 f=line\nabcdefghijk").await;
    two.send("HOLD 1 1 f=line t=0\naHOLD 2 1 f=line\na").await;
    held.begun.reach(2).await;
    let stats = endpoint.stats();
    assert_eq!((stats.calls_turned_away, stats.calls.begun, stats.calls.in_flight), (3, 2, 2));
    // The endpoint is full.
    let mut three = peer(&endpoint);
    three.send("HOLD 1 1 f=line\naNOBODY 2 1 f=line\na").await;
    three.expect_error(1, Code::Overloaded).await;
    three.expect_error(2, Code::Overloaded).await;
    let stats = endpoint.stats();
    assert_eq!(stats.command("HOLD").unwrap().errors, [(Code::Overloaded, 1)].into());
    assert_eq!(stats.calls_refused, [(Code::Overloaded, 1)].into());
    held.release(2);
    let door = endpoint.door();
    door.close();
    door.call(asked("item1")).await.unwrap_err();
    let large = Request::new("ECHO", "x".repeat(11)).unwrap().with_format("line").unwrap();
    let large = Service::call(&endpoint, large).await.unwrap_err();
    assert_eq!(large.code(), Code::TooLarge);
    settle().await;
    let stats = endpoint.stats();
    assert_eq!(stats.calls_turned_away, 4);
    check_ended("HOLD", stats.command("HOLD").unwrap(), 2, &[(Code::Overloaded, 1)]);
    check_ended("ECHO", stats.command("ECHO").unwrap(), 0, &[(Code::TooLarge, 1)]);
}

#[tokio::test(start_paused = true)]
async fn names_that_nobody_registered_make_no_series() {
    let endpoint = limited(|limits| limits.consecutive_errors_max = u32::MAX);
    let names = |endpoint: &Endpoint| endpoint.stats().commands.into_keys().collect::<Vec<_>>();
    let (before, mut random) = (names(&endpoint), Random::new(7));
    let (door, mut peer) = (endpoint.door(), peer(&endpoint));
    for number in 0..10_000_u32 {
        let name = format!("N{:x}", random.draw());
        if number % 2 == 0 {
            door.call(Request::new(&name, "").unwrap()).await.unwrap_err();
        } else {
            peer.send(&format!("{name} 1 0\n")).await;
            peer.expect_error(1, Code::UnknownCommand).await;
        }
    }
    exchange(&endpoint, "NOBODY\nx\n").await;
    let stats = endpoint.stats();
    assert_eq!(stats.calls_refused, [(Code::UnknownCommand, 10_001)].into());
    assert_eq!((names(&endpoint), stats.calls.begun), (before, 0));
}

/// Calls that run go on to count, and a name goes on where it was.
#[tokio::test(start_paused = true)]
async fn a_name_that_comes_back_goes_on() {
    let held = Held::new();
    let endpoint = held.on(endpoint());
    let client = client(&endpoint);
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.call(HOLD, &"a".into()).await }
    });
    held.begun.reach(1).await;
    assert!(endpoint.remove("HOLD"));
    let stats = endpoint.stats();
    assert_eq!((stats.command("HOLD"), stats.calls.in_flight), (None, 1));
    held.release(1);
    call.await.unwrap().unwrap();
    let endpoint = held.on(endpoint);
    held.release(1);
    client.call(HOLD, &"a".into()).await.unwrap();
    check_ended("again", &calls(&endpoint, "HOLD").await, 2, &[]);

    // More names than are kept, of which none is lost from the sum.
    for number in 0..3000 {
        let command = Command::<String, String, Line>::new("TEMPORARY");
        let other = Endpoint::new().on(command, async |text: String| Ok::<_, Error>(text));
        let endpoint = endpoint.clone().nest(&format!("n{number}."), other);
        let request = Request::new(&format!("n{number}.TEMPORARY"), "x").unwrap();
        Service::call(&endpoint, request.with_format("line").unwrap()).await.unwrap();
        assert!(endpoint.remove(&format!("n{number}.TEMPORARY")));
    }
    check_ended("the sum", &endpoint.stats().calls, 3002, &[]);
}

/// The sum never loses what a command has counted that comes and goes.
#[tokio::test]
async fn a_command_that_comes_and_goes_is_always_in_the_sum() {
    const COMES: Command<String, String, Line> = Command::new("COMES");
    async fn comes(text: String) -> Result<String> {
        Ok(text)
    }
    let endpoint = Endpoint::new().on(COMES, comes);
    endpoint.client().call(COMES, &"x".into()).await.unwrap();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                assert!(endpoint.remove("COMES"));
                endpoint.add(COMES, comes).unwrap();
            }
        });
        let wrong = (0..50_000).filter(|_| endpoint.stats().calls.begun != 1).count();
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        assert_eq!(wrong, 0);
    });
}

#[tokio::test(start_paused = true)]
async fn items_are_counted_both_ways() {
    const DOUBLE: Command<Streamed<u32, u32>, Streamed<u32, u32>, Json> = Command::new("DOUBLE");
    async fn double(first: u32, mut numbers: Receiver<u32>, out: Sender<u32>) -> Result<u32> {
        while let Some(number) = numbers.next().await? {
            out.send(&number).await?;
            out.send(&number).await?;
        }
        Ok(first)
    }
    let endpoint = Endpoint::new().on(DOUBLE, double);
    let over = client(&endpoint);
    let mut call = over.call(DOUBLE, &7);
    for number in [10, 20, 30] {
        call.send(&number).await.unwrap();
    }
    call.end().await.unwrap();
    assert_eq!(call.finish().await.unwrap(), 7);

    let mut request = Request::new("DOUBLE", "7").unwrap().with_format("json").unwrap();
    let pipe = Pipe::of(&mut request);
    let answer = tokio::spawn(endpoint.door().call(request));
    pipe.send("40").await.unwrap();
    pipe.end();
    answer.await.unwrap().unwrap();

    let calls = calls(&endpoint, "DOUBLE").await;
    check_ended("streams", &calls, 2, &[]);
    assert_eq!((calls.streams, calls.items_in, calls.items_out), (2, 4, 8));
    assert_eq!((calls.payload_bytes_in, calls.payload_bytes_out), (2 + 8, 2 + 16));
}

#[tokio::test(start_paused = true)]
async fn connections_are_counted() {
    let endpoint = limited(|limits| {
        limits.connections_max = 2;
        limits.line_time_max = SECOND;
        limits.idle_time_max = 10 * SECOND;
    });
    let (listener, dialer) = transport::memory_listener();
    let serving = endpoint.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let mut slow = dialer.dial().await.unwrap();
    let mut wrong = dialer.dial().await.unwrap();
    settle().await;
    let refused = dialer.dial().await.unwrap();
    settle().await;
    let connections = endpoint.stats().connections;
    assert_eq!((connections.open, connections.accepted, connections.refused_in_all), (2, 2, 1));
    slow.write_all(b"ECH").await.unwrap();
    wrong.write_all(b"<9 ok 0\n").await.unwrap();
    tokio::time::sleep(2 * SECOND).await;
    drop((slow, wrong, refused));
    settle().await;
    let connections = endpoint.stats().connections;
    let cut = (connections.cut_slow, connections.cut_protocol, connections.cut_silent);
    assert_eq!(cut, (1, 1, 0));
    let silent = dialer.dial().await.unwrap();
    tokio::time::sleep(20 * SECOND).await;
    let connections = endpoint.stats().connections;
    drop(silent);
    settle().await;
    let cut = (connections.cut_slow, connections.cut_protocol, connections.cut_silent);
    assert_eq!((cut, connections.cut_not_reading, connections.accepted), ((1, 1, 1), 0, 3));
    assert_eq!(endpoint.stats().connections.open, 0);
}

/// A peer that asks for much and reads nothing.
#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_counted() {
    let endpoint = limited(|limits| limits.write_time_max = SECOND);
    let mut peer = dial(&endpoint);
    for _ in 0..4 {
        peer.write_all(b"LETTERS 1 6 f=json\n100000").await.unwrap();
        settle().await;
    }
    tokio::time::sleep(3 * SECOND).await;
    settle().await;
    assert_eq!(endpoint.stats().connections.cut_not_reading, 1);
}

#[tokio::test]
async fn what_is_held_now_is_told() {
    const BLOCK: Command<String, String, Line> = Command::new("BLOCK");
    let (held, (begun, begins)) = (Held::new(), std::sync::mpsc::channel::<()>());
    let begins = std::sync::Mutex::new(begins);
    let ran = Count::default();
    let runs = ran.clone();
    let endpoint = held.on(endpoint()).on(
        BLOCK,
        blocking(move |text: String, _: Context| {
            runs.add();
            let _ = begins.lock().unwrap().recv();
            Ok::<_, Error>(text)
        }),
    );
    let client = client(&endpoint);
    let mut calls = JoinSet::new();
    for command in [HOLD, BLOCK] {
        let client = client.clone();
        calls.spawn(async move { client.call(command, &"x".repeat(50_000)).await });
    }
    held.begun.reach(1).await;
    ran.reach(1).await;
    let stats = endpoint.stats();
    assert!(stats.held_bytes >= 90_000 && stats.blocking_threads == 1, "{stats}");
    drop(begun);
    held.release(1);
    calls.join_all().await;
    drop(client);
    settle().await;
    let stats = endpoint.stats();
    assert_eq!((stats.held_bytes, stats.blocking_threads), (0, 0));
}

/// Calls of all kinds by all doors at once, of which many are given up in the middle.
#[tokio::test(start_paused = true)]
async fn nothing_is_lost_or_counted_twice() {
    const SLOW: Command<u64, u64> = Command::new("SLOW");
    for seed in 0..rounds(3) {
        let endpoint = limited(|limits| limits.call_time_max = Duration::from_millis(40));
        let endpoint = endpoint.on(SLOW, async |millis: u64| {
            if millis > 0 {
                tokio::time::sleep(Duration::from_millis(millis)).await;
            }
            if millis % 7 == 3 { Err(Error::new(Code::Conflict, "")) } else { Ok(millis) }
        });
        let clients = [client(&endpoint), endpoint.client(), client(&endpoint)];
        let mut random = Random::new(seed);
        let (mut made, mut tasks) = (0, JoinSet::new());
        for _ in 0..400 {
            let client = clients[random.below(3)].clone();
            let (millis, patience) = (random.draw() % 60, random.draw() % 60);
            match random.below(4) {
                0 => client.notify(SLOW, &millis).await.unwrap(),
                _ => drop(tasks.spawn(async move {
                    let call = client.call(SLOW, &millis);
                    let _ = tokio::time::timeout(Duration::from_millis(patience), call).await;
                })),
            }
            made += 1;
            if random.below(20) == 0 {
                tokio::time::sleep(MS).await;
                let calls = endpoint.stats().command("SLOW").cloned().unwrap();
                assert_eq!(calls.begun, calls.answered + calls.failed() + calls.in_flight);
            }
        }
        tasks.join_all().await;
        tokio::time::sleep(SECOND).await;
        drop(clients);
        let calls = calls(&endpoint, "SLOW").await;
        assert_eq!((calls.begun, calls.in_flight), (calls.answered + calls.failed(), 0), "{calls}");
        assert!(calls.begun <= made && calls.answered > 0, "{calls}");
        let codes: Vec<_> = calls.errors.keys().copied().collect();
        let known = [Code::Conflict, Code::DeadlineExceeded, Code::Cancelled];
        assert!(codes.iter().all(|code| known.contains(code)), "{calls}");
        assert_eq!(calls.latency.calls(), calls.begun, "{calls}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_reads_them_too() {
    let endpoint = endpoint();
    check(&endpoint, "ECHO\na\nNOBODY\n", &format!("a\n{}", unknown())).await;
    let told = exchange(&endpoint, "?STATS\n").await;
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[0], "connections open=0 accepted=0");
    assert_eq!(lines[1], "now held_bytes=0 blocking_threads=0");
    assert_eq!(lines[2], "refused turned_away=0 unknown_command=1");
    let echo = "begun=1 answered=1 in_flight=0 payload_bytes_in=1 payload_bytes_out=1 \
                mean_seconds=0 p50_seconds=0.00001 p99_seconds=0.00001";
    assert_eq!(lines[3], format!("calls {echo}"));
    assert!(lines.contains(&&*format!("command ECHO {echo}")), "{told}");
    assert!(lines.contains(&"command STRING begun=0 answered=0 in_flight=0"), "{told}");

    let told = client(&endpoint).call_json("?STATS", &serde_json::Value::Null).await.unwrap();
    assert_eq!(told["commands"]["ECHO"]["answered"], 1);
    assert_eq!(told["calls_refused"]["unknown_command"], 1);
    assert_eq!(told["own"]["begun"], 1, "{told}");
    assert_eq!(told["commands"]["ECHO"]["latency"]["buckets"][0], 1);
    let plain = exchange(&endpoint, "?STATS json\n").await;
    assert!(plain.starts_with('{') && plain.ends_with("}\n"), "{plain}");
    let text = "?STATS speaks json, or lines if no format is named";
    let refused = err(0, Code::UnsupportedFormat, text);
    check(&endpoint, "?STATS xml\n", &refused).await;
}

fn unknown() -> String {
    err(0, Code::UnknownCommand, "there is no command NOBODY; ? lists them")
}
