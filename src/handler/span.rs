//! The span of a call in the log.

use tracing::Span;
use tracing::field::display;

use crate::service::{Origin, TraceSpan};
use crate::session::CallId;
use crate::wire::Name;

/// The span of a call that has begun, with its ids if it belongs to a trace. Its name is a
/// registered one: one that a peer made up has been refused by now.
pub(super) fn of_call(name: Name, id: CallId, origin: Origin, trace: Option<TraceSpan>) -> Span {
    let Some(trace) = trace else {
        return match origin {
            Origin::Tagged => tracing::debug_span!("call", command = %name, tag = id.tag()),
            Origin::Plain => tracing::debug_span!("plain call", command = %name),
            Origin::Direct => tracing::debug_span!("direct call", command = %name),
        };
    };
    let [trace_id, parent_id, span_id] = trace.ids().map(display);
    match origin {
        // A plain call says no trace.
        Origin::Tagged | Origin::Plain => tracing::debug_span!(
            "call",
            command = %name,
            tag = id.tag(),
            trace_id,
            parent_id,
            span_id
        ),
        Origin::Direct => {
            tracing::debug_span!("direct call", command = %name, trace_id, parent_id, span_id)
        }
    }
}
