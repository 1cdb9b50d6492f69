//! kill -9 of either service under load, and again: no order twice, and none lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use switchboard_inventory::{Kept, PLACE_ORDER, RESERVE, Reservation};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::support::{Folder, Program};

const CALLERS: usize = 8;

const STOCK: i64 = 1_000_000;

/// How often one is killed; `INVENTORY_CRASHES` says another number.
const CRASHES: usize = 25;

/// What was answered of an order: item, count and what was left.
type Answered = HashMap<String, (String, u64, u64)>;

/// Whom the callers call.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Door {
    Inventory,
    Orders,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_the_inventory_doubles_no_order_and_loses_none() {
    check_kills(Door::Inventory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_of_either_service_doubles_no_order_and_loses_none() {
    check_kills(Door::Orders).await;
}

async fn check_kills(door: Door) {
    let crashes = std::env::var("INVENTORY_CRASHES").map_or(CRASHES, |text| text.parse().unwrap());
    let folder = Folder::new(&format!("crash-{door:?}"));
    let quiet = [("LOG", "warn")];
    let mut inventory = Program::inventory(&folder, &quiet);
    folder.fill(STOCK);
    let address = folder.address_of(door);
    let at_orders = [("LOG", "warn"), ("COMMAND_ADDRESS", address.as_str())];
    let mut orders = (door == Door::Orders).then(|| Program::orders(&folder, &at_orders));
    let is_over = Arc::new(AtomicBool::new(false));
    let (tell, mut told) = mpsc::channel(1000);
    for caller in 0..CALLERS {
        let caller = Caller { kept: Kept::to(&address), door, number: caller };
        let (tell, is_over) = (tell.clone(), Arc::clone(&is_over));
        tokio::spawn(async move { caller.reserve_until(&is_over, tell).await });
    }
    drop(tell);
    let (mut answered, mut repeated, mut crash) = (Answered::new(), 0, 0);
    let mut next = 20;
    while let Some((order, told, repeats)) = told.recv().await {
        repeated += u32::from(repeats > 0);
        assert_eq!(answered.insert(order, told), None, "an order is answered once");
        if answered.len() >= next && crash < crashes {
            if crash % 2 == 0
                && let Some(killed) = orders.take()
            {
                kill(killed);
                orders = Some(Program::orders(&folder, &at_orders));
            } else {
                kill(inventory);
                check(&folder, &answered);
                inventory = Program::inventory(&folder, &quiet);
            }
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
    println!("{door:?}: {crashes} kills, {} orders, {repeated} asked for again", answered.len());
}

fn kill(program: Program) {
    program.signal(Signal::KILL);
    let (code, log) = program.end();
    assert_eq!((code, log.contains("ERROR")), (None, false), "{log}");
}

/// Asks for one order after the other, and for each until it is answered.
struct Caller {
    kept: Kept,
    door: Door,
    number: usize,
}

impl Caller {
    async fn reserve_until(
        self,
        is_over: &AtomicBool,
        tell: mpsc::Sender<(String, (String, u64, u64), u32)>,
    ) {
        for number in 0.. {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            let order = format!("order {}-{number}", self.number);
            let asked = Reservation::new(order.as_str(), "item1", 1 + number % 3);
            let (left, repeats) = self.ask(&asked).await;
            tell.send((order, (asked.item, asked.count, left), repeats)).await.unwrap();
        }
    }

    async fn ask(&self, asked: &Reservation) -> (u64, u32) {
        let deadline = Instant::now() + Duration::from_secs(60);
        match self.door {
            Door::Inventory => {
                let call = self.kept.call(deadline, |client| client.call(RESERVE, asked));
                let (reserved, repeats) = call.await.unwrap();
                assert_eq!((&reserved.order, reserved.count), (&asked.order, asked.count));
                (reserved.left, repeats)
            }
            Door::Orders => {
                let call = self.kept.call(deadline, |client| client.call(PLACE_ORDER, asked));
                let (placed, repeats) = call.await.unwrap();
                assert_eq!((&placed.order, placed.count), (&asked.order, asked.count));
                (placed.left, repeats + placed.repeats)
            }
        }
    }
}

impl Folder {
    fn address_of(&self, door: Door) -> String {
        match door {
            Door::Inventory => self.inventory(),
            Door::Orders => self.orders(),
        }
    }
}

/// What was answered is there, once, and the sum is what was there at first. How many there are.
fn check(folder: &Folder, answered: &Answered) -> usize {
    let kept = folder.kept();
    assert_eq!(kept.sum("item1"), STOCK.cast_unsigned());
    let made = kept.reservations.into_iter();
    let made: Answered =
        made.map(|(order, item, count, left)| (order, (item, count, left))).collect();
    for (order, told) in answered {
        assert_eq!(made.get(order), Some(told), "{order}");
    }
    made.len()
}

/// All of them again: they get the answers of before, and nothing changes.
async fn check_repeats(folder: &Folder, answered: &Answered) {
    let before = folder.kept();
    let again = Caller { kept: Kept::to(folder.inventory()), door: Door::Inventory, number: 0 };
    for (order, (item, count, left)) in answered {
        let asked = Reservation::new(order, item, *count);
        assert_eq!(again.ask(&asked).await.0, *left);
    }
    assert_eq!(folder.kept(), before);
}
