//! `?STATS`: what the endpoint has counted, as lines for a person or as JSON for a program.

use std::sync::Arc;

use bytes::Bytes;

use super::own_form::{Form, told};
use super::route::{Bounds, Route, Spoken};
use super::{Context, Registry};
#[cfg(feature = "json")]
use crate::error::Error;
use crate::error::Result;
use crate::format::Framing;
use crate::quota::Quota;
use crate::service::Work;
use crate::wire::FormatWord;

/// Tells what has been counted until it is asked.
pub(super) struct Statistics {
    registry: Arc<Registry>,
    quota: Arc<Quota>,
}

impl Statistics {
    pub(super) fn new(registry: &Arc<Registry>, quota: &Arc<Quota>) -> Self {
        Self { registry: Arc::clone(registry), quota: Arc::clone(quota) }
    }
}

impl Route for Statistics {
    fn call(
        &self,
        spoken: Spoken,
        payload: Bytes,
        _: Bounds,
        _: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        let form = Form::of(spoken.named(), UNSPOKEN)?;
        form.check_nothing("?STATS", &payload)?;
        let Self { registry, quota } = self;
        let stats = registry.ledger().stats(registry.figures(), quota.held_and_blocking());
        let text = match form {
            Form::Lines => stats.to_string(),
            #[cfg(feature = "json")]
            Form::Json => serde_json::to_string(&stats).map_err(Error::internal)?,
        };
        told(text, spoken, hold)
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        Form::of(format, UNSPOKEN).map(|_| None)
    }
}

/// What is said of a format that the figures are not in.
const UNSPOKEN: &str = if cfg!(feature = "json") {
    "?STATS speaks json, or lines if no format is named"
} else {
    "?STATS speaks lines if no format is named"
};
