//! The order service, in front of an inventory that answers as it is told.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use switchboard::{Client, Code, Context, Endpoint, Error, Result, transport};
use switchboard_inventory::{
    CHECK_STOCK, PLACE_ORDER, RESERVE, Reservation, Reserved, inventory_at, orders,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use crate::support::Folder;

const TEN_SECONDS: Duration = Duration::from_secs(10);

async fn serve(endpoint: Endpoint, folder: &Folder, stop: oneshot::Receiver<()>) {
    let listener = transport::bind(folder.inventory()).await.unwrap();
    tokio::spawn(async move { endpoint.serve_until(listener, stop).await });
}

fn order_service(folder: &Folder) -> Client {
    let inventory = inventory_at(&folder.inventory()).unwrap().client();
    orders(&Arc::new(inventory), TEN_SECONDS).client()
}

fn order() -> Reservation {
    Reservation::new("o1", "item1", 1)
}

/// Paused, so a wait of seconds is none; what is looked at is the clock that is paused.
#[tokio::test(start_paused = true)]
async fn a_call_is_made_again_when_the_inventory_has_said() {
    let folder = Folder::new("retry");
    let times = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&times);
    let busy = move |_: String| {
        asked.lock().unwrap().push(Instant::now());
        let is_busy = asked.lock().unwrap().len() < 4;
        let busy = || Error::new(Code::Overloaded, "busy").with_retry_after(RETRY);
        async move { if is_busy { Err(busy()) } else { Err(Error::new(Code::NotFound, "gone")) } }
    };
    let (_stop, stopped) = oneshot::channel();
    serve(Endpoint::new().on(CHECK_STOCK, busy), &folder, stopped).await;
    let error = order_service(&folder).call(PLACE_ORDER, &order()).await.unwrap_err();
    assert_eq!(error.to_string(), "PLACE_ORDER: the peer answered not_found: gone");
    let times = times.lock().unwrap();
    assert_eq!(times.len(), 4);
    for pair in times.windows(2) {
        assert!(pair[1] - pair[0] >= RETRY, "{:?}", pair[1] - pair[0]);
    }
}

const RETRY: Duration = Duration::from_secs(2);

#[tokio::test(start_paused = true)]
async fn whoever_may_come_again_is_told_before_the_deadline() {
    let folder = Folder::new("not-now");
    let call = |client: &Client, time| client.call(PLACE_ORDER, &order()).timeout(time);
    // Nobody listens.
    let client = order_service(&folder);
    let error = call(&client, Duration::from_secs(3)).await.unwrap_err();
    assert!(error.text().contains("does not answer (deadline_exceeded)"), "{error}");
    assert!(error.is_transient(), "{error}");
    // Somebody is busy.
    let busy = async |_: String| {
        Err::<u64, _>(Error::new(Code::Overloaded, "busy").with_retry_after(RETRY))
    };
    let (_stop, stopped) = oneshot::channel();
    serve(Endpoint::new().on(CHECK_STOCK, busy), &folder, stopped).await;
    // The one from before may pause for as long as this before it dials again.
    let client = order_service(&folder);
    let error = call(&client, Duration::from_secs(3)).await.unwrap_err();
    assert_eq!((error.code(), error.retry_after()), (Code::Overloaded, Some(RETRY)), "{error}");
    // Time is short, also for one try.
    let error = call(&client, Duration::from_millis(1)).await.unwrap_err();
    assert!(error.is_transient(), "{error}");
}

#[tokio::test]
async fn many_orders_share_one_connection() {
    let folder = Folder::new("shared");
    let gone = async |_: String| Err::<u64, _>(Error::new(Code::NotFound, "gone"));
    let inventory = Endpoint::new().on(CHECK_STOCK, gone);
    let (_stop, stopped) = oneshot::channel();
    serve(inventory.clone(), &folder, stopped).await;
    let client = order_service(&folder);
    let placed: Vec<_> =
        (0..20).map(|_| tokio::spawn(client.call(PLACE_ORDER, &order()))).collect();
    for placed in placed {
        assert_eq!(placed.await.unwrap().unwrap_err().code(), Code::NotFound);
    }
    assert_eq!(inventory.stats().connections.accepted, 1);
}

#[tokio::test]
async fn deadlines_and_cancels_are_handed_down() {
    let folder = Folder::new("handed");
    let (told, hears) = (Arc::new(Mutex::new(None)), Arc::new(Notify::new()));
    let (tell, cancelled) = (Arc::clone(&told), Arc::clone(&hears));
    let reserve = move |_: Reservation, context: Context| {
        *tell.lock().unwrap() = Some(context.time_left());
        let (cancelled, gone) = (Arc::clone(&cancelled), context.cancelled());
        tokio::spawn(async move {
            gone.await;
            cancelled.notify_one();
        });
        std::future::pending::<Result<Reserved>>()
    };
    let endpoint =
        Endpoint::new().on(CHECK_STOCK, async |_: String| Ok::<_, Error>(1)).on(RESERVE, reserve);
    let (_stop, stopped) = oneshot::channel();
    serve(endpoint, &folder, stopped).await;

    let client = order_service(&folder);
    let call = tokio::spawn(client.call(PLACE_ORDER, &order()).timeout(Duration::from_secs(3)));
    while told.lock().unwrap().is_none() {
        tokio::task::yield_now().await;
    }
    let left = told.lock().unwrap().unwrap();
    assert!(left <= Duration::from_secs(3), "the inventory has {left:?}");
    call.abort();
    // Its caller's caller has left.
    hears.notified().await;
}
