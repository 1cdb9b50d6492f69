//! A client of several back ends: which of them its calls are given, and what becomes of calls when
//! one is lost, stops, is slow, or lies.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{pending, unfold};
use switchboard::format::Line;
use switchboard::service::ChannelState;
use switchboard::transport::{self, Address};
use switchboard::{
    BackEnds, Balance, Client, Code, Command, Context, Endpoint, Error, Sender, Streamed,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::reconnect::Host;
use super::support::*;

/// Says which back end it is.
const WHICH: Command<(), String> = Command::new("WHICH").idempotent();
/// The same, and it must not run twice.
const ONCE: Command<String, String, Line> = Command::new("ONCE");
/// Numbers for ever, a second each, from a back end that has its own.
const OWN: Command<(), Streamed<(String, u64)>> = Command::new("NUMBERS").resumable();
/// The same, and the numbers are the same everywhere.
const SHARED: Command<(), Streamed<(String, u64)>> = Command::new("NUMBERS").resumable_anywhere();

const NAMES: [&str; 3] = ["a:1", "b:1", "c:1"];

/// The back ends that there may be, by their addresses, and what ran on them.
#[derive(Clone)]
struct Town {
    hosts: Arc<HashMap<String, Host>>,
    ran: Arc<Mutex<Vec<String>>>,
}

impl Town {
    /// All of these are there.
    fn new(names: &[&str]) -> Self {
        let hosts = names.iter().map(|name| ((*name).to_owned(), Host::default())).collect();
        let town = Self { hosts: Arc::new(hosts), ran: Arc::default() };
        for name in names {
            town.up(name, Duration::ZERO);
        }
        town
    }

    /// It is there, and its calls take so long.
    fn up(&self, name: &str, time: Duration) {
        self.hosts[name].up(&self.endpoint(name, time));
    }

    fn endpoint(&self, name: &str, time: Duration) -> Endpoint {
        let which = name.to_owned();
        let (once, numbers, ran) = (name.to_owned(), name.to_owned(), Arc::clone(&self.ran));
        endpoint()
            .on(WHICH, move |()| {
                let which = which.clone();
                async move {
                    sleep(time).await;
                    Ok::<_, Error>(which)
                }
            })
            .on(ONCE, move |text: String| {
                ran.lock().unwrap().push(text);
                let once = once.clone();
                async move {
                    sleep(time).await;
                    Ok::<_, Error>(once)
                }
            })
            .on(OWN, move |(): (), out: Sender<(String, u64)>, context: Context| {
                let name = numbers.clone();
                async move {
                    let first = context.resume_at().unwrap_or(0);
                    out.open_at(first);
                    for number in first.. {
                        out.send(&(name.clone(), number)).await?;
                        sleep(SECOND).await;
                    }
                    Ok::<_, Error>(())
                }
            })
    }

    fn balance(&self) -> Balance {
        self.balance_of(BackEnds::list(self.hosts.keys()).unwrap())
    }

    fn balance_of(&self, back_ends: BackEnds) -> Balance {
        let town = self.clone();
        Balance::by(back_ends, move |address| {
            let client = match town.hosts.get(&address.to_string()) {
                Some(host) => host.dial(&Endpoint::new()),
                None => Err(Error::new(Code::Disconnected, "there is no such host")),
            };
            async move { client }
        })
    }

    /// A client of all of them, connected to as many.
    async fn client(&self) -> Client {
        let client = self.balance().client();
        settle().await;
        client
    }
}

/// How many of so many calls, one after the other, each back end was given.
async fn shares(client: &Client, calls: usize) -> HashMap<String, usize> {
    let mut shares = HashMap::new();
    for _ in 0..calls {
        *shares.entry(client.call(WHICH, &()).await.unwrap()).or_default() += 1;
    }
    shares
}

/// Lists that a test sends.
fn lists() -> (mpsc::UnboundedSender<Vec<Address>>, BackEnds) {
    let (to, lists) = mpsc::unbounded_channel();
    let lists = unfold(lists, async |mut lists: mpsc::UnboundedReceiver<_>| {
        Some((lists.recv().await?, lists))
    });
    (to, BackEnds::watch(lists))
}

fn addresses(names: &[&str]) -> Vec<Address> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn calls_are_spread_over_all_back_ends() {
    let town = Town::new(&NAMES);
    let client = town.client().await;
    let shares_of_each = shares(&client, 300).await;
    for name in NAMES {
        assert!(shares_of_each[name] > 50, "{shares_of_each:?}");
    }
    let client = town.balance().round_robin().client();
    settle().await;
    let shares_of_each = shares(&client, 300).await;
    assert!(NAMES.iter().all(|name| shares_of_each[*name] == 100), "{shares_of_each:?}");
    // One that is away leaves its turns to all others.
    town.hosts["a:1"].kill();
    settle().await;
    let shares_of_each = shares(&client, 300).await;
    assert_eq!((shares_of_each["b:1"], shares_of_each["c:1"]), (150, 150));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_slow_is_given_fewer_calls() {
    let town = Town::new(&[]);
    let hosts = NAMES.map(|name| (name.to_owned(), Host::default()));
    let town = Town { hosts: Arc::new(hosts.into()), ..town };
    for (name, millis) in NAMES.iter().zip([10, 10, 100]) {
        town.up(name, Duration::from_millis(millis));
    }
    let client = town.client().await;
    // One call at a time, and many.
    let one = shares(&client, 200).await["c:1"];
    assert!((1..40).contains(&one), "{one} of 200");
    let many = join_all((0..20).map(async |_| shares(&client, 50).await)).await;
    let slow: usize = many.iter().filter_map(|shares| shares.get("c:1")).sum();
    assert!((1..200).contains(&slow), "{slow} of 1,000");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_down_is_left_out_until_it_is_back() {
    let town = Town::new(&NAMES);
    let client = town.client().await;
    for name in NAMES {
        town.hosts[name].kill();
        assert!(!shares(&client, 50).await.contains_key(name));
        town.up(name, Duration::ZERO);
        sleep(10 * SECOND).await;
        assert!(shares(&client, 50).await.contains_key(name));
    }
}

#[tokio::test(start_paused = true)]
async fn all_may_be_down_and_come_back() {
    let town = Town::new(&NAMES);
    let client = town.balance().client();
    let mut states = client.states();
    assert_eq!(states.next().await, Some(ChannelState::Connecting));
    assert_eq!(states.next().await, Some(ChannelState::Connected));
    town.hosts.values().for_each(Host::kill);
    assert_eq!(states.next().await, Some(ChannelState::Connecting));
    let calls = join_all((0..100).map(|_| async { client.call(WHICH, &()).await }));
    let back = async {
        sleep(20 * SECOND).await;
        town.up(NAMES[1], Duration::ZERO);
    };
    let (calls, ()) = tokio::join!(calls, back);
    assert!(calls.into_iter().all(|answer| answer.unwrap() == NAMES[1]));
    client.clone().close().await;
    let last = async { while states.next().await != Some(ChannelState::Closed) {} };
    within(last).await;
    assert_eq!(states.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_lost_is_made_elsewhere_if_that_does_no_harm() {
    let town = Town::new(&NAMES);
    for name in NAMES {
        town.up(name, SECOND);
    }
    let client = town.client().await;
    let texts: Vec<_> = (0..60).map(|number| number.to_string()).collect();
    let once = join_all(texts.iter().map(|text| async { client.call(ONCE, text).await }));
    let again = join_all((0..60).map(|_| async { client.call(WHICH, &()).await }));
    let lost = async {
        sleep(SECOND / 2).await;
        town.hosts["a:1"].kill();
    };
    let (once, again, ()) = tokio::join!(once, again, lost);
    assert!(again.into_iter().all(|answer| answer.unwrap() != "a:1"));
    let failed = once.iter().filter_map(|answer| answer.as_ref().err());
    let failed: Vec<_> = failed.inspect(|error| assert!(!error.is_safe_to_retry())).collect();
    assert!((1..60).contains(&failed.len()), "{}", failed.len());
    let mut ran = town.ran.lock().unwrap().clone();
    ran.sort();
    ran.dedup();
    assert_eq!(ran.len(), town.ran.lock().unwrap().len(), "none ran twice");
}

#[tokio::test(start_paused = true)]
async fn one_that_stops_loses_no_call() {
    let town = Town::new(&[]);
    let (mut stops, mut dialers) = (Vec::new(), HashMap::new());
    for name in NAMES {
        let endpoint = town.endpoint(name, Duration::from_millis(1));
        let (listener, dialer) = transport::memory_listener();
        dialers.insert(name.to_owned(), dialer);
        let (stop, stopped) = oneshot::channel::<()>();
        stops.push(stop);
        tokio::spawn(async move { endpoint.serve_until(listener, stopped).await });
    }
    let client = Balance::by(BackEnds::list(NAMES).unwrap(), move |address| {
        let dialer = dialers[&address.to_string()].clone();
        async move { Ok(Endpoint::new().connect_over(dialer.dial().await?)) }
    })
    .client();
    let called = Count::default();
    let callers = join_all((0..64).map(|caller| {
        let (client, called) = (client.clone(), called.clone());
        async move {
            for call in 0..50 {
                client.call(ONCE, &format!("{caller} {call}")).await.unwrap();
                called.add();
            }
        }
    }));
    let stop = async {
        called.reach(500).await;
        drop(stops.remove(0));
        called.reach(1500).await;
        drop(stops.remove(0));
    };
    tokio::join!(callers, stop);
    let mut ran = town.ran.lock().unwrap().clone();
    ran.sort();
    ran.dedup();
    assert_eq!((ran.len(), town.ran.lock().unwrap().len()), (3200, 3200));
}

#[tokio::test(start_paused = true)]
async fn one_that_flaps_fails_no_call_that_may_run_twice() {
    let town = Town::new(&NAMES);
    let client = town.client().await;
    let flapping = async {
        for _ in 0..30 {
            town.hosts["a:1"].kill();
            sleep(SECOND / 2).await;
            town.up("a:1", Duration::from_millis(1));
            sleep(SECOND / 2).await;
        }
    };
    let callers = join_all((0..8).map(|_| async {
        let end = Instant::now() + 30 * SECOND;
        while Instant::now() < end {
            client.call(WHICH, &()).await.unwrap();
            sleep(Duration::from_millis(7)).await;
        }
    }));
    tokio::join!(flapping, callers);
}

#[tokio::test(start_paused = true)]
async fn one_that_does_not_answer_is_left_out_and_tried_again() {
    let town = Town::new(&NAMES[..2]);
    town.up("a:1", 1000 * SECOND);
    let client = town.balance().round_robin().client();
    settle().await;
    let late = async |calls| {
        let mut late = 0;
        for _ in 0..calls {
            let answer = client.call(WHICH, &()).timeout(SECOND / 10).await;
            late += usize::from(answer.is_err_and(|error| error.code() == Code::DeadlineExceeded));
        }
        late
    };
    assert_eq!(late(100).await, 5, "then it is left out");
    // For 1 s, which is over, and then for 2.
    sleep(SECOND).await;
    assert_eq!(late(20).await, 1);
    town.hosts["a:1"].kill();
    town.up("a:1", Duration::ZERO);
    sleep(2 * SECOND).await;
    assert_eq!(shares(&client, 100).await["a:1"], 50);
}

#[tokio::test(start_paused = true)]
async fn one_that_refuses_costs_no_pause() {
    let town = Town::new(&NAMES[..2]);
    let full = endpoint().on(WHICH, async |()| {
        Err::<String, _>(Error::new(Code::Overloaded, "full").with_retry_after(20 * SECOND))
    });
    town.hosts["a:1"].up(&full);
    let client = town.client().await;
    let begun = Instant::now();
    assert_eq!(shares(&client, 100).await["b:1"], 100);
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn one_that_only_fails_is_given_few_calls() {
    let town = Town::new(&NAMES);
    for name in NAMES {
        town.up(name, SECOND / 100);
    }
    let broken = async |()| Err::<String, _>(Error::new(Code::Failed, "broken"));
    town.hosts["a:1"].up(&endpoint().on(WHICH, broken));
    let client = town.client().await;
    let mut failures = 0;
    for _ in 0..1000 {
        failures += usize::from(client.call(WHICH, &()).await.is_err());
    }
    // As one after the other, all others are as busy as it is.
    assert!((1..150).contains(&failures), "{failures}");
}

#[tokio::test(start_paused = true)]
async fn one_that_talks_nonsense_is_dialled_less_and_less() {
    let town = Town::new(&NAMES[..2]);
    let client = Balance::by(BackEnds::list(["a:1", "b:1"]).unwrap(), move |address| {
        let client = if address.to_string() == "a:1" {
            let (here, mut there) = transport::memory();
            tokio::spawn(async move {
                there.read_u8().await?;
                there.write_all(b"nonsense nonsense nonsense\n").await
            });
            Ok(Endpoint::new().connect_over(here))
        } else {
            town.hosts["b:1"].dial(&Endpoint::new())
        };
        async move { client }
    })
    .client();
    let mut failures = 0;
    for _ in 0..600 {
        match client.call(WHICH, &()).await {
            Ok(name) => assert_eq!(name, "b:1"),
            Err(error) => {
                assert_eq!(error.code(), Code::Protocol, "{error}");
                failures += 1;
            }
        }
        sleep(SECOND / 10).await;
    }
    // In a minute, with pauses of up to 5 s.
    assert!((5..60).contains(&failures), "{failures}");
}

#[tokio::test(start_paused = true)]
async fn the_list_may_change() {
    let town = Town::new(&NAMES);
    town.up("a:1", 5 * SECOND);
    let (to, back_ends) = lists();
    let client = town.balance_of(back_ends).client();
    to.send(addresses(&["a:1"])).unwrap();
    let under_way = tokio::spawn({
        let client = client.clone();
        async move { client.call(ONCE, &"x".to_owned()).await }
    });
    sleep(SECOND).await;
    to.send(addresses(&["b:1", "b:1"])).unwrap();
    settle().await;
    assert_eq!(shares(&client, 20).await["b:1"], 20);
    assert_eq!(under_way.await.unwrap().unwrap(), "a:1", "what is under way ends there");
    to.send(Vec::new()).unwrap();
    settle().await;
    let error = client.call(WHICH, &()).timeout(SECOND).await.unwrap_err();
    assert_eq!((error.code(), error.was_sent()), (Code::DeadlineExceeded, false));
    to.send(addresses(&["c:1"])).unwrap();
    // Its end is not the end of the back ends.
    drop(to);
    assert_eq!(shares(&client, 20).await["c:1"], 20);
}

#[tokio::test(start_paused = true)]
async fn of_a_long_list_a_part_is_taken() {
    let names: Vec<_> = (0..100).map(|number| format!("h{number}:1")).collect();
    let town = Town::new(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let dials = || town.hosts.values().filter(|host| host.dials.now() > 0).count();
    let client = town.client().await;
    assert_eq!(dials(), 32);
    drop(client);
    let client = town.balance().back_ends_max(0).client();
    settle().await;
    assert_eq!(shares(&client, 20).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_where_its_positions_mean_the_same() {
    // (the command, whether it goes on while its back end is away)
    for (command, is_anywhere) in [(OWN, false), (SHARED, true)] {
        let town = Town::new(&NAMES);
        let client = town.client().await;
        let mut numbers = client.call(command, &());
        let (first, number) = numbers.next().await.unwrap().unwrap();
        assert_eq!(number, 0);
        town.hosts[&first].kill();
        let begun = Instant::now();
        let back = async {
            sleep(10 * SECOND).await;
            town.up(&first, Duration::ZERO);
        };
        let (next, ()) = tokio::join!(numbers.next(), back);
        let (second, number) = next.unwrap().unwrap();
        assert_eq!(number, 1);
        assert_eq!(second != first, is_anywhere);
        assert!(begun.elapsed() >= 10 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_back_end_is_gone_for_good_ends() {
    let town = Town::new(&NAMES[..2]);
    let (to, back_ends) = lists();
    let client = town.balance_of(back_ends).client();
    to.send(addresses(&["a:1"])).unwrap();
    let mut numbers = client.call(OWN, &());
    assert_eq!(numbers.next().await.unwrap().unwrap().1, 0);
    town.hosts["a:1"].kill();
    to.send(addresses(&["b:1"])).unwrap();
    let error = numbers.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Disconnected);
    assert!(error.text().contains("not in the list"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_are_bounded() {
    let town = Town::new(&[]);
    let (_to, back_ends) = lists();
    let client = town.balance_of(back_ends).waiting_calls_max(1).client();
    let waits = tokio::spawn({
        let client = client.clone();
        async move { client.call(WHICH, &()).await }
    });
    settle().await;
    let error = client.call(WHICH, &()).await.unwrap_err();
    assert_eq!((error.code(), error.was_sent()), (Code::Overloaded, false));
    client.close().await;
    let error = waits.await.unwrap().unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::Disconnected, "the client is closed"));
}

#[tokio::test(start_paused = true)]
async fn it_closes_all_its_connections() {
    let town = Town::new(&NAMES);
    for name in NAMES {
        town.up(name, SECOND);
    }
    let client = town.client().await;
    let calls = join_all((0..12).map(|_| async { client.call(WHICH, &()).await }));
    let close = async {
        sleep(SECOND / 2).await;
        client.clone().close().await;
    };
    let (calls, ()) = tokio::join!(calls, close);
    assert!(calls.iter().all(Result::is_ok), "those under way have ended");
    settle().await;
    assert!(town.hosts.values().all(Host::is_left));
}

#[test]
fn what_is_no_address_is_told() {
    let error = BackEnds::list(["a:1", "a:b"]).unwrap_err();
    assert_eq!(error.code(), Code::Invalid);
    drop(BackEnds::watch(pending()));
}
