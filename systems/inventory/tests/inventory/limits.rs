//! The limits of the inventory: on the time of a call, which really ends, and on each client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use switchboard::{Client, Code, Endpoint, transport};
use switchboard_inventory::{
    CHECK_STOCK, Inventory, PLACE_ORDER, RECOUNT, RECOUNT_BLOCKING, Reservation, Settings,
    inventory_at, orders,
};
use tokio::net::TcpSocket;
use tokio::time::{advance, pause, sleep};

use crate::support::Folder;

fn open(folder: &Folder, settings: &Settings) -> (Arc<Inventory>, Endpoint) {
    let inventory = Inventory::open(folder.database(), settings).unwrap();
    let endpoint = inventory.endpoint(settings);
    (inventory, endpoint)
}

#[tokio::test]
async fn a_slow_count_stops_at_its_limit() {
    let folder = Folder::new("recount");
    let (inventory, endpoint) = open(&folder, &Settings::default());
    let counting = tokio::spawn(async move { endpoint.client().call(RECOUNT, &()).await });
    while inventory.recounted().pieces() == 0 {
        // Real time: the file is read by a thread, for which a clock that is paused does not wait.
        sleep(Duration::from_millis(1)).await;
    }
    pause();
    assert_eq!(counting.await.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    let pieces = inventory.recounted().pieces();
    assert!((1..=50).contains(&pieces), "{pieces} of 150 pieces at 10 in a second, for 5 s");
    advance(Duration::from_secs(60)).await;
    tokio::task::yield_now().await;
    assert_eq!(inventory.recounted().pieces(), pieces);
    println!("{pieces} pieces, and a minute later as many");
}

#[tokio::test]
async fn a_slow_count_on_a_thread_sees_that_nobody_waits() {
    let folder = Folder::new("blocking");
    let settings = Settings::default().with(|settings| {
        settings.call_time_max = Duration::from_millis(200);
        settings.recount_pause = Duration::from_millis(10);
    });
    let (inventory, endpoint) = open(&folder, &settings);
    let counted = endpoint.client().call(RECOUNT_BLOCKING, &()).await;
    assert_eq!(counted.unwrap_err().code(), Code::DeadlineExceeded);
    while inventory.recounted().threads() > 0 {
        // Real time: it is a thread of its own that ends.
        sleep(Duration::from_millis(1)).await;
    }
    // Nobody is left who could count more.
    let pieces = inventory.recounted().pieces();
    assert!(pieces < 150, "{pieces} of 150 pieces");
}

#[tokio::test]
async fn a_count_that_is_quick_enough_ends() {
    let folder = Folder::new("quick");
    let settings = Settings::default().with(|settings| settings.recount_pause = Duration::ZERO);
    let (inventory, endpoint) = open(&folder, &settings);
    let client = endpoint.client();
    assert_eq!(client.call(RECOUNT, &()).await.unwrap(), 150);
    assert_eq!(client.call(RECOUNT_BLOCKING, &()).await.unwrap(), 150);
    assert_eq!(inventory.recounted().pieces(), 300);
}

/// Serves an inventory with this limit on each client; answers where, and the endpoint.
async fn serve(
    folder: &Folder,
    calls_per_second: u32,
    calls_at_once: u32,
) -> (SocketAddr, Endpoint) {
    let settings = Settings::default().with(|settings| {
        settings.calls_per_second = calls_per_second;
        settings.calls_at_once = calls_at_once;
    });
    let (_, endpoint) = open(folder, &settings);
    let listener = transport::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap().to_string();
    let served = endpoint.clone();
    tokio::spawn(async move { served.serve(listener).await });
    (address.parse().unwrap(), endpoint)
}

async fn connect_from(own: &str, address: SocketAddr) -> Client {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(format!("{own}:0").parse().unwrap()).unwrap();
    Endpoint::new().connect_over(socket.connect(address).await.unwrap())
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_when_to_come_again() {
    let folder = Folder::new("rate");
    let (address, _) = serve(&folder, 1, 5).await;
    let (one, other) = (connect_from("127.0.0.1", address), connect_from("127.0.0.2", address));
    let (one, other) = (one.await, other.await);
    let ask = |client: &Client| client.call(CHECK_STOCK, &"item1".to_owned());
    let mut refused = 0;
    for count in 0..50 {
        match ask(&one).await {
            Ok(stock) => assert_eq!(stock, 100),
            Err(error) => {
                assert!(count >= 5, "{error}");
                assert_eq!(error.code(), Code::Overloaded);
                let again = error.retry_after().unwrap();
                assert!(!again.is_zero() && again <= Duration::from_secs(1), "{again:?}");
                assert!(error.is_safe_to_retry());
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
    // Another client has its own.
    for _ in 0..5 {
        assert_eq!(ask(&other).await.unwrap(), 100);
    }
    println!("{refused} of 50 calls of one client were refused");
}

#[tokio::test]
async fn orders_are_slowed_down_and_not_refused() {
    let folder = Folder::new("slowed");
    let (address, endpoint) = serve(&folder, 20, 5).await;
    let inventory = inventory_at(&address.to_string()).unwrap().client();
    let client = orders(&Arc::new(inventory), Duration::from_secs(30)).client();
    let placed: Vec<_> = (0..20)
        .map(|number| {
            let order = Reservation::new(format!("o{number}"), "item1", 1);
            tokio::spawn(client.call(PLACE_ORDER, &order))
        })
        .collect();
    for placed in placed {
        placed.await.unwrap().unwrap();
    }
    let refused = endpoint.stats().calls.errors[&Code::Overloaded];
    assert!(refused > 0);
    assert_eq!(folder.kept().reservations.len(), 20);
    println!("20 orders, {refused} calls refused, and made again");
}
