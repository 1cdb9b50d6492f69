//! The demo: both services as processes of their own, and a burst of orders, told in few lines.
//!
//! It starts itself again for each service, so one command builds and runs all of it. It ends with
//! 1 if anything is not as it says. What differs from run to run stands in brackets.

mod burst;
mod services;

use std::process::ExitCode;
use std::time::Duration;

use futures_util::future::join_all;
use switchboard::{Client, Code, Connection};
use switchboard_inventory::{
    CHECK_STOCK, Inventory, PLACE_ORDER, RECOUNT, RECOUNT_BLOCKING, Reservation, Settings, program,
};

use burst::burst;
use services::{Done, Folder, Service, check, figure, scrape};

#[tokio::main]
async fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("inventory") => program::inventory().await,
        Some("orders") => program::order_service().await,
        _ => match demo().await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("error: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

async fn demo() -> Done<()> {
    let folder = Folder::new()?;
    let mut inventory = Service::inventory(&folder).await?;
    let orders = Service::orders(&folder).await?;
    show_cache(&folder, &inventory).await?;
    show_doors(&inventory).await?;
    show_second_registration(&folder)?;
    show_time_limit(&folder, &inventory).await?;
    burst(&folder, &mut inventory).await?;
    show_stop(&folder, inventory, orders).await
}

async fn show_cache(folder: &Folder, inventory: &Service) -> Done<()> {
    let clients = join_all((0..40).map(|_| Client::connect(folder.inventory()))).await;
    let clients = clients.into_iter().collect::<Result<Vec<_>, _>>()?;
    let item1 = "item1".to_owned();
    let stocks = join_all(clients.iter().map(|client| client.call(CHECK_STOCK, &item1))).await;
    let stocks = stocks.into_iter().collect::<Result<Vec<_>, _>>()?;
    let page = scrape(&inventory.http).await?;
    let [requests, loads] =
        ["requests", "loads"].map(|what| figure(&page, &format!("inventory_cache_{what}_total")));
    check(stocks.iter().all(|stock| *stock == 100), "a client heard of another stock")?;
    let client = Client::connect(folder.inventory()).await?;
    let item2 = client.call(CHECK_STOCK, &"item2".to_owned()).await?;
    println!("stock       100 of item1, {item2} of item2");
    println!("cache       40 clients ask for item1 at once: {requests} requests, {loads} load");
    Ok(())
}

async fn show_doors(inventory: &Service) -> Done<()> {
    let line = r#"{"Method":"CheckStock","Params":"item1"}"#;
    let mut lines = Connection::connect(inventory.lines.as_str()).await?;
    lines.write_line(line).await?;
    println!("JSON line   {line} -> {}", lines.read_line().await?.unwrap_or_default());
    let page = scrape(&inventory.http).await?;
    println!("metrics     GET /metrics has lines such as these:");
    for begin in ["inventory_cache_requests", "switchboard_calls_total{command=\"CheckStock\""] {
        for line in page.lines().filter(|line| line.starts_with(begin)) {
            println!("            {line}");
        }
    }
    Ok(())
}

fn show_second_registration(folder: &Folder) -> Done<()> {
    let settings = Settings::default();
    let endpoint = Inventory::open(folder.path("other.sqlite"), &settings)?.endpoint(&settings);
    let refused = endpoint.add(CHECK_STOCK, async |_: String| Ok::<_, switchboard::Error>(7));
    println!("duplicate   {}", refused.err().ok_or("a second registration was taken")?);
    Ok(())
}

async fn show_time_limit(folder: &Folder, inventory: &Service) -> Done<()> {
    let client = Client::connect(folder.inventory()).await?;
    let counts = [client.call(RECOUNT, &()), client.call(RECOUNT_BLOCKING, &())];
    for (name, counted) in ["RECOUNT", "RECOUNT_BLOCKING"].into_iter().zip(join_all(counts).await) {
        let code = counted.err().map(|error| error.code());
        check(code == Some(Code::DeadlineExceeded), "a slow count was not stopped")?;
        println!("time limit  {name}: {}, after 1 s", Code::DeadlineExceeded);
    }
    // The thread may have had a piece in hand.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let counter = async || {
        let page = scrape(&inventory.http).await?;
        Done::Ok(figure(&page, "inventory_recount_pieces_total"))
    };
    let before = counter().await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    check(counter().await? == before, "somebody still counts")?;
    println!("            their counter stands still ({before} of 300 pieces)");
    Ok(())
}

async fn show_stop(folder: &Folder, inventory: Service, orders: Service) -> Done<()> {
    println!("stop        the inventory ended with {}", inventory.stop().await?);
    let client = Client::connect(folder.orders()).await?;
    let order = Reservation::new("late", "item1", 1);
    let late = client.call(PLACE_ORDER, &order).timeout(Duration::from_millis(500)).await;
    let error = late.err().ok_or("an order was placed without an inventory")?;
    check(error.is_transient(), "an order without an inventory is wrong for ever")?;
    println!("            {error}");
    println!("            the orders ended with {}", orders.stop().await?);
    Ok(())
}
