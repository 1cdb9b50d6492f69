//! The burst: eight clients place more orders than there is stock for, and in the middle of it the
//! inventory is killed.
//!
//! What each order becomes depends on who comes first, but how many are placed does not: all orders
//! of an item have the same count.

use std::fs;

use rusqlite::{Connection, OpenFlags};
use switchboard::{Client, Code, Result, Traceparent};
use switchboard_inventory::{PLACE_ORDER, Placed, Refused, Reservation};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::services::{Done, Folder, Service, check, figure, scrape};

pub(crate) async fn burst(folder: &Folder, inventory: &mut Service) -> Done<()> {
    let first = Traceparent::begin();
    let (tell, mut told) = mpsc::channel(ORDERS);
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let (address, trace, tell) = (folder.orders(), first.clone(), tell.clone());
        clients.spawn(async move { place_orders(client, address, trace, tell).await });
    }
    drop(tell);
    let (mut accepted, mut sold_out, mut answers) = (0_u32, 0_u32, 0_usize);
    while let Some(outcome) = told.recv().await {
        let counted = if outcome.is_some() { &mut accepted } else { &mut sold_out };
        *counted = counted.saturating_add(1);
        answers = answers.saturating_add(1);
        if answers == KILLED_AT {
            inventory.kill().await?;
            *inventory = Service::inventory(folder).await?;
        }
    }
    while let Some(ended) = clients.join_next().await {
        ended??;
    }
    let page = scrape(&inventory.http).await?;
    let overloaded: u64 = ["CHECK_STOCK", "RESERVE"]
        .map(|command| {
            let labels = format!(r#"{{command="{command}",code="overloaded"}}"#);
            figure(&page, &format!("switchboard_calls_total{labels}"))
        })
        .iter()
        .sum();
    check(overloaded > 0, "nobody was slowed down")?;
    println!(
        "burst       {ORDERS} orders of {CLIENTS} clients; kill -9 of the inventory at {KILLED_AT}"
    );
    let lost = ORDERS.saturating_sub(answers);
    println!("            {accepted} accepted, {sold_out} sold out, {lost} without an answer");
    println!(
        "rate limit  then calls were refused, and came again after retry= ({overloaded} times)"
    );
    show_file(folder, accepted)?;
    show_trace(folder, &first)
}

/// Places this client's share of the orders, and tells of each: `None` if it is sold out.
async fn place_orders(
    client: usize,
    address: String,
    first: Traceparent,
    tell: mpsc::Sender<Option<Placed>>,
) -> Result<()> {
    let orders = Client::connect(address).await?;
    for number in (client..ORDERS).step_by(CLIENTS) {
        // Of both items together as much as there is, and a fifth more.
        let (item, count) = if number % 2 == 0 { ("item1", 2) } else { ("item2", 1) };
        let asked = Reservation::new(format!("order {number}"), item, count);
        let trace = if number == 0 { first.clone() } else { Traceparent::begin() };
        let placed = loop {
            match orders.call(PLACE_ORDER, &asked).trace(trace.clone()).await {
                Ok(placed) => break Some(placed),
                Err(error) if error.is_transient() => {
                    sleep(error.retry_after().unwrap_or_default()).await;
                }
                Err(error) if is_sold_out(&error) => break None,
                Err(error) => return Err(error),
            }
        };
        // Whoever has not begun the burst does not count.
        let _ = tell.send(placed).await;
    }
    Ok(())
}

fn is_sold_out(error: &switchboard::Error) -> bool {
    error.code() == Code::Conflict
        && matches!(error.details::<Refused>(), Some(Ok(Refused::TooLittle { .. })))
}

/// What the file says when all is over.
fn show_file(folder: &Folder, accepted: u32) -> Done<()> {
    let file = folder.path("inventory.sqlite");
    let file = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let number = |sql: &str| file.query_row(sql, [], |row| row.get::<_, u32>(0));
    let stock = number("SELECT sum(count) FROM stock")?;
    let (made, reserved) = (
        number("SELECT count(*) FROM reservations")?,
        number("SELECT sum(count) FROM reservations")?,
    );
    println!("file        {stock} pieces in stock, {reserved} reserved by {made} orders");
    check(made == accepted, "an order was lost, or is there twice")?;
    check(stock.checked_add(reserved) == Some(150), "pieces were lost, or reserved twice")
}

/// Whether both logs have the trace of the first order.
fn show_trace(folder: &Folder, first: &Traceparent) -> Done<()> {
    let id = format!("{:032x}", first.trace_id());
    for (log, word) in [("orders", "placed"), ("inventory", "reserved")] {
        let text = fs::read_to_string(folder.path(&format!("{log}.log")))?;
        let is_told = text.lines().any(|line| line.contains(word) && line.contains(&id));
        check(is_told, &format!("the trace {id} is not in the log of the {log}"))?;
    }
    println!("trace       {id} of the first order is in both logs");
    Ok(())
}

const ORDERS: usize = 120;

const CLIENTS: usize = 8;

/// Answers after which the inventory is killed.
const KILLED_AT: usize = 40;
