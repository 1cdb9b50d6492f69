//! A handler behind bytes: decode, call, encode.
//!
//! [`Route`] is what the registry keeps: the same for every command, whatever its types. Decoding
//! happens when the route is called, so that a bad payload never becomes a future.

use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;
#[cfg(feature = "json")]
use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
#[cfg(feature = "json")]
use serde_json::Value;

use super::info::CommandInfo;
#[cfg(feature = "json")]
use super::info::Outlines;
#[cfg(feature = "json")]
use super::speaks::ItemOutlines;
use super::speaks::{Speaks, Tongues};
use super::{Context, Handler, Outcome};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::format::{Budget, Codec, Framing, PAYLOAD_BYTES_USUAL, without_surplus};
use crate::limits::Limits;
#[cfg(feature = "tower")]
use crate::service::Ahead;
use crate::service::Work;
use crate::wire::{FormatWord, Name};

/// What binds one call: its decode, and the limits of its command.
pub(crate) struct Bounds {
    pub(super) budget: Budget,
    pub(super) limits: Arc<Limits>,
}

/// The format that a call names, if it names one, by the way it came.
#[derive(Clone, Copy)]
pub(crate) enum Spoken {
    /// Plainly, where no name means the command's own.
    Plainly(Option<FormatWord>),
    /// In any other way, where no name means [`FormatWord::DEFAULT`].
    Otherwise(Option<FormatWord>),
}

impl Spoken {
    /// The format that the caller names.
    pub(super) fn named(self) -> Option<FormatWord> {
        let (Self::Plainly(word) | Self::Otherwise(word)) = self;
        word
    }

    /// The format that the caller means; `None` is the command's own.
    pub(super) fn meant(self) -> Option<FormatWord> {
        match self {
            Self::Plainly(word) => word,
            Self::Otherwise(word) => Some(word.unwrap_or(FormatWord::DEFAULT)),
        }
    }

    /// The error of a call in a format that is not one of these.
    pub(super) fn unspoken(self, names: &[&str]) -> Error {
        let names = names.join(" and ");
        let text = match self {
            Self::Otherwise(None) => {
                format!("a call that names no format is bincode; this command speaks {names}")
            }
            _ => format!("this command speaks {names}"),
        };
        Error::found(Code::UnsupportedFormat, text)
    }
}

pub(crate) trait Route: Send + Sync {
    /// Decodes a payload within its bounds, says by `hold` how many bytes came of it, and begins to
    /// answer it.
    ///
    /// # Errors
    ///
    /// `unsupported_format`, what the format says of the payload, or `overloaded`; the handler has
    /// not been called then.
    fn call(
        &self,
        format: Spoken,
        payload: Bytes,
        bounds: Bounds,
        context: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work>;

    /// How plain payloads in this format are framed; `None` if there is none to be read, and the
    /// reply is written as it is.
    ///
    /// # Errors
    ///
    /// `unsupported_format`.
    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>>;

    /// What it stands for, and the layers that a call passes before that.
    #[cfg(feature = "tower")]
    fn layered(&self) -> Option<(&Arc<dyn Route>, &Ahead)> {
        None
    }

    /// The name of the format that a call is in, if the command speaks one.
    #[cfg(any(feature = "tower", feature = "udp"))]
    fn format_name(&self, _: Spoken) -> Option<&'static str> {
        None
    }

    /// What its command says beside name and types.
    fn facts(&self) -> Facts {
        Facts::default()
    }

    /// Formats and types, of the command that it answers under this name.
    fn info(&self, name: Name) -> CommandInfo {
        CommandInfo::raw(name.to_string())
    }

    /// The same and more, as `?DESCRIBE` tells it.
    #[cfg(feature = "json")]
    fn description(&self, name: Name) -> Value {
        self.info(name).to_json(&[])
    }
}

/// A handler and the formats that its command can be spoken in; the first is its own.
pub(crate) struct Typed<Req, Rep, H, Shape, Head, Last, Items> {
    tongues: Tongues<Head, Last, Items>,
    // What items of the request and of the reply look like, if there are any.
    #[cfg(feature = "json")]
    outlines_of_items: fn(&Items) -> ItemOutlines,
    facts: Facts,
    handler: H,
    // The names of the types, without the paths in them.
    type_names: (String, String),
    types: PhantomData<fn(Req, Shape) -> Rep>,
    // Found once: it takes a while. Names are not in it, of which a handler may have several.
    #[cfg(feature = "json")]
    outlines: OnceLock<Vec<Outlines>>,
}

