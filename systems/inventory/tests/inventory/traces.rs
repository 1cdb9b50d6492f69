//! One trace through both services, as their logs tell it.

use rustix::process::Signal;
use switchboard::{Client, Traceparent};
use switchboard_inventory::{PLACE_ORDER, Reservation};

use crate::support::{Folder, Program};

#[tokio::test]
async fn both_logs_have_the_trace_of_an_order() {
    let folder = Folder::new("traces");
    let inventory = Program::inventory(&folder, &[]);
    let orders = Program::orders(&folder, &[]);
    let client = Client::connect(orders.commands.as_str()).await.unwrap();
    let trace = Traceparent::begin();
    let order = |id: &str| client.call(PLACE_ORDER, &Reservation::new(id, "item1", 1));
    order("with").trace(trace.clone()).await.unwrap();
    order("without").await.unwrap();

    orders.signal(Signal::TERM);
    inventory.signal(Signal::TERM);
    let ((_, orders), (_, inventory)) = (orders.end(), inventory.end());
    let begun = format!("{:032x}", trace.trace_id());
    let told = |log: &str, what: &str, order: &str| {
        let line = log.lines().find(|line| line.contains(what) && line.contains(order));
        let line = line.unwrap_or_else(|| panic!("no {what} {order} in {log}"));
        println!("{line}");
        let (_, rest) = line.split_once("trace_id=\"").unwrap();
        rest[..32].to_owned()
    };
    assert_eq!(told(&orders, "placed", r#"order="with""#), begun);
    assert_eq!(told(&inventory, "reserved", r#"order="with""#), begun);
    // One that its caller has not begun, begins at the order service.
    let without = told(&orders, "placed", r#"order="without""#);
    assert_eq!(told(&inventory, "reserved", r#"order="without""#), without);
    assert_ne!(without, begun);
}
