//! From a request to its handler: where every call begins, whichever door it came through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admitted::Admitted;
#[cfg(feature = "tower")]
use super::layered::LayeredRoute;
use super::own;
use super::route::Spoken;
use super::{Entry, Found, Registry, span};
use crate::clock::{after_that, now};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
#[cfg(feature = "udp")]
use crate::format::Framing;
use crate::ledger::{Opening, Stats, Tab};
use crate::limits::{Limits, PayloadMax};
use crate::quota::{Held, Permit, Quota, call_bytes};
use crate::service::{
    Answer, Commands, Counted, Direct, Items, Origin, Request, Service, Time, TraceSpan, Work,
    log_refusal,
};
#[cfg(feature = "tower")]
use crate::service::{Layers, traced};
use crate::session::NOT_RESUMABLE;
#[cfg(feature = "udp")]
use crate::wire::FormatWord;
use crate::wire::Name;

/// A handler at work, who ends it, and what it has taken.
type Begun = (Work, Time, (Permit, Tab));

/// Handlers under names, and what their calls are bounded by.
#[derive(Clone)]
pub(crate) struct Router {
    registry: Arc<Registry>,
    limits: Arc<Limits>,
    quota: Arc<Quota>,
    is_silent: bool,
    #[cfg(feature = "tower")]
    layers: Layers,
}

impl Router {
    pub(crate) fn new(registry: Arc<Registry>, limits: Arc<Limits>, quota: Arc<Quota>) -> Self {
        Self {
            registry,
            limits,
            quota,
            is_silent: false,
            #[cfg(feature = "tower")]
            layers: Layers::default(),
        }
    }

    /// The same within these limits.
    pub(crate) fn with_limits(&self, limits: Limits) -> Self {
        let quota = Quota::new(&limits);
        Self { limits: Arc::new(limits), quota, ..self.clone() }
    }

    /// The same for peers that know no notices.
    pub(crate) fn without_notices(&self) -> Self {
        Self { is_silent: true, ..self.clone() }
    }

    /// The same with other layers in front of its handlers.
    #[cfg(feature = "tower")]
    pub(crate) fn with_layers(&self, change: impl FnOnce(&mut Layers)) -> Self {
        let mut router = self.clone();
        change(&mut router.layers);
        router
    }

