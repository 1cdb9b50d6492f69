//! Both services are stopped under load, either of them first: what was answered is so, what was
//! under way is answered, and the other one goes on.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use switchboard::{Client, Code, Error};
use switchboard_inventory::{PLACE_ORDER, Reservation};
use tokio::sync::mpsc;

use crate::support::{Folder, Program};

const CALLERS: usize = 8;

const STOCK: i64 = 1_000_000;

/// What became of an order.
type Told = (String, Result<(), Error>);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inventory_first_by_sigterm() {
    check_inventory_first(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inventory_first_by_sigint() {
    check_inventory_first(Signal::INT).await;
}

async fn check_inventory_first(signal: Signal) {
    let folder = Folder::new(&format!("first-{}", signal.as_raw()));
    let inventory = Program::inventory(&folder, &[]);
    folder.fill(STOCK);
    let orders = Program::orders(&folder, &[]);
    let (is_over, mut told) = load(&orders, Duration::from_millis(500)).await;
    let (mut placed, mut failed) = (BTreeSet::new(), 0);
    until(&mut told, &mut placed, &mut failed, |placed, _| placed == 50).await;
    inventory.signal(signal);
    let (code, log) = inventory.end();
    assert_eq!((code, log.contains("ERROR")), (Some(0), false), "{log}");
    // The order service is there, and says that it cannot now.
    let before = failed;
    until(&mut told, &mut placed, &mut failed, |_, failed| failed == before + 20).await;

    let inventory = Program::inventory(&folder, &[]);
    let (before, said) = (placed.len(), failed);
    until(&mut told, &mut placed, &mut failed, |placed, _| placed == before + 50).await;
    is_over.store(true, Ordering::SeqCst);
    until(&mut told, &mut placed, &mut failed, |_, _| false).await;
    orders.signal(signal);
    let (code, log) = orders.end();
    assert_eq!((code, log.contains("ERROR")), (Some(0), false), "{log}");
    inventory.signal(signal);
    assert_eq!(inventory.end().0, Some(0));

    // One whose caller was told to come again may have been placed at the last moment.
    let kept = folder.kept();
    let made: BTreeSet<_> = kept.reservations.iter().map(|(order, ..)| order.clone()).collect();
    assert!(placed.is_subset(&made));
    assert_eq!(kept.sum("item1"), STOCK.cast_unsigned());
    println!("{signal:?}: {} placed, {said} told to come again", placed.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_orders_first_by_sigterm() {
    check_orders_first(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_orders_first_by_sigint() {
    check_orders_first(Signal::INT).await;
}

async fn check_orders_first(signal: Signal) {
    let folder = Folder::new(&format!("then-{}", signal.as_raw()));
    let inventory = Program::inventory(&folder, &[]);
    folder.fill(STOCK);
    let orders = Program::orders(&folder, &[]);
    let (_is_over, mut told) = load(&orders, Duration::from_secs(30)).await;
    let (mut placed, mut stopped) = (BTreeSet::new(), false);
    // Each caller goes on until it is refused.
    while let Some((order, result)) = told.recv().await {
        match result {
            Ok(()) => assert!(placed.insert(order)),
            Err(error) => assert!(error.is_safe_to_retry(), "{error}: it may have been placed"),
        }
        if placed.len() == 50 && !stopped {
            orders.signal(signal);
            stopped = true;
        }
    }
    let (code, log) = orders.end();
    assert_eq!((code, log.contains("ERROR")), (Some(0), false), "{log}");
    // All that was accepted was answered: nobody has a reservation who does not know of it.
    let kept = folder.kept();
    let made: BTreeSet<_> = kept.reservations.iter().map(|(order, ..)| order.clone()).collect();
    assert_eq!(made, placed);
    assert_eq!(kept.sum("item1"), STOCK.cast_unsigned());
    inventory.signal(signal);
    assert_eq!(inventory.end().0, Some(0));
    println!("{signal:?}: {} placed, and as many reserved", placed.len());
}

/// Callers that place one order after the other, until it is over or they are refused for good.
async fn load(orders: &Program, time: Duration) -> (Arc<AtomicBool>, mpsc::Receiver<Told>) {
    let is_over = Arc::new(AtomicBool::new(false));
    let (tell, told) = mpsc::channel(1);
    for caller in 0..CALLERS {
        let (tell, is_over) = (tell.clone(), Arc::clone(&is_over));
        let client = Client::connect(orders.commands.as_str()).await.unwrap();
        tokio::spawn(async move {
            for number in 0.. {
                if is_over.load(Ordering::SeqCst) {
                    return;
                }
                let order = format!("{caller}-{number}");
                let asked = Reservation::new(order.as_str(), "item1", 1);
                let placed = client.call(PLACE_ORDER, &asked).timeout(time).await.map(|_| ());
                let is_end = placed.is_err() && client.is_closed();
                let is_stop = placed.as_ref().is_err_and(|e| e.code() == Code::ShuttingDown);
                tell.send((order, placed)).await.unwrap();
                if is_end || is_stop {
                    return;
                }
            }
        });
    }
    (is_over, told)
}

/// Hears what becomes of orders until it is enough, or all callers have ended.
async fn until(
    told: &mut mpsc::Receiver<Told>,
    placed: &mut BTreeSet<String>,
    failed: &mut usize,
    is_enough: impl Fn(usize, usize) -> bool,
) {
    let hearing = async {
        while !is_enough(placed.len(), *failed) {
            match told.recv().await {
                Some((order, Ok(()))) => assert!(placed.insert(order)),
                Some((_, Err(error))) => {
                    assert!(error.is_transient(), "{error}");
                    let is_said = error.code() == Code::DeadlineExceeded
                        || error.text().contains("the inventory does not answer");
                    assert!(is_said, "{error}");
                    *failed += 1;
                }
                None => return,
            }
        }
    };
    // A service that does not come to life again would be waited for without an end.
    tokio::time::timeout(Duration::from_secs(60), hearing).await.expect("it is soon enough");
}
