//! The side that answers.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use switchboard::{
    Code, Connection, Context, Endpoint, Error, Report, Result, transport, with_state,
};

use crate::data::{CHECK_STOCK, ComplexData, SQUARE, STRING, STRUCT, WAIT};

/// Serves until Ctrl-C or SIGTERM, lets calls under way finish, and says how it went.
pub(crate) async fn run(address: &str) -> anyhow::Result<()> {
    let signal = stop_signal()?;
    let listener = transport::bind(address).await?;
    println!("listening at {}; Ctrl-C stops", listener.local_address()?);

    let stop = async {
        signal.await;
        println!("stopping: calls under way may finish");
    };
    let report = endpoint().serve_until(listener, stop).await?;
    println!("{}", in_words(&report));
    Ok(())
}

fn endpoint() -> Endpoint {
    let stock = [("item1".to_owned(), 100), ("item2".to_owned(), 50)];
    let inventory = Arc::new(Inventory(stock.into()));
    let endpoint = Endpoint::new()
        .on_raw(STRING, string)
        .on(STRUCT, complex_data)
        .on(CHECK_STOCK, with_state(&inventory, Inventory::check_stock))
        .on(SQUARE, square)
        .on(WAIT, wait);
    #[cfg(feature = "gob")]
    let endpoint = endpoint.on_raw(crate::data::GOB, crate::gob::receive);
    endpoint
}

async fn string(connection: &mut Connection) -> Result<()> {
    let line = connection.read_line().await?.unwrap_or_default();
    println!("STRING: {line:?}");
    connection.write_line("Thank you.").await
}

async fn complex_data(data: ComplexData) -> Result<ComplexData> {
    println!("STRUCT: {data}");
    Ok(data)
}

struct Inventory(HashMap<String, u32>);

impl Inventory {
    async fn check_stock(self: Arc<Self>, item: String) -> Result<u32> {
        let count = self.0.get(&item).copied();
        count.ok_or_else(|| Error::new(Code::Failed, format!("there is no {item:?}")))
    }
}

async fn square(number: u32) -> Result<u64> {
    Ok(u64::from(number).pow(2))
}

async fn wait(milliseconds: u64, context: Context) -> Result<()> {
    let left = context.time_left().as_millis();
    println!("WAIT: {milliseconds} ms, for a caller who has {left} ms left");
    let stopped = Stopped;
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
    std::mem::forget(stopped);
    Ok(())
}

/// Dropped with the handler if its caller gives up: a handler is stopped at its await.
struct Stopped;

impl Drop for Stopped {
    fn drop(&mut self) {
        println!("WAIT: stopped, nobody waits for it any more");
    }
}

fn in_words(report: &Report) -> String {
    let Report { connections, connections_refused, calls_answered, calls_cut_off, .. } = report;
    let Report { one_way_calls, one_way_calls_refused, .. } = report;
    format!(
        "stopped: {connections} connections served, {connections_refused} turned away; \
         {calls_answered} tagged calls answered, {calls_cut_off} cut off; \
         {one_way_calls} one-way calls run, {one_way_calls_refused} not"
    )
}

/// Ready at the first Ctrl-C or SIGTERM; either counts from now on, not from the first await.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ready at the first Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}
