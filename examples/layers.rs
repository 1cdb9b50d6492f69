//! How does something stand in front of all handlers?
//! `cargo run --example layers --features tower`.

use std::time::Duration;

use switchboard::service::Request;
use switchboard::{Code, Command, Context, Endpoint, Error, Result};
use tower::limit::ConcurrencyLimitLayer;
use tower::load_shed::{LoadShedLayer, error::Overloaded};
use tower::timeout::TimeoutLayer;
use tower::util::MapRequestLayer;
use tower::{BoxError, ServiceBuilder};

const GREET: Command<(), String> = Command::new("GREET");
const REPORT: Command<u32, u64> = Command::new("REPORT");

// A layer puts it beside the call, and the handler takes it from there.
struct Tenant(String);

fn with_tenant(request: Request) -> Request {
    let tenant = request.metadata().get("tenant-id").map(|tenant| tenant.into_owned());
    match tenant {
        Some(tenant) => request.with_extension(Tenant(tenant)),
        None => request,
    }
}

async fn greet(_: (), context: Context) -> Result<String> {
    let Some(Tenant(tenant)) = context.extensions().get() else {
        return Err(Error::new(Code::Denied, "say who you are"));
    };
    Ok(format!("Hello, tenant {tenant}!"))
}

async fn report(year: u32) -> Result<u64> {
    tokio::time::sleep(Duration::from_millis(50)).await;
    Ok(u64::from(year))
}

// Errors of foreign layers say nothing to callers until somebody puts them into words.
fn in_words(error: BoxError) -> BoxError {
    if error.is::<Overloaded>() {
        return Error::new(Code::Overloaded, "two reports at a time").into();
    }
    error
}

#[tokio::main]
async fn main() -> Result<()> {
    let two_at_a_time = ServiceBuilder::new()
        .map_err(in_words)
        .layer(LoadShedLayer::new())
        .layer(ConcurrencyLimitLayer::new(2));
    let client = Endpoint::new()
        .on(GREET, greet)
        .on(REPORT, report)
        .layer(MapRequestLayer::new(with_tenant))
        .layer(TimeoutLayer::new(Duration::from_secs(5)))
        .layer_for(REPORT, two_at_a_time.into_inner())
        .client();

    println!("{}", client.call(GREET, &()).metadata("tenant-id", "42").await?);
    if let Err(error) = client.call(GREET, &()).await {
        println!("without a tenant: {error}");
    }

    let report = |year| client.call(REPORT, &year);
    let reports = tokio::join!(report(2024), report(2025), report(2026));
    for report in [reports.0, reports.1, reports.2] {
        match report {
            Ok(pages) => println!("a report of {pages} pages"),
            Err(error) => println!("no report: {error}"),
        }
    }
    Ok(())
}
