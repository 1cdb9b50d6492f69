//! One trace through three processes, as their logs tell it: a client, an order service at a TCP
//! port, and an inventory at a Unix socket.
//!
//! Each is this binary once more. It writes the spans of its calls to its standard output, where
//! the first one reads them. A binary of its own: the subscriber belongs to the whole process.

#![cfg(all(unix, feature = "io", feature = "bincode"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test that goes wrong may panic"
)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{self, Child, ChildStdout, Stdio};

use switchboard::{
    Client, Command, Context, Endpoint, Error, Result, Sender, Streamed, Traceparent, blocking,
    transport,
};
use tokio::io::AsyncReadExt;
use tokio::runtime::Handle;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

// Of the order service.
const ORDER: Command<String, u32> = Command::new("ORDER");
const WATCH: Command<String, Streamed<u32>> = Command::new("WATCH");
const PRICE: Command<String, u32> = Command::new("PRICE");
// Of the inventory.
const CHECK_STOCK: Command<String, u32> = Command::new("CHECK_STOCK");
const LEVELS: Command<String, Streamed<u32>> = Command::new("LEVELS");
const NOTE: Command<String, ()> = Command::new("NOTE");
const AUDIT: Command<String, ()> = Command::new("AUDIT");
// Of the client.
const CONFIRM: Command<String, bool> = Command::new("CONFIRM");

/// Prints each span of a call that belongs to a trace: the process, the command, and the ids.
struct Spans {
    process: String,
}

