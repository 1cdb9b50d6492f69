//! The endpoint's own commands, whose names begin with `?`.
//!
//! | name        | payload           | answers                                                    |
//! |-------------|-------------------|------------------------------------------------------------|
//! | `?`         | none              | the commands, one a line, or as JSON                       |
//! | `?PING`     | none              | nothing, at once; called with a tag, the session does that |
//! | `?DESCRIBE` | a command's name  | what is known of the command, as a line or as JSON         |
//! | `?STATS`    | none              | what has been counted (`own_stats`)                        |

use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::own_form::{Form, no_payload, ready, told};
use super::own_stats::Statistics;
use super::route::{Bounds, Route, Spoken};
use super::{Context, Entry, Registry};
use crate::error::{Code, Error, Result};
use crate::format::{Format, Framing, Line};
use crate::quota::Quota;
use crate::service::Work;
use crate::wire::{FormatWord, Name};

/// The endpoint's own command of this name.
pub(super) fn find(
    name: Name,
    registry: &Arc<Registry>,
    quota: &Arc<Quota>,
) -> Option<Box<dyn Route>> {
    match name.as_bytes() {
        b"?" => Some(Box::new(List { registry: Arc::clone(registry) })),
        b"?PING" => Some(Box::new(Ping)),
        b"?DESCRIBE" => Some(Box::new(Describe { registry: Arc::clone(registry) })),
        b"?STATS" => Some(Box::new(Statistics::new(registry, quota))),
        _ => None,
    }
}

/// Lists the commands as they are when it is called.
struct List {
    registry: Arc<Registry>,
}

impl List {
    fn form(format: Option<FormatWord>) -> Result<Form> {
        Form::of(format, UNLISTED)
    }

    fn text(&self) -> String {
        self.registry.commands().into_iter().map(|command| format!("{command}\n")).collect()
    }

    #[cfg(feature = "json")]
    fn json(&self) -> String {
        let commands = self.registry.commands();
        serde_json::Value::Array(commands.iter().map(|info| info.to_json(&[])).collect())
            .to_string()
    }
}

impl Route for List {
    fn call(
        &self,
        spoken: Spoken,
        payload: Bytes,
        _: Bounds,
        _: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        let form = Self::form(spoken.named())?;
        form.check_nothing("?", &payload)?;
        let text = match form {
            Form::Lines => self.text(),
            #[cfg(feature = "json")]
            Form::Json => self.json(),
        };
        told(text, spoken, hold)
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        Self::form(format).map(|_| None)
    }
}

/// What is said of a format that the list is not in.
const UNLISTED: &str = if cfg!(feature = "json") {
    "? speaks json, and lines if no format is named"
} else {
    "? has no formats to choose from"
};

/// Says that somebody is there.
struct Ping;

impl Route for Ping {
    fn call(
        &self,
        spoken: Spoken,
        payload: Bytes,
        _: Bounds,
        _: Context,
        _: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        self.framing(spoken.named())?;
        no_payload("?PING", &payload)?;
        // Something is to be seen where nothing else says that there was a reply.
        let is_plain = matches!(spoken, Spoken::Plainly(_));
        Ok(ready(if is_plain { b"\n" } else { b"" }))
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        no_format("?PING", format)
    }
}

/// Tells what is known of one command.
struct Describe {
    registry: Arc<Registry>,
}

/// The formats of `?DESCRIBE`.
enum Spoke {
    Line,
    #[cfg(feature = "json")]
    Json,
}

impl Describe {
    fn spoke(spoken: Spoken) -> Result<Spoke> {
        match spoken.meant().as_ref().map(FormatWord::as_bytes) {
            None | Some(b"line") => Ok(Spoke::Line),
            #[cfg(feature = "json")]
            Some(b"json") => Ok(Spoke::Json),
            Some(_) if cfg!(feature = "json") => Err(spoken.unspoken(&["line", "json"])),
            Some(_) => Err(spoken.unspoken(&["line"])),
        }
    }

    fn find(&self, name: &str) -> Result<(Name, Entry)> {
        let name = Name::parse(name.as_bytes()).ok();
        name.and_then(|name| Some((name, self.registry.find(&name)?.entry))).ok_or_else(|| {
            let text = "there is no command of this name; ? lists them";
            Error::found(Code::NotFound, text)
        })
    }
}

impl Route for Describe {
    fn call(
        &self,
        spoken: Spoken,
        payload: Bytes,
        Bounds { budget, limits }: Bounds,
        _: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        let mut reply = BytesMut::new();
        match Self::spoke(spoken)? {
            Spoke::Line => {
                let name: String = Line::decode(payload, &budget)?;
                let (name, entry) = self.find(&name)?;
                Line::encode(&entry.info(name).to_string(), &limits, &mut reply)?;
            }
            #[cfg(feature = "json")]
            Spoke::Json => {
                let name: String = crate::format::Json::decode(payload, &budget)?;
                let (name, entry) = self.find(&name)?;
                crate::format::Json::encode(&entry.description(name), &limits, &mut reply)?;
            }
        }
        hold(reply.len())?;
        Ok(Box::pin(std::future::ready(Ok(reply))))
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        Self::spoke(Spoken::Plainly(format)).map(|_| Some(Framing::Line))
    }
}

fn no_format(name: &str, format: Option<FormatWord>) -> Result<Option<Framing>> {
    if format.is_none() {
        return Ok(None);
    }
    let text = format!("{name} has no formats to choose from");
    Err(Error::found(Code::UnsupportedFormat, text))
}
