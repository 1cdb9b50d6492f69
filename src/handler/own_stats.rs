//! `?STATS`: what the endpoint has counted, as lines for a person or as JSON for a program.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::route::{Bounds, Route, Spoken};
use super::{Context, Registry};
use crate::error::{Code, Error, Result};
use crate::format::Framing;
use crate::ledger::Stats;
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

/// In which form.
enum Form {
    Lines,
    #[cfg(feature = "json")]
    Json,
}

impl Form {
    fn of(format: Option<FormatWord>) -> Result<Self> {
        match format.as_ref().map(FormatWord::as_bytes) {
            None => Ok(Self::Lines),
            #[cfg(feature = "json")]
            Some(b"json") => Ok(Self::Json),
            Some(_) => {
                let json = if cfg!(feature = "json") { " json, or" } else { "" };
                let text = format!("?STATS speaks{json} lines if no format is named");
                Err(Error::found(Code::UnsupportedFormat, text))
            }
        }
    }

    /// Whether this stands for no payload.
    fn is_nothing(&self, payload: &[u8]) -> bool {
        match self {
            Self::Lines => payload.is_empty(),
            #[cfg(feature = "json")]
            Self::Json => payload.is_empty() || payload == b"null",
        }
    }

    fn print(&self, stats: &Stats) -> Result<String> {
        match self {
            Self::Lines => Ok(stats.to_string()),
            #[cfg(feature = "json")]
            Self::Json => serde_json::to_string(stats).map_err(Error::internal),
        }
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
        let form = Form::of(spoken.named())?;
        if !form.is_nothing(&payload) {
            return Err(Error::found(Code::BadPayload, "?STATS takes no payload"));
        }
        let Self { registry, quota } = self;
        let stats = registry.ledger().stats(registry.figures(), quota.held_and_blocking());
        let mut text = form.print(&stats)?;
        if matches!(spoken, Spoken::Plainly(_)) && !text.ends_with('\n') {
            text.push('\n');
        }
        hold(text.len())?;
        Ok(Box::pin(std::future::ready(Ok(BytesMut::from(text.as_bytes())))))
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        Form::of(format).map(|_| None)
    }
}