impl<Req, Rep, H, Shape, Kind, Head, Last, Items>
    Typed<Req, Rep, H, (Shape, Kind), Head, Last, Items>
{
    /// # Errors
    ///
    /// What the format says of the types.
    pub(crate) fn new<F>(facts: Facts, handler: H) -> Result<Self>
    where
        Shape: Speaks<Req, Rep, F, Head = Head, Last = Last, Items = Items>,
    {
        let (has_request_items, has_reply_items) = Shape::IS_STREAMED;
        let tongues = Shape::tongues()?;
        let format = tongues.first().map_or("", |(codec, ..)| codec.name);
        Ok(Self {
            tongues,
            #[cfg(feature = "json")]
            outlines_of_items: Shape::outlines_of_items,
            facts: facts.streamed(has_request_items, has_reply_items).in_format(format),
            handler,
            type_names: (short(type_name::<Req>()), short(type_name::<Rep>())),
            types: PhantomData,
            #[cfg(feature = "json")]
            outlines: OnceLock::new(),
        })
    }

    fn tongue(&self, format: Spoken) -> Result<&(Codec<Head>, Codec<Last>, Items)> {
        let mut formats = self.tongues.iter();
        let found = match format.meant() {
            None => formats.next(),
            Some(word) => formats.find(|(codec, ..)| codec.name.as_bytes() == word.as_bytes()),
        };
        found.ok_or_else(|| {
            let names: Vec<_> = self.tongues.iter().map(|(codec, ..)| codec.name).collect();
            format.unspoken(&names)
        })
    }
}

impl<Req, Rep, H, Shape, Kind, Head, Last, Items> Route
    for Typed<Req, Rep, H, (Shape, Kind), Head, Last, Items>
where
    H: Handler<Req, Shape, Head = Head, Items = Items>,
    H::Answer: Future<Output: Outcome<Last, Kind>> + Send + 'static,
    Items: Send + Sync,
    Last: 'static,
    Kind: 'static,
{
    fn call(
        &self,
        format: Spoken,
        payload: Bytes,
        bounds: Bounds,
        mut context: Context,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<Work> {
        let Bounds { budget, limits } = bounds;
        let (request_codec, reply_codec, items) = self.tongue(format)?;
        context.set_format(request_codec.name);
        context.set_limits(&limits);
        let payload_bytes = payload.len();
        let request = (request_codec.decode)(payload, &budget)?;
        let request_bytes = budget.memory_used().max(payload_bytes);
        // What was granted to the decode is given back, to be held by the call.
        drop(budget);
        let answer_bytes =
            returned_bytes(|request, context| self.handler.call(request, context, items));
        hold(request_bytes.saturating_add(answer_bytes))?;
        let (format, encode) = (reply_codec.name, reply_codec.encode);
        // For the reply, if one is wanted.
        let limits = Some(limits).filter(|_| !context.is_one_way());
        let is_resumed = context.resume_at().is_some();
        let answer = self.handler.call(request, context, items);
        Ok(Box::pin(async move {
            let bytes_max = limits.as_ref().map_or(0, |limits| limits.payload_bytes_max);
            let reply = answer
                .await
                .outcome()
                .map_err(|error| error.of_handler().in_format(format, bytes_max))
                .map_err(|error| error.of_positions(is_resumed))?;
            let Some(limits) = limits else {
                return Ok(BytesMut::new());
            };
            let mut payload = BytesMut::with_capacity(PAYLOAD_BYTES_USUAL);
            encode(&reply, &limits, &mut payload).map_err(|error| {
                Error::local(Code::Failed, "the reply cannot be encoded").with_source(error)
            })?;
            Ok(without_surplus(payload))
        }))
    }

    fn framing(&self, format: Option<FormatWord>) -> Result<Option<Framing>> {
        self.tongue(Spoken::Plainly(format)).map(|(codec, ..)| Some(codec.framing))
    }

    #[cfg(any(feature = "tower", feature = "udp"))]
    fn format_name(&self, format: Spoken) -> Option<&'static str> {
        self.tongue(format).ok().map(|(codec, ..)| codec.name)
    }

    fn facts(&self) -> Facts {
        self.facts
    }

    #[cfg(feature = "json")]
    fn description(&self, name: Name) -> Value {
        let outlines = self.outlines.get_or_init(|| {
            let of = |(request, reply, items): &(Codec<Head>, Codec<Last>, Items)| {
                let (request_items, reply_items) = (self.outlines_of_items)(items);
                Outlines {
                    format: request.name,
                    request: (request.outline)(),
                    reply: (reply.outline)(),
                    request_items,
                    reply_items,
                }
            };
            self.tongues.iter().map(of).collect()
        });
        self.info(name).to_json(outlines)
    }

    fn info(&self, name: Name) -> CommandInfo {
        CommandInfo {
            name: name.to_string(),
            formats: self.tongues.iter().map(|(codec, ..)| codec.name).collect(),
            request_type: self.type_names.0.clone(),
            reply_type: self.type_names.1.clone(),
            is_raw: false,
            facts: self.facts,
        }
    }
}

/// The size of what a function returns.
fn returned_bytes<A, B, R>(_: impl FnOnce(A, B) -> R) -> usize {
    size_of::<R>()
}

/// A type's name without the paths in it.
fn short(name: &str) -> String {
    let mut text = String::new();
    let mut word = String::new();
    for symbol in name.chars() {
        match symbol {
            ':' => word.clear(),
            _ if symbol.is_alphanumeric() || symbol == '_' => word.push(symbol),
            _ => {
                text.push_str(&std::mem::take(&mut word));
                text.push(symbol);
            }
        }
    }
    text + &word
}
