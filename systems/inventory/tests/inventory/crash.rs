//! kill -9 of either service under load, and again: no order twice, and none lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use switchboard::{Client, service::ChannelState};
use switchboard_inventory::{PLACE_ORDER, RESERVE, Reservation, inventory_at};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

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
    let client = inventory_at(&address).unwrap().client();
    let connected = connections_of(&client);
    for caller in 0..CALLERS {
        let caller = Caller { client: client.clone(), door, number: caller };
        let (tell, is_over) = (tell.clone(), Arc::clone(&is_over));
        tokio::spawn(async move { caller.reserve_until(&is_over, tell).await });
    }
    drop((tell, client));
    let (mut answered, mut crash) = (Answered::new(), 0);
    let mut next = 20;
    while let Some((order, told)) = told.recv().await {
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
    check_repeats(&folder, &answered).await;
    let connected = connected.await.unwrap();
    println!("{door:?}: {crashes} kills, {} orders, {connected} connections", answered.len());
}

fn kill(program: Program) {
    program.signal(Signal::KILL);
    let (code, log) = program.end();
    assert_eq!((code, log.contains("ERROR")), (None, false), "{log}");
}

/// Asks for one order after the other, and for each until it is answered.
struct Caller {
    client: Client,
    door: Door,
    number: usize,
}

impl Caller {
    async fn reserve_until(
        self,
        is_over: &AtomicBool,
        tell: mpsc::Sender<(String, (String, u64, u64))>,
    ) {
        for number in 0.. {
            if is_over.load(Ordering::SeqCst) {
                return;
            }
            let order = format!("order {}-{number}", self.number);
            let asked = Reservation::new(order.as_str(), "item1", 1 + number % 3);
            let left = self.ask(&asked).await;
            tell.send((order, (asked.item, asked.count, left))).await.unwrap();
        }
    }

    /// The client asks again for as long as it takes.
    async fn ask(&self, asked: &Reservation) -> u64 {
        let time = Duration::from_secs(60);
        let (order, count, left) = match self.door {
            Door::Inventory => {
                let reserved = self.client.call(RESERVE, asked).timeout(time).await.unwrap();
                (reserved.order, reserved.count, reserved.left)
            }
            Door::Orders => {
                let placed = self.client.call(PLACE_ORDER, asked).timeout(time).await.unwrap();
                (placed.order, placed.count, placed.left)
            }
        };
        assert_eq!((&order, count), (&asked.order, asked.count));
        left
    }
}

/// How often it has connected when it is closed.
fn connections_of(client: &Client) -> JoinHandle<usize> {
    let mut states = client.states();
    tokio::spawn(async move {
        let mut connected = 0;
        while let Some(state) = states.next().await {
            connected += usize::from(state == ChannelState::Connected);
        }
        connected
    })
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
    let client = inventory_at(&folder.inventory()).unwrap().client();
    let again = Caller { client, door: Door::Inventory, number: 0 };
    for (order, (item, count, left)) in answered {
        let asked = Reservation::new(order, item, *count);
        assert_eq!(again.ask(&asked).await, *left);
    }
    assert_eq!(folder.kept(), before);
}
