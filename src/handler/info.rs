//! The facts of a registered command, for `?`, tools and programs that list commands.
//!
//! The text of `?` is made of these structures and of nothing else, in their `Display`.

use std::fmt;

use crate::command::Facts;
#[cfg(feature = "json")]
use crate::format::Outline;

/// A command that an [`Endpoint`](crate::Endpoint) answers, as
/// [`Endpoint::commands`](crate::Endpoint::commands) lists it.
///
/// Its `Display` is the command's line in the reply to `?`, without the end of the line, and the
/// reply to `?DESCRIBE`.
///
/// ```
/// # #[cfg(feature = "json")] {
/// use switchboard::{Command, Endpoint, Error, format::Line};
///
/// const SHOUT: Command<String, String, Line> = Command::new("SHOUT").about("Makes it loud.");
///
/// let endpoint = Endpoint::new()
///     .on(SHOUT, async |text: String| Ok::<_, Error>(text.to_uppercase()));
/// let [shout] = &endpoint.commands()[..] else { panic!("there is one command") };
/// assert_eq!(shout.name, "SHOUT");
/// assert_eq!(shout.formats.first(), Some(&"line"));
/// assert_eq!((&*shout.request_type, &*shout.reply_type), ("String", "String"));
/// assert!(!shout.is_raw);
/// assert_eq!(shout.facts.about(), Some("Makes it loud."));
/// assert!(shout.to_string().ends_with("String -> String: Makes it loud."));
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommandInfo {
    /// The name on the wire.
    pub name: String,
    /// The names of the formats that it can be spoken in, its own first. A raw command has none.
    pub formats: Vec<&'static str>,
    /// The name of the request's type, without the paths in it, for people. Empty if it is raw.
    pub request_type: String,
    /// The name of the reply's type, written in the same way.
    pub reply_type: String,
    /// Whether its handler gets the connection itself. If not, it has types and formats.
    pub is_raw: bool,
    /// Its facts. A raw command has none.
    pub facts: Facts,
}

impl CommandInfo {
    pub(super) fn raw(name: String) -> Self {
        let (request_type, reply_type) = Default::default();
        let (formats, facts) = Default::default();
        Self { name, formats, request_type, reply_type, is_raw: true, facts }
    }

    /// The reply to `?DESCRIBE` in JSON. It has more members one day.
    #[cfg(feature = "json")]
    pub(super) fn to_json(&self, outlines: &[Outlines]) -> serde_json::Value {
        let Self { name, formats, request_type, reply_type, is_raw, facts } = self;
        if *is_raw {
            return serde_json::json!({ "name": name, "raw": true });
        }
        let shapes = |part: fn(&Outlines) -> &Option<Outline>| {
            let shape = |outlines: &Outlines| {
                let shape = serde_json::to_value(&part(outlines).as_ref()?.shape).ok()?;
                Some((outlines.format.to_owned(), shape))
            };
            let shapes: serde_json::Map<_, _> = outlines.iter().filter_map(shape).collect();
            serde_json::Value::Object(shapes)
        };
        let items = |has_items: bool, part| {
            has_items.then(|| serde_json::json!({ "shapes": shapes(part) }))
        };
        let request_items = items(facts.has_request_items(), |outlines| &outlines.request_items);
        let reply_items = items(facts.has_reply_items(), |outlines| &outlines.reply_items);
        let timeout_ms = facts.timeout().map(|time| u64::try_from(time.as_millis()).ok());
        serde_json::json!({
            "name": name,
            "raw": false,
            "formats": formats,
            "request": {
                "type": request_type,
                "shapes": shapes(|outlines| &outlines.request),
                "items": request_items,
            },
            "reply": {
                "type": reply_type,
                "shapes": shapes(|outlines| &outlines.reply),
                "items": reply_items,
            },
            "about": facts.about(),
            "idempotent": facts.is_idempotent(),
            "read_only": facts.is_read_only(),
            "resumable": facts.is_resumable(),
            "endless": facts.is_endless(),
            "timeout_ms": timeout_ms,
            "payload_bytes_max": facts.payload_bytes_max(),
        })
    }
}

/// What the parts of a command look like in a format.
#[cfg(feature = "json")]
pub(super) struct Outlines {
    pub(super) format: &'static str,
    pub(super) request: Option<Outline>,
    pub(super) reply: Option<Outline>,
    pub(super) request_items: Option<Outline>,
    pub(super) reply_items: Option<Outline>,
}

impl fmt::Display for CommandInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, formats, request_type, reply_type, is_raw, facts } = self;
        if *is_raw {
            return write!(f, "{name} raw");
        }
        write!(f, "{name} {} {request_type} -> {reply_type}", formats.join(","))?;
        if facts.is_read_only() {
            f.write_str(", read only")?;
        } else if facts.is_idempotent() {
            f.write_str(", idempotent")?;
        }
        if facts.is_resumable() {
            f.write_str(", resumable")?;
        }
        if facts.is_endless() {
            f.write_str(", endless")?;
        }
        if let Some(time) = facts.timeout() {
            write!(f, ", timeout {time:?}")?;
        }
        if let Some(bytes) = facts.payload_bytes_max() {
            write!(f, ", payload_bytes_max {bytes}")?;
        }
        let about = facts.about().into_iter().flat_map(str::split_whitespace);
        for (index, word) in about.enumerate() {
            write!(f, "{}{word}", if index == 0 { ": " } else { " " })?;
        }
        Ok(())
    }
}
