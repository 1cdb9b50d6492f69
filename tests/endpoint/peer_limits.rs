//! Limits of each peer: what one has used up is no matter to another, and invented peers fill
//! nothing. The time is paused.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use switchboard::format::{Json, Line};
use switchboard::service::{Door, PeerLimits, Request, Service};
use switchboard::transport::Peer as Identity;
use switchboard::{
    Call, Client, Code, Command, Error, Receiver, Result, Sender, Streamed, with_state,
};
use tokio::sync::Semaphore;
use tokio::time::{advance, sleep};

use super::items::clients_of;
use super::support::*;

fn request(text: &str, ip: &str) -> Request {
    let ip: IpAddr = ip.parse().unwrap();
    let request = Request::new("ECHO", text.to_owned()).unwrap().with_format("line").unwrap();
    request.with_peer(Identity::tcp(SocketAddr::new(ip, 7)))
}

/// Calls by these addresses, in turn; each error's time to wait in milliseconds, else 0.
async fn waits(door: &Door, calls: &[(&str, &str)]) -> Vec<u128> {
    let mut waits = Vec::new();
    for (text, ip) in calls {
        waits.push(match door.call(request(text, ip)).await {
            Ok(_) => 0,
            Err(error) => wait_of(&error),
        });
    }
    waits
}

fn wait_of(error: &Error) -> u128 {
    assert_eq!(error.code(), Code::Overloaded, "{error}");
    assert!(error.is_safe_to_retry(), "{error}");
    error.retry_after().unwrap().as_millis()
}

fn door(limits: PeerLimits) -> Door {
    endpoint().layer(limits).door()
}

#[tokio::test(start_paused = true)]
async fn calls_of_each_peer_in_a_second() {
    let door = door(PeerLimits::new().calls_per_second(10, 2));
    let calls = [("x", "1.1.1.1"), ("x", "1.1.1.1"), ("x", "1.1.1.1"), ("x", "2.2.2.2")];
    assert_eq!(waits(&door, &calls).await, [0, 0, 100, 0]);
    advance(MS * 100).await;
    assert_eq!(waits(&door, &calls[..2]).await, [0, 100]);
    // The same 64 bits are the same peer.
    let calls = [("x", "2001:db8:1:2::1"), ("x", "2001:db8:1:2:ffff::9"), ("x", "2001:db8:1:2::")];
    assert_eq!(waits(&door, &calls).await, [0, 0, 100]);
    assert_eq!(waits(&door, &[("x", "2001:db8:1:3::1")]).await, [0]);
    // A clock that leaps forward gives no more than the burst.
    advance(Duration::from_secs(400 * 24 * 60 * 60)).await;
    let calls = [("x", "1.1.1.1"); 4];
    assert_eq!(waits(&door, &calls).await, [0, 0, 100, 100]);
}

#[tokio::test(start_paused = true)]
async fn bytes_of_requests_and_replies_in_a_second() {
    let door = door(PeerLimits::new().bytes_per_second(1000));
    let long = "x".repeat(400);
    let calls = [(long.as_str(), "1.1.1.1"), (&long, "1.1.1.1"), (&long, "2.2.2.2")];
    // 400 bytes came and 400 went; 200 are left of 1,000.
    assert_eq!(waits(&door, &calls).await, [0, 200, 0]);
    advance(MS * 200).await;
    assert_eq!(waits(&door, &calls[..2]).await, [0, 800 - 200 + 200]);
    // A payload above all that may come at once waits until nothing else has been used.
    let longest = "x".repeat(3000);
    assert_eq!(waits(&door, &[(&longest, "3.3.3.3"), ("x", "3.3.3.3")]).await, [0, 5001]);
}

#[tokio::test(start_paused = true)]
async fn calls_of_each_peer_that_are_under_way() {
    let gate = Arc::new(Semaphore::new(0));
    let hold = async |gate: Arc<Semaphore>, text: String| {
        gate.acquire().await.unwrap().forget();
        Ok::<_, Error>(text)
    };
    let limits = PeerLimits::new().calls_in_flight(2);
    let door = endpoint().on(HOLD, with_state(&gate, hold)).layer(limits).door();
    let held = |ip| {
        let request = Request::new("HOLD", "x").unwrap().with_format("line").unwrap();
        let ip: IpAddr = std::str::FromStr::from_str(ip).unwrap();
        tokio::spawn(door.call(request.with_peer(Identity::tcp(SocketAddr::new(ip, 1)))))
    };
    let (first, second, other) = (held("1.1.1.1"), held("1.1.1.1"), held("2.2.2.2"));
    settle().await;
    assert_eq!(wait_of(&held("1.1.1.1").await.unwrap().unwrap_err()), 100);
    // One that is given up makes way.
    first.abort();
    settle().await;
    let third = held("1.1.1.1");
    settle().await;
    gate.add_permits(3);
    for answer in [second, other, third] {
        assert_eq!(answer.await.unwrap().unwrap().payload(), b"x");
    }
}

