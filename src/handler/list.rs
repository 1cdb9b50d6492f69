//! `?`, the command that lists the commands.

use bytes::{Bytes, BytesMut};

use super::info::CommandInfo;
use super::route::{Bounds, Route, Spoken};
use super::{Context, Registry};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::Framing;
use crate::service::Work;
use crate::wire::{FormatWord, Name};

/// The list as it is when it is asked for.
pub(super) struct List {
    text: String,
}

impl List {
    pub(super) const NAME: &[u8] = b"?";

    pub(super) fn of(registry: &Registry) -> Self {
        let lines = registry.commands().into_iter().map(|command| format!("{command}\n"));
        Self { text: lines.collect() }
    }
}

impl Route for List {
    fn call(
        &self,
        (Spoken::Plainly(format) | Spoken::Otherwise(format)): Spoken,
        payload: Bytes,
        _: Bounds,
        _: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        self.framing(format)?;
        if !payload.is_empty() {
            return Err(Error::found(Code::BadPayload, "? takes no payload"));
        }
        hold(self.text.len())?;
        let list = BytesMut::from(self.text.as_bytes());
        Ok(Box::pin(std::future::ready(Ok(list))))
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        match format {
            None => Ok(None),
            Some(_) => {
                Err(Error::found(Code::UnsupportedFormat, "? has no formats to choose from"))
            }
        }
    }

    fn facts(&self) -> Facts {
        Facts::default()
    }

    fn info(&self, name: Name) -> CommandInfo {
        CommandInfo::raw(name.to_string())
    }
}
