//! The order service: an endpoint that reserves at the inventory.
//!
//! It keeps nothing. An order is placed when the inventory has its reservation, so there is no
//! moment at which a crash of this side could lose or double one.
//!
//! Its client connects anew and calls again for as long as that may help: both commands may be
//! called twice, `RESERVE` since its order makes it one.

use std::sync::Arc;
use std::time::Duration;

use switchboard::{
    Client, Code, Context, Endpoint, Error, Limits, Reconnect, Result, Traceparent, with_state,
};
use tokio::time::Instant;

use crate::commands::{CHECK_STOCK, PLACE_ORDER, Placed, RESERVE, Reservation, Reserved};
use crate::inventory::trace_id;

/// How to make a client of the inventory at this address, for [`orders`].
///
/// # Errors
///
/// `invalid` if it is not an address.
pub fn inventory_at(address: &str) -> Result<Reconnect> {
    // To be told to come again is usual here: the inventory bounds how often a client may call.
    Ok(Client::reconnect(address)?.repeats_max(1000))
}

/// An endpoint that places orders at this inventory, each within this time.
pub fn orders(inventory: &Arc<Client>, call_time_max: Duration) -> Endpoint {
    Endpoint::new()
        .with_limits(Limits::default().with(|limits| limits.call_time_max = call_time_max))
        .on(PLACE_ORDER, with_state(inventory, place_order))
}

async fn place_order(
    inventory: Arc<Client>,
    asked: Reservation,
    context: Context,
) -> Result<Placed> {
    asked.check()?;
    // The rest is for the way back of an answer that says so.
    let time = context.time_left().saturating_sub(ANSWER_TIME);
    let now = Instant::now();
    let deadline = now.checked_add(time).unwrap_or(now);
    // One whose caller has begun none begins here, so that both logs have it.
    let trace = context.trace_onward().unwrap_or_else(Traceparent::begin);
    let trace_id = trace_id(&context).unwrap_or_else(|| format!("{:032x}", trace.trace_id()));
    // An item that is not there costs no write. Too little stock is not told here: an order that
    // was placed before has its pieces already.
    let check = inventory.call(CHECK_STOCK, &asked.item).trace(trace.clone());
    check.timeout_at(deadline).await.map_err(told)?;
    let reserve = inventory.call(RESERVE, &asked).trace(trace);
    let Reserved { order, item, count, left } = reserve.timeout_at(deadline).await.map_err(told)?;
    tracing::info!(trace_id, order, item, count, "placed");
    Ok(Placed { order, item, count, left })
}

/// What a caller is told of an error of the inventory: its answer, or when to come again.
fn told(error: Error) -> Error {
    if !error.is_transient() {
        return error.pass_on();
    }
    let (code, text) = match error.code() {
        Code::Overloaded => (Code::Overloaded, "the inventory is too busy".to_owned()),
        code => (Code::Failed, format!("the inventory does not answer ({code})")),
    };
    let text = format!("{text}; place the same order again");
    Error::new(code, text).with_retry_after(error.retry_after().unwrap_or(AGAIN).max(AGAIN))
}

/// Time for an answer to reach the caller of this side before its deadline.
const ANSWER_TIME: Duration = Duration::from_millis(100);

/// When it is worth placing an order again.
const AGAIN: Duration = Duration::from_millis(500);