    /// All handlers, by name, for another router: with the layers that they have in this one.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Name, Entry)> {
        let entries = self.registry.entries().into_iter();
        #[cfg(feature = "tower")]
        let entries = entries.map(|(name, entry)| match (entry, self.layers.before(&name)) {
            (Entry::Typed(route), Some(ahead)) => {
                (name, Entry::Typed(Arc::new(LayeredRoute { route, ahead })))
            }
            (entry, _) => (name, entry),
        });
        entries
    }

    /// Whether peers know no notices.
    pub(crate) fn is_silent(&self) -> bool {
        self.is_silent
    }

    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn limits(&self) -> &Arc<Limits> {
        &self.limits
    }

    pub(crate) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    /// What is called by this name.
    ///
    /// # Errors
    ///
    /// `unknown_command`.
    pub(crate) fn find(&self, name: Name) -> Result<Found> {
        if let Some(found) = self.registry.find(&name) {
            return Ok(found);
        }
        let own = || {
            let route = own::find(name, &self.registry, &self.quota)?;
            let figures = Arc::clone(self.registry.ledger().own());
            Some(Found { entry: Entry::Typed(route.into()), figures })
        };
        name.is_reserved().then(own).flatten().ok_or_else(|| {
            let text = format!("there is no command {name}; ? lists them");
            Error::found(Code::UnknownCommand, text)
        })
    }

    /// The format that a plain call is in, and how its payload is framed; `None` if it has none. Of
    /// a command that nobody knows it is what the caller says.
    ///
    /// # Errors
    ///
    /// `unsupported_format`.
    #[cfg(feature = "udp")]
    pub(crate) fn plain_form(&self, name: Name, word: Option<FormatWord>) -> Result<PlainForm> {
        let Ok(Found { entry, .. }) = self.find(name) else {
            return Ok((word, None));
        };
        let Entry::Typed(route) = entry else {
            let text = format!("{name} is a raw command: it wants a connection");
            return Err(Error::found(Code::UnsupportedFormat, text));
        };
        let framing = route.framing(word)?;
        let own = route.format_name(Spoken::Plainly(word));
        // Those of the endpoint itself have no other.
        let own = own.or_else(|| framing.map(|_| "line"));
        let own = own.and_then(|own| FormatWord::parse(own.as_bytes()).ok());
        Ok((word.or(own), framing))
    }

    /// Begins to answer a call, which came at that time, of a door that accounts for its memory:
    /// `hold` is told how many bytes it keeps.
    pub(crate) fn begin(
        &self,
        request: Request,
        came: Instant,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Answer {
        self.begin_by(None, (request, came), hold)
    }

    /// As [`begin`](Self::begin), by what was found before. Another command may be under that name
    /// by now.
    pub(crate) fn begin_found(
        &self,
        found: Found,
        request: Request,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Answer {
        self.begin_by(Some(found), (request, now()), hold)
    }

    /// Counts a call that does not run among those of its command, if there is one.
    pub(crate) fn note_refused(&self, name: Name, opening: &Opening, code: Code) {
        let ledger = self.registry.ledger();
        match self.registry.find(&name) {
            Some(found) => found.figures.refuse(opening, code),
            None if code != Code::UnknownCommand && name.is_reserved() => {
                ledger.own().refuse(opening, code);
            }
            None => ledger.refuse(code),
        }
    }

    /// What has been counted.
    pub(crate) fn stats(&self) -> Stats {
        let counted = self.quota.held_and_blocking();
        self.registry.ledger().stats(self.registry.figures(), counted)
    }

    /// Tells the recorder of the `metrics` facade what has been counted.
    #[cfg(feature = "metrics")]
    pub(crate) fn publish(&self, endpoint: Option<&str>) {
        let counted = self.quota.held_and_blocking();
        self.registry.ledger().publish(endpoint, self.registry.figures(), counted);
    }

    fn begin_by(
        &self,
        found: Option<Found>,
        (request, came): (Request, Instant),
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Answer {
        let (name, id, origin) = (request.name(), request.id(), request.origin());
        let opening = opening(&request, came);
        let trace = TraceSpan::of_call(request.options());
        match self.admit(found, request, &opening, trace, hold) {
            Ok(((work, time, (permit, tab)), items)) => {
                let span = span::of_call(name, id, origin, trace);
                // Where calls are not listened to, what is said of one is said of its connection.
                let span = span.or_current();
                let answer = Answer::of_handler(name, work, time, span, (permit, tab));
                answer.with_items(items)
            }
            Err(error) => {
                let command = self.registry.find(&name).map(|_| name);
                log_refusal(command, id.tag(), &error);
                self.note_refused(name, &opening, error.code());
                match origin {
                    Origin::Direct => Answer::refused_directly(error),
                    Origin::Tagged | Origin::Plain => Answer::refused(error),
                }
            }
        }
    }

    fn admit(
        &self,
        found: Option<Found>,
        mut request: Request,
        opening: &Opening,
        trace: Option<TraceSpan>,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<(Begun, Option<Arc<dyn Items>>)> {
        let is_streamed = request.items().is_some();
        let permit = if is_streamed { self.quota.stream()? } else { self.quota.call()? };
        let (name, origin) = (request.name(), request.origin());
        let Found { entry, figures } = found.map_or_else(|| self.find(name), Ok)?;
        let Entry::Typed(route) = entry else {
            let text = format!("{name} is a raw command: call it plainly");
            return Err(Error::found(Code::UnsupportedFormat, text));
        };
        let facts = route.facts();
        if facts.is_streamed() && request.items().is_none() {
            let text = "this command is streamed, and this way to call it carries no items";
            return Err(Error::found(Code::UnsupportedFormat, text));
        }
        if !facts.is_streamed() && request.items().is_some() {
            let text = "this command has no items: call it without";
            return Err(Error::found(Code::UnsupportedFormat, text));
        }
        if request.resume_position().is_some() && !facts.is_resumable() {
            return Err(Error::found(Code::Invalid, NOT_RESUMABLE));
        }
        let (deadline, time) = self.time_of(&request, facts, opening.came);
        if origin != Origin::Tagged && deadline <= opening.came {
            let text = "the deadline had passed when the call arrived";
            return Err(Error::found(Code::DeadlineExceeded, text));
        }
        if let Some(items) = request.items().cloned() {
            request.set_items(Arc::new(Counted::new(items, Arc::clone(&figures))));
        }
        let items = request.items().cloned();
        let word = request.format_word();
        let spoken = match origin {
            Origin::Plain => Spoken::Plainly(word),
            Origin::Tagged | Origin::Direct => Spoken::Otherwise(word),
        };
        let (limits, quota) = (self.limits_of(facts), Arc::clone(&self.quota));
        let admitted = Admitted { route, spoken, limits, quota, deadline, trace };
        #[cfg(feature = "tower")]
        if let Some(ahead) = self.layers.before(&name) {
            let work = traced(trace, ahead.begin(admitted, request));
            return Ok(((work, time, (permit, Tab::begin(figures, opening))), items));
        }
        let work = admitted.begin(request, hold)?;
        Ok(((work, time, (permit, Tab::begin(figures, opening))), items))
    }

    /// The limits that hold for a command with these facts.
    fn limits_of(&self, facts: Facts) -> Arc<Limits> {
        if facts.payload_bytes_max().is_none() {
            return Arc::clone(&self.limits);
        }
        Arc::new(facts.limits(&self.limits))
    }

    /// When a call is to end, and who sees to it.
    fn time_of(&self, request: &Request, facts: Facts, now: Instant) -> (Instant, Time) {
        if let (Some(deadline), Origin::Tagged) = (request.deadline(), request.origin()) {
            return (deadline, Time::Door { due: deadline });
        }
        let time_max = facts.time_max(self.limits.call_time_max);
        // A stream lasts as long as its caller says.
        let time = if facts.is_streamed() { Duration::MAX } else { time_max.time };
        let ours = after_that(now.into(), time).into_std();
        let deadline = request.deadline().filter(|deadline| *deadline < ours);
        let due = deadline.unwrap_or(ours);
        let limit = deadline.is_none().then_some(time_max);
        (due, Time::Here { due, limit })
    }
}

/// The format of a plain call, and how its payload is framed.
#[cfg(feature = "udp")]
pub(crate) type PlainForm = (Option<FormatWord>, Option<Framing>);

impl Commands for Router {
    fn facts_of(&self, name: &Name) -> Option<Facts> {
        self.registry.facts_of(name)
    }

    fn turn_away(&self) {
        self.registry.ledger().turn_away(1);
    }
}

/// For calls that come through no connection, which account for themselves.
impl Service for Router {
    fn call(&self, mut request: Request) -> Answer {
        let (value_bytes, bytes_max) = (request.value_bytes(), self.limits.payload_bytes_max);
        let max = match self.facts_of(&request.name()) {
            Some(facts) => facts.payload_max(bytes_max),
            None => PayloadMax::of_limits(bytes_max),
        };
        let (came, mut held) = (now(), Held::new(&self.quota));
        let room = if value_bytes > max.bytes {
            Err(Error::found(Code::TooLarge, max.too_large(value_bytes)))
        } else {
            held.cover(call_bytes(request.payload().len()))
        };
        if let Err(error) = room {
            self.note_refused(request.name(), &opening(&request, came), error.code());
            return Answer::refused_directly(error);
        }
        if let Some(items) = request.items() {
            items.charge_to(&self.quota, &self.limits);
        }
        let direct = Direct::new(request.peer().clone(), Arc::clone(&self.quota));
        request.set_caller(Arc::<Direct>::clone(&direct));
        let answer = self.begin(request, came, &mut |bytes| held.cover(call_bytes(bytes)));
        direct.wait_for(answer, held, max)
    }
}

/// A call as it comes to be counted.
fn opening(request: &Request, came: Instant) -> Opening {
    Opening {
        came,
        payload_bytes: request.payload().len(),
        is_one_way: request.is_one_way(),
        is_streamed: request.items().is_some(),
    }
}
