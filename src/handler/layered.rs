//! The handler of another endpoint with the layers that it has there.

use std::sync::Arc;

use bytes::Bytes;
#[cfg(feature = "json")]
use serde_json::Value;

use super::Context;
use super::info::CommandInfo;
use super::route::{Bounds, Route, Spoken};
use crate::command::Facts;
use crate::error::Result;
use crate::format::Framing;
use crate::service::{Ahead, Work};
use crate::wire::{FormatWord, Name};

/// A route that is to be called behind layers, for which [`Route::layered`] asks. In all else it is
/// as the route itself.
pub(super) struct LayeredRoute {
    pub(super) route: Arc<dyn Route>,
    pub(super) ahead: Ahead,
}

impl Route for LayeredRoute {
    fn call(
        &self,
        format: Spoken,
        payload: Bytes,
        bounds: Bounds,
        context: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        self.route.call(format, payload, bounds, context, hold)
    }

    fn layered(&self) -> Option<(&Arc<dyn Route>, &Ahead)> {
        Some((&self.route, &self.ahead))
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        self.route.framing(format)
    }

    fn format_name(&self, format: Spoken) -> Option<&'static str> {
        self.route.format_name(format)
    }

    fn facts(&self) -> Facts {
        self.route.facts()
    }

    fn info(&self, name: Name) -> CommandInfo {
        self.route.info(name)
    }

    #[cfg(feature = "json")]
    fn description(&self, name: Name) -> Value {
        self.route.description(name)
    }
}
