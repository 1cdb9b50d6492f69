//! The order service: an endpoint that reserves at the inventory.
//!
//! It keeps nothing. An order is placed when the inventory has its reservation, so there is no
//! moment at which a crash of this side could lose or double one.

use std::sync::Arc;
use std::time::Duration;

use switchboard::{Context, Endpoint, Limits, Result, Traceparent, with_state};

use crate::commands::{CHECK_STOCK, PLACE_ORDER, Placed, RESERVE, Reservation, Reserved};
use crate::inventory::trace_id;
use crate::kept::Kept;

/// An endpoint that places orders at this inventory, each within this time.
pub fn orders(inventory: &Arc<Kept>, call_time_max: Duration) -> Endpoint {
    Endpoint::new()
        .with_limits(Limits::default().with(|limits| limits.call_time_max = call_time_max))
        .on(PLACE_ORDER, with_state(inventory, place_order))
}

async fn place_order(inventory: Arc<Kept>, asked: Reservation, context: Context) -> Result<Placed> {
    asked.check()?;
    let deadline = context.deadline();
    // One whose caller has begun none begins here, so that both logs have it.
    let trace = context.trace_onward().unwrap_or_else(Traceparent::begin);
    let trace_id = trace_id(&context).unwrap_or_else(|| format!("{:032x}", trace.trace_id()));
    // An item that is not there costs no write. Too little stock is not told here: an order that
    // was placed before has its pieces already.
    let check =
        |client: &switchboard::Client| client.call(CHECK_STOCK, &asked.item).trace(trace.clone());
    let (_, of_check) = inventory.call(deadline.into(), check).await?;
    let reserve = |client: &switchboard::Client| client.call(RESERVE, &asked).trace(trace.clone());
    let (reserved, of_reserve) = inventory.call(deadline.into(), reserve).await?;
    let Reserved { order, item, count, left } = reserved;
    let repeats = of_check.saturating_add(of_reserve);
    tracing::info!(trace_id, order, item, count, repeats, "placed");
    Ok(Placed { order, item, count, left, repeats })
}
