//! From a request to its handler: where every call begins, whichever door it came through.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::admitted::Admitted;
#[cfg(feature = "tower")]
use super::layered::LayeredRoute;
use super::own;
use super::route::{Route, Spoken};
use super::{Entry, Registry, span};
use crate::clock::{after, now};
use crate::command::Facts;
use crate::error::{Code, Error, Result};
use crate::limits::{Limits, PayloadMax};
use crate::quota::{Held, Permit, Quota, call_bytes};
use crate::service::{
    Answer, Began, Commands, Direct, Origin, Request, Service, Time, TraceSpan, Work, log_refusal,
};
#[cfg(feature = "tower")]
use crate::service::{Layers, traced};
use crate::session::NOT_RESUMABLE;
use crate::wire::Name;

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
    pub(crate) fn find(&self, name: Name) -> Result<Entry> {
        if let Some(entry) = self.registry.find(&name) {
            return Ok(entry);
        }
        let own = || own::find(name, &self.registry).map(|route| Entry::Typed(route.into()));
        name.is_reserved().then(own).flatten().ok_or_else(|| {
            let text = format!("there is no command {name}; ? lists them");
            Error::found(Code::UnknownCommand, text)
        })
    }

    /// Begins to answer a call of a door that accounts for its memory: `hold` is told how many
    /// bytes it keeps.
    pub(crate) fn begin(
        &self,
        request: Request,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Answer {
        self.begin_by(None, request, hold)
    }

    /// As [`begin`](Self::begin), by a route that was found before. Another command may be under
    /// that name by now.
    pub(crate) fn begin_found(
        &self,
        route: Arc<dyn Route>,
        request: Request,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Answer {
        self.begin_by(Some(route), request, hold)
    }

    fn begin_by(
        &self,
        found: Option<Arc<dyn Route>>,
        request: Request,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Answer {
        let (name, id, origin) = (request.name(), request.id(), request.origin());
        let began = Began::now();
        let items = request.items().cloned();
        let trace = TraceSpan::of_call(request.options());
        match self.admit(found, request, trace, hold) {
            Ok((work, time, permit)) => {
                let span = span::of_call(name, id, origin, trace);
                // Where calls are not listened to, what is said of one is said of its connection.
                let answer = Answer::of_handler(name, work, time, began, span.or_current(), permit);
                answer.with_items(items)
            }
            Err(error) => {
                let command = self.registry.find(&name).map(|_| name);
                log_refusal(command, id.tag(), &error);
                match origin {
                    Origin::Direct => Answer::refused_directly(error),
                    Origin::Tagged | Origin::Plain => Answer::refused(error),
                }
            }
        }
    }

    fn admit(
        &self,
        found: Option<Arc<dyn Route>>,
        request: Request,
        trace: Option<TraceSpan>,
        hold: &mut dyn FnMut(usize) -> Result<()>,
    ) -> Result<(Work, Time, Permit)> {
        let is_streamed = request.items().is_some();
        let permit = if is_streamed { self.quota.stream()? } else { self.quota.call()? };
        let (name, origin) = (request.name(), request.origin());
        let found = found.map(|route| Ok(Entry::Typed(route)));
        let Entry::Typed(route) = found.unwrap_or_else(|| self.find(name))? else {
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
        let (deadline, time) = self.time_of(&request, facts);
        if origin != Origin::Tagged && deadline <= now() {
            let text = "the deadline had passed when the call arrived";
            return Err(Error::found(Code::DeadlineExceeded, text));
        }
        let word = request.format_word();
        let spoken = match origin {
            Origin::Plain => Spoken::Plainly(word),
            Origin::Tagged | Origin::Direct => Spoken::Otherwise(word),
        };
        let (limits, quota) = (self.limits_of(facts), Arc::clone(&self.quota));
        let admitted = Admitted { route, spoken, limits, quota, deadline, trace };
        #[cfg(feature = "tower")]
        if let Some(ahead) = self.layers.before(&name) {
            return Ok((traced(trace, ahead.begin(admitted, request)), time, permit));
        }
        Ok((admitted.begin(request, hold)?, time, permit))
    }

    /// The limits that hold for a command with these facts.
    fn limits_of(&self, facts: Facts) -> Arc<Limits> {
        if facts.payload_bytes_max().is_none() {
            return Arc::clone(&self.limits);
        }
        Arc::new(facts.limits(&self.limits))
    }

    /// When a call is to end, and who sees to it.
    fn time_of(&self, request: &Request, facts: Facts) -> (Instant, Time) {
        if let (Some(deadline), Origin::Tagged) = (request.deadline(), request.origin()) {
            return (deadline, Time::Door { due: deadline });
        }
        let time_max = facts.time_max(self.limits.call_time_max);
        // A stream lasts as long as its caller says.
        let time = if facts.is_streamed() { Duration::MAX } else { time_max.time };
        let ours = after(time).into_std();
        let deadline = request.deadline().filter(|deadline| *deadline < ours);
        let due = deadline.unwrap_or(ours);
        let limit = deadline.is_none().then_some(time_max);
        (due, Time::Here { due, limit })
    }
}

impl Commands for Router {
    fn facts_of(&self, name: &Name) -> Option<Facts> {
        self.registry.facts_of(name)
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
        if value_bytes > max.bytes {
            let text = max.too_large(value_bytes);
            return Answer::refused_directly(Error::found(Code::TooLarge, text));
        }
        let mut held = Held::new(&self.quota);
        if let Err(error) = held.cover(call_bytes(request.payload().len())) {
            return Answer::refused_directly(error);
        }
        if let Some(items) = request.items() {
            items.charge_to(&self.quota, &self.limits);
        }
        let direct = Direct::new(request.peer().clone(), Arc::clone(&self.quota));
        request.set_caller(Arc::<Direct>::clone(&direct));
        let answer = self.begin(request, &mut |bytes| held.cover(call_bytes(bytes)));
        direct.wait_for(answer, held, max)
    }
}