/// A way of a call to end.
type Ends = for<'c> fn(&'c Client) -> Pin<Box<dyn Future<Output = ()> + Send + 'c>>;

const EVENS: Command<Streamed<u32>, Streamed<u32>> = Command::new("EVENS");

/// A place that a call keeps is one that its peer never has again.
async fn check_given_back(ends: &[(&str, Ends)]) {
    let evens = async |(): (), mut numbers: Receiver<u32>, out: Sender<u32>| -> Result<()> {
        while let Some(number) = numbers.next().await? {
            if number % 2 == 0 {
                out.send(&number).await?;
            }
        }
        Ok(())
    };
    let panics = |_: String| -> std::future::Ready<Result<String>> { panic!("on purpose") };
    let hold = async |_: String| -> Result<String> { pending().await };
    let limits = PeerLimits::new().calls_in_flight(1).by(|_: &Request| Some(()));
    let endpoint = limited(|limits| limits.call_time_max = SECOND)
        .on(EVENS, evens)
        .on(Command::<String, String, Line>::new("PANIC"), panics)
        .on(HOLD, hold)
        .layer(limits);
    for (how, end) in ends {
        for client in clients_of(&endpoint) {
            end(&client).await;
            drop(client);
            settle().await;
            let free = endpoint.client().call(ECHO, &"x".into()).await;
            assert_eq!(free.unwrap_or_else(|error| error.to_string()), "x", "{how}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_however_a_call_ends() {
    check_given_back(&[
        ("answered", |client| Box::pin(async { drop(call(client, "ECHO").await.unwrap()) })),
        ("cancelled", |client| {
            Box::pin(async {
                let call = tokio::spawn(call(client, "HOLD").into_future());
                settle().await;
                call.abort();
            })
        }),
        ("late", |client| {
            Box::pin(async { drop(call(client, "HOLD").timeout(MS).await.unwrap_err()) })
        }),
        ("late by a limit", |client| {
            Box::pin(async { drop(call(client, "HOLD").await.unwrap_err()) })
        }),
        ("panics", |client| Box::pin(async { drop(call(client, "PANIC").await.unwrap_err()) })),
        ("refused behind it", |client| {
            Box::pin(async {
                let command = Command::<u32, u32, Json>::new("LETTERS");
                drop(client.call(command, &7).await.unwrap_err());
            })
        }),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_place_is_given_back_by_one_way_calls_streams_and_what_a_close_cuts_off() {
    check_given_back(&[
        ("one-way", |client| {
            Box::pin(async {
                client.notify(Command::<_, String, Line>::new("HOLD"), &"x".into()).await.unwrap();
                sleep(SECOND * 2).await;
            })
        }),
        ("given up between items", |client| {
            Box::pin(async {
                let mut items = client.call(EVENS, &());
                items.send(&2).await.unwrap();
                assert_eq!(items.next().await.unwrap().unwrap(), 2);
            })
        }),
        ("items to the end", |client| {
            Box::pin(async {
                let mut items = client.call(EVENS, &());
                items.send(&3).await.unwrap();
                items.finish().await.unwrap();
            })
        }),
        ("closed", |client| {
            Box::pin(async {
                let call = tokio::spawn(call(client, "HOLD").into_future());
                settle().await;
                client.clone().close().await;
                drop(call.await.unwrap());
            })
        }),
    ])
    .await;
}

fn call(client: &Client, name: &'static str) -> Call<String> {
    client.call(Command::<String, String, Line>::new(name), &"x".to_owned())
}

/// What one bound refuses uses nothing of the others.
#[tokio::test(start_paused = true)]
async fn a_refused_call_uses_nothing() {
    let limits = PeerLimits::new().calls_per_second(1, 2).bytes_per_second(100);
    let door = door(limits);
    let (half, rest) = ("x".repeat(50), "x".repeat(60));
    let calls = [(half.as_str(), "1.1.1.1"), (&rest, "1.1.1.1"), (&rest, "1.1.1.1")];
    assert_eq!(waits(&door, &calls).await, [0, 600, 600]);
    advance(MS * 600).await;
    assert_eq!(waits(&door, &[(&rest, "1.1.1.1"), ("", "1.1.1.1")]).await, [0, 400]);
}

#[tokio::test(start_paused = true)]
async fn the_program_says_whose_a_call_is() {
    let by_tenant =
        |request: &Request| request.metadata().get("tenant-id").map(|tenant| tenant.into_owned());
    let limits = PeerLimits::new().calls_per_second(1, 1).by(by_tenant);
    let endpoint = endpoint().layer(limits);
    let client = client(&endpoint);
    for tenant in ["a", "b"] {
        let text = "x".to_owned();
        client.call(ECHO, &text).metadata("tenant-id", tenant).await.unwrap();
        let call = client.call(ECHO, &text).metadata("tenant-id", tenant);
        assert_eq!(wait_of(&call.await.unwrap_err()), 1000);
    }
    // Calls of nobody are not bounded.
    for _ in 0..10 {
        client.call(ECHO, &"x".into()).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn invented_peers_share_what_one_may_do() {
    let door = door(PeerLimits::new().calls_per_second(1, 1).peers_max(100));
    let mut passed = 0;
    for n in 0..100_000_u32 {
        let ip = format!("2001:db8:{:x}:{:x}::1", n >> 16, n & 0xffff);
        let is_known = n < 100;
        let wait = waits(&door, &[("x", &ip)]).await[0];
        assert!(!is_known || wait == 0, "{ip}");
        passed += u32::from(wait == 0);
    }
    assert_eq!(passed, 101, "100 have an entry of their own, and one has that of all others");
    // Those that have one keep it.
    assert_eq!(waits(&door, &[("x", "2001:db8:0:5::9")]).await, [1000]);
    // When theirs are free again, others get them.
    sleep(SECOND).await;
    let calls = [("x", "9.9.9.9"), ("x", "8.8.8.8"), ("x", "9.9.9.9")];
    assert_eq!(waits(&door, &calls).await, [0, 0, 1000]);
}

/// Whatever it is that a peer has used up, it does not get more by being forgotten.
#[tokio::test(start_paused = true)]
async fn who_has_used_something_is_not_forgotten() {
    let long = "x".repeat(50);
    let calls = [(long.as_str(), "1.1.1.1"), (&long, "2.2.2.2"), (&long, "1.1.1.1")];
    for (limits, wait) in [
        (PeerLimits::new().bytes_per_second(100), 500),
        (PeerLimits::new().calls_per_second(1, 1), 1000),
    ] {
        assert_eq!(waits(&door(limits.peers_max(1)), &calls).await, [0, 0, wait]);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_among_others_is_given_back_there() {
    let gate = Arc::new(Semaphore::new(0));
    let hold = async |gate: Arc<Semaphore>, text: String| {
        gate.acquire().await.unwrap().forget();
        Ok::<_, Error>(text)
    };
    let limits = PeerLimits::new().calls_in_flight(1).peers_max(1);
    let door = endpoint().on(HOLD, with_state(&gate, hold)).layer(limits).door();
    let held = |last: u8| {
        let request = Request::new("HOLD", "x").unwrap().with_format("line").unwrap();
        let peer = Identity::tcp(SocketAddr::from(([1, 1, 1, last], 1)));
        tokio::spawn(door.call(request.with_peer(peer)))
    };
    for _ in 0..3 {
        let (known, other) = (held(1), held(2));
        settle().await;
        assert!(held(3).await.unwrap().is_err(), "of the others one is under way");
        gate.add_permits(1);
        known.await.unwrap().unwrap();
        // There is room in the table now, and the call of the other is not counted in it.
        sleep(SECOND).await;
        let again = held(2);
        settle().await;
        gate.add_permits(2);
        other.await.unwrap().unwrap();
        again.await.unwrap().unwrap();
        sleep(SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_obeys_the_time_to_wait() {
    let door = door(PeerLimits::new().calls_per_second(10, 1));
    let mut calls = 0;
    while calls < 20 {
        match door.call(request("x", "1.1.1.1")).await {
            Ok(_) => calls += 1,
            Err(error) => sleep(error.retry_after().unwrap()).await,
        }
    }
}