#[derive(Default)]
struct Fields(HashMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("switchboard")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        let word = |name| fields.0.get(name).map_or("-", String::as_str);
        if span.metadata().name().ends_with("call") {
            let ids = ["trace_id", "parent_id", "span_id"].map(word).join(" ");
            println!("@span {} {} {ids}", word("command"), self.process);
        }
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn inventory() -> Endpoint {
    Endpoint::new()
        .on(CHECK_STOCK, async |_: String| Ok::<_, Error>(100))
        .on(LEVELS, async |_: String, out: Sender<u32>| out.send(&100).await)
        .on(NOTE, async |_: String| Ok::<_, Error>(()))
        .on(AUDIT, async |_: String| Ok::<_, Error>(()))
}

fn orders(inventory: Client) -> Endpoint {
    let (by_watch, by_price) = (inventory.clone(), inventory.clone());
    let order = move |item: String, context: Context| {
        let inventory = inventory.clone();
        async move {
            let stock = inventory.call(CHECK_STOCK, &item).await.map_err(Error::pass_on)?;
            context.client().call(CONFIRM, &item).await.map_err(Error::pass_on)?;
            inventory.notify(NOTE, &item).await?;
            context.spawn(async move { inventory.call(AUDIT, &item).await.unwrap() });
            Ok::<_, Error>(stock)
        }
    };
    let watch = move |item: String, out: Sender<u32>| {
        let inventory = by_watch.clone();
        async move {
            let mut levels = inventory.call(LEVELS, &item);
            while let Some(level) = levels.next().await {
                out.send(&level?).await?;
            }
            Ok::<_, Error>(())
        }
    };
    let price = move |item: String| -> Result<u32> {
        Handle::current().block_on(by_price.call(CHECK_STOCK, &item))
    };
    Endpoint::new().on(ORDER, order).on(WATCH, watch).on(PRICE, blocking(price))
}

/// Serves until the standard input ends.
async fn serve(endpoint: Endpoint, address: &str) {
    let listener = transport::bind(address).await.unwrap();
    println!("@ready {}", listener.local_address().unwrap());
    let stop = async { tokio::io::stdin().read_to_end(&mut Vec::new()).await };
    endpoint.serve_until(listener, stop).await.unwrap();
}

/// Makes its calls in one trace, which it prints, and then one in none.
async fn buy(orders: &str) {
    let here = Endpoint::new().on(CONFIRM, async |_: String| Ok::<_, Error>(true));
    let client = here.connect(orders).await.unwrap();
    let (trace, item) = (Traceparent::begin(), "item1".to_owned());
    let (trace_id, parent_id) = (trace.trace_id(), trace.parent_id());
    println!("@begun {trace_id:032x} {parent_id:016x}");
    assert_eq!(client.call(ORDER, &item).trace(trace.clone()).await.unwrap(), 100);
    let mut levels = client.call(WATCH, &item).trace(trace.clone());
    assert_eq!(levels.next().await.unwrap().unwrap(), 100);
    levels.finish().await.unwrap();
    assert_eq!(client.call(PRICE, &item).trace(trace).await.unwrap(), 100);
    assert_eq!(client.call(PRICE, &item).await.unwrap(), 100);
    client.close().await;
}

#[tokio::main]
async fn run(process: &str, address: &str, other: &str) {
    let spans = Spans { process: process.to_owned() };
    tracing::subscriber::set_global_default(spans).unwrap();
    match process {
        "client" => buy(other).await,
        "inventory" => serve(inventory(), address).await,
        _ => serve(orders(Client::connect(other).await.unwrap()), address).await,
    }
}

/// Another process, and what it prints.
struct Started {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Started {
    fn new(process: &str, address: &str, other: &str) -> Self {
        let mut child = process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_trace_goes_through_three_processes", "--nocapture"])
            .envs([(PROCESS, process), (ADDRESS, address), (OTHER, other)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The rest of the next line that begins so.
    fn line(&mut self, mark: &str) -> Option<String> {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once(mark) {
                return Some(rest.trim().to_owned());
            }
            line.clear();
        }
        None
    }

    /// Tells it to end; answers the spans that it has printed.
    fn end(mut self) -> Vec<String> {
        drop(self.child.stdin.take());
        let spans = std::iter::from_fn(|| self.line("@span ")).collect();
        assert!(self.child.wait().unwrap().success());
        spans
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}

const PROCESS: &str = "SWITCHBOARD_TRACES_PROCESS";
const ADDRESS: &str = "SWITCHBOARD_TRACES_ADDRESS";
const OTHER: &str = "SWITCHBOARD_TRACES_OTHER";

#[test]
fn one_trace_goes_through_three_processes() {
    if let Ok(process) = std::env::var(PROCESS) {
        let [address, other] = [ADDRESS, OTHER].map(|name| std::env::var(name).unwrap());
        return run(&process, &address, &other);
    }
    let directory = Directory::new();
    let socket = format!("unix:{}", directory.0.join("inventory").display());
    let mut inventory = Started::new("inventory", &socket, "");
    inventory.line("@ready ").unwrap();
    let mut orders = Started::new("orders", "127.0.0.1:0", &socket);
    let port = orders.line("@ready ").unwrap();
    let mut client = Started::new("client", "", &port);
    let begun = client.line("@begun ").unwrap();
    let (trace_id, root) = begun.split_once(' ').unwrap();

    // The drain of the orders waits for what they have spawned.
    let spans = [client.end(), orders.end(), inventory.end()].concat();
    let spans: Vec<Vec<_>> = spans.iter().map(|span| span.split(' ').collect()).collect();
    let names = |span: &Vec<&str>| format!("{} at {}", span[0], span[1]);
    let mut told: Vec<_> = spans
        .iter()
        .map(|span| {
            let cause = match span[3] {
                "-" => "no trace".to_owned(),
                parent if parent == root => "the client".to_owned(),
                parent => {
                    let mut causes = spans.iter().filter(|cause| cause[4] == parent);
                    let cause = causes.next().map(names);
                    assert!(causes.next().is_none(), "two spans have one id: {spans:?}");
                    cause.unwrap_or_else(|| format!("nobody known: {spans:?}"))
                }
            };
            assert_eq!(span[2], if span[3] == "-" { "-" } else { trace_id }, "{span:?}");
            format!("{} by {cause}", names(span))
        })
        .collect();
    told.sort();
    let expected = [
        "AUDIT at inventory by ORDER at orders",
        "CHECK_STOCK at inventory by ORDER at orders",
        "CHECK_STOCK at inventory by PRICE at orders",
        "CHECK_STOCK at inventory by no trace",
        "CONFIRM at client by ORDER at orders",
        "LEVELS at inventory by WATCH at orders",
        "NOTE at inventory by ORDER at orders",
        "ORDER at orders by the client",
        "PRICE at orders by no trace",
        "PRICE at orders by the client",
        "WATCH at orders by the client",
    ];
    assert_eq!(told, expected);
}

/// A directory of its own, which is removed again.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let name = format!("switchboard-traces-{}", process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
