//! A call that was admitted, on its last steps: decoded within its bounds, and begun.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use super::Context;
use super::route::{Bounds, Route, Spoken};
#[cfg(feature = "json")]
use crate::error::Code;
use crate::error::{Error, Result};
use crate::format::Budget;
use crate::limits::Limits;
use crate::quota::Quota;
#[cfg(feature = "tower")]
use crate::quota::{Held, call_bytes};
#[cfg(feature = "json")]
use crate::service::OtherPayload;
#[cfg(feature = "tower")]
use crate::service::{Answer, Innermost, Reply, Run, caught_to_end};
use crate::service::{Request, TraceSpan, Work, caught, traced};

/// The handler that a call has found, and what binds it there.
#[derive(Clone)]
pub(super) struct Admitted {
    pub(super) route: Arc<dyn Route>,
    pub(super) spoken: Spoken,
    // Those of the command.
    pub(super) limits: Arc<Limits>,
    pub(super) quota: Arc<Quota>,
    pub(super) deadline: Instant,
    pub(super) trace: Option<TraceSpan>,
}

impl Admitted {
    /// Decodes the request, says by `hold` how many bytes came of it, and begins to answer it.
    ///
    /// # Errors
    ///
    /// As [`Route::call`]; `panicked` if the handler did before its first await.
    pub(super) fn begin(
        &self,
        mut request: Request,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        #[cfg(feature = "tower")]
        if let Some((route, ahead)) = self.route.layered() {
            let admitted = Self { route: Arc::clone(route), ..self.clone() };
            return Ok(traced(self.trace, ahead.begin(admitted, request)));
        }
        let payload = request.take_payload();
        #[cfg(feature = "json")]
        let other = request.take_extension::<OtherPayload>();
        #[cfg(feature = "json")]
        let other = other.filter(|other| other.0.len() <= self.limits.payload_bytes_max);
        if let Some(trace) = self.trace {
            request = request.with_extension(trace);
        }
        let context = Context::new(request, self.deadline);
        #[cfg(feature = "json")]
        if let Some(other) = other {
            return match self.call(payload, context.clone(), hold) {
                Err(error) if is_misread(&error) => {
                    let work = self.call(other.0.clone(), context, hold);
                    work.map_err(|again| if is_misread(&again) { error } else { again })
                }
                work => work,
            };
        }
        self.call(payload, context, hold)
    }

    fn call(
        &self,
        payload: Bytes,
        context: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        let budget = Budget::new(&self.limits, payload.len());
        let budget = budget.granted_by(Arc::<Quota>::clone(&self.quota));
        let bounds = Bounds { budget, limits: Arc::clone(&self.limits) };
        let entered = TraceSpan::enter_that(self.trace);
        let work = caught(|| self.route.call(self.spoken, payload, bounds, context, hold))
            // Perhaps of the handler, before its first await.
            .map_err(Error::after_running)??;
        drop(entered);
        Ok(traced(self.trace, work))
    }
}

/// Whether its command cannot read the payload of a call, so that no handler has begun.
#[cfg(feature = "json")]
fn is_misread(error: &Error) -> bool {
    error.code() == Code::BadPayload && !error.has_run()
}

/// What comes of the request counts against the endpoint, and not against its connection: layers
/// may call the handler when that has long been told of the call.
#[cfg(feature = "tower")]
impl Innermost for Admitted {
    fn answer(&self, request: Request, run: Run) -> Answer {
        let mut held = Held::new(&self.quota);
        match self.begin(request, &mut |bytes| held.cover(call_bytes(bytes))) {
            Ok(work) => Answer::new(run_to_end(work, held, run)),
            Err(error) => {
                if !error.has_run() {
                    run.take_back();
                }
                Answer::ready(Err(error.for_caller().refusing()))
            }
        }
    }

    fn with_format(&self, request: Request) -> Request {
        match (self.spoken, self.route.format_name(self.spoken)) {
            (Spoken::Plainly(None), Some(name)) => {
                request.clone().with_format(name).unwrap_or(request)
            }
            _ => request,
        }
    }

    fn in_format(&self, error: Error) -> Error {
        let format = self.route.format_name(self.spoken).unwrap_or_default();
        error.in_format(format, self.limits.payload_bytes_max)
    }
}

/// Runs a handler to its end. A panic is its error, so that layers see one; what it holds is let go
/// before they do.
#[cfg(feature = "tower")]
async fn run_to_end(work: Work, held: Held, run: Run) -> Result<Reply> {
    let reply = caught_to_end(work).await.flatten();
    drop(held);
    if reply.as_ref().is_err_and(Error::is_refusal) {
        run.take_back();
    }
    reply.map(Reply::made).map_err(Error::for_caller)
}
