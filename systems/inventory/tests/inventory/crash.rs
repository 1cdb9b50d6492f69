//! kill -9 of the inventory under load, and again: no order twice, and none lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use switchboard_inventory::{Kept, RESERVE, Reservation, Reserved};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::{Folder, Program};

const CALLERS: usize = 8;

const STOCK: i64 = 1_000_000;

/// How often it is killed; `INVENTORY_CRASHES` says another number.
const CRASHES: usize = 25;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_doubles_no_order_and_loses_none() {
    let crashes = std::env::var("INVENTORY_CRASHES").map_or(CRASHES, |text| text.parse().unwrap());
    let folder = Folder::new("crash");
    let mut inventory = Program::inventory(&folder, &[("LOG", "warn")]);
    folder.fill(STOCK);
    let is_over = Arc::new(AtomicBool::new(false));
    let (tell, mut told) = mpsc::channel(1000);
    for caller in 0..CALLERS {
        let (tell, is_over) = (tell.clone(), Arc::clone(&is_over));
        let address = folder.inventory();
        tokio::spawn(async move { reserve_until(caller, address, &is_over, tell).await });
    }
    drop(tell);
    let (mut answered, mut repeated, mut crash) = (HashMap::new(), 0, 0);
    let mut next = 20;
    while let Some((reserved, repeats)) = told.recv().await {
        repeated += u32::from(repeats > 0);
        let before = answered.insert(reserved.order.clone(), reserved);
        assert_eq!(before, None, "an order is answered once");
        if answered.len() >= next && crash < crashes {
            inventory.signal(Signal::KILL);
            let (code, log) = inventory.end();
            assert_eq!((code, log.contains("ERROR")), (None, false), "{log}");
            check(&folder, &answered);
            inventory = Program::inventory(&folder, &[("LOG", "warn")]);
            // At other places of a commit each time.
            crash += 1;
            next = answered.len() + 20 + 3 * crash;
        }
        is_over.store(crash == crashes && answered.len() >= next, Ordering::SeqCst);
    }
    // Now all that was asked is answered: nobody gave up.
    assert_eq!(check(&folder, &answered), answered.len());
    assert!(repeated > 0, "no order was asked for again");
    check_repeats(&folder, &answered).await;
    println!("{crashes} kills, {} orders, {repeated} asked for again", answered.len());
}

/// Reserves for one order after the other, and asks for each until it is answered.
async fn reserve_until(
    caller: usize,
    address: String,
    is_over: &AtomicBool,
    tell: mpsc::Sender<(Reserved, u32)>,
) {
    let kept = Kept::to(address);
    for number in 0.. {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        let count = 1 + number % 3;
        let asked = Reservation::new(format!("order {caller}-{number}"), "item1", count);
        let deadline = Instant::now() + Duration::from_secs(60);
        let (reserved, repeats) =
            kept.call(deadline, |client| client.call(RESERVE, &asked)).await.unwrap();
        assert_eq!((&reserved.order, reserved.count), (&asked.order, count));
        tell.send((reserved, repeats)).await.unwrap();
    }
}

/// What was answered is there, once, and the sum is what was there at first. How many there are.
fn check(folder: &Folder, answered: &HashMap<String, Reserved>) -> usize {
    let kept = folder.kept();
    assert_eq!(kept.sum("item1"), STOCK.cast_unsigned());
    let made: HashMap<_, _> = kept
        .reservations
        .iter()
        .map(|(order, item, count, left)| (order, (item, *count, *left)))
        .collect();
    assert_eq!(made.len(), kept.reservations.len());
    for (order, told) in answered {
        assert_eq!(made.get(order), Some(&(&told.item, told.count, told.left)), "{order}");
    }
    made.len()
}

/// All of them again: they get the answers of before, and nothing changes.
async fn check_repeats(folder: &Folder, answered: &HashMap<String, Reserved>) {
    let (before, kept) = (folder.kept(), Kept::to(folder.inventory()));
    for told in answered.values() {
        let asked = Reservation::new(&told.order, &told.item, told.count);
        let deadline = Instant::now() + Duration::from_secs(60);
        let again = kept.call(deadline, |client| client.call(RESERVE, &asked)).await.unwrap();
        assert_eq!(&again.0, told);
    }
    assert_eq!(folder.kept(), before);
}
