//! One request as a call through the door, and its outcome.

use bytes::Bytes;

use crate::envelope::{Asked, Called, Dialect, Flaw, lone, put_error, put_flaw};
use crate::error::{Code, Error, Result};
use crate::quota::{Held, unheld};
use crate::service::{Door, OtherPayload, Reply, Request, Service};
use crate::transport::Peer;

/// Where an answer belongs.
pub(super) struct Place {
    pub(super) dialect: Dialect,
    pub(super) id: Option<Box<str>>,
    is_answered: bool,
    /// The number of its batch, and its own within that.
    pub(super) batch: Option<(u64, usize)>,
}

/// A call that has ended, and is not answered yet.
pub(super) struct Ended {
    pub(super) place: Place,
    pub(super) outcome: Outcome,
    // Covers the place and an error.
    pub(super) held: Held,
}

pub(super) enum Outcome {
    Reply(Reply),
    /// The whole answer.
    Error(Vec<u8>),
    /// Nobody wants to know.
    Unanswered,
}

impl Place {
    pub(super) fn of(asked: &Asked<'_>, batch: Option<(u64, usize)>) -> Self {
        let &Asked { dialect, id, is_answered, .. } = asked;
        Self { dialect, id: id.map(Box::from), is_answered, batch }
    }

    /// Of what has a line to itself and is no request.
    pub(super) fn of_line(dialect: Dialect) -> Self {
        Self { dialect, id: None, is_answered: true, batch: None }
    }

    /// Bytes of memory that it takes, with an answer and what is round them.
    fn bytes(&self, answer: &[u8]) -> usize {
        // Twice: it is in the answer of a call that goes well, too.
        let id_bytes = self.id.as_ref().map_or(0, |id| id.len()).saturating_mul(2);
        PLACE_BYTES.saturating_add(id_bytes).saturating_add(answer.len())
    }

    /// This for an answer for which there is no memory: a long id is left out of it.
    fn unheld(self) -> Self {
        Self { id: self.id.filter(|id| id.len() <= PLACE_BYTES), ..self }
    }

    fn error(&self, error: &Error) -> Vec<u8> {
        let mut out = Vec::new();
        put_error(&mut out, self.dialect, self.id.as_deref(), error);
        // It is charged with its length.
        out.shrink_to_fit();
        out
    }
}

impl Ended {
    fn new(place: Place, reply: Result<Reply>, held: Held) -> Self {
        if !place.is_answered {
            return Self { place, outcome: Outcome::Unanswered, held };
        }
        let reply = reply.and_then(|reply| {
            let payload = reply.payload();
            let is_line = memchr::memchr2(b'\n', b'\r', payload).is_none();
            if is_line && !payload.is_empty() { Ok(reply) } else { Err(not_a_line()) }
        });
        match reply {
            Ok(reply) => Self { place, outcome: Outcome::Reply(reply), held },
            Err(error) => {
                let answer = place.error(&error);
                Self::with(place, answer, held, unheld)
            }
        }
    }

    /// With an answer, or `or` of the error that there is no memory for it.
    fn with(place: Place, answer: Vec<u8>, mut held: Held, or: fn(Error) -> Error) -> Self {
        let Err(error) = held.cover(place.bytes(&answer)) else {
            return Self { place, outcome: Outcome::Error(answer), held };
        };
        drop(answer);
        let place = place.unheld();
        let outcome = Outcome::Error(place.error(&or(error)));
        Self { place, outcome, held }
    }
}

/// Begins a call, with what it holds charged to the endpoint from now on; its end at once, if there
/// is no memory for it.
pub(super) fn begin(
    place: Place,
    call: &Called<'_>,
    peer: &Peer,
    door: &Door,
) -> Result<impl Future<Output = Ended> + use<>, Box<Ended>> {
    let mut held = door.held();
    // In 1.0 a request is charged with the element of its list, and holds the list.
    let more = if place.dialect == Dialect::V1 { call.params.len() } else { 0 };
    let bytes = place.bytes(&[]).saturating_add(TASK_BYTES).saturating_add(more);
    if let Err(error) = held.cover(bytes) {
        return Err(Box::new(refused(place.unheld(), &error, held)));
    }
    let answer = request(place.dialect, call, peer).map(|request| door.call(request));
    Ok(async move {
        let reply = match answer {
            Ok(answer) => answer.await,
            Err(error) => Err(error),
        };
        Ended::new(place, reply, held)
    })
}

/// What is no request, as a call that has ended.
pub(super) fn wrong(place: Place, flaw: Flaw, held: Held) -> Ended {
    let mut answer = Vec::new();
    put_flaw(&mut answer, place.dialect, place.id.as_deref(), flaw);
    answer.shrink_to_fit();
    Ended::with(place, answer, held, |error| error)
}

/// What is refused before it is called, as a call that has ended.
pub(super) fn refused(place: Place, error: &Error, held: Held) -> Ended {
    if !place.is_answered {
        return Ended { place, outcome: Outcome::Unanswered, held };
    }
    let answer = place.error(error);
    Ended::with(place, answer, held, |error| error)
}

fn request(dialect: Dialect, call: &Called<'_>, peer: &Peer) -> Result<Request> {
    let (first, second) = payloads(dialect, call.params);
    let request = Request::new(&call.method, first)?.with_format("json")?;
    let request = request.with_peer(peer.clone());
    Ok(match second {
        Some(second) => request.with_extension(OtherPayload(second)),
        None => request,
    })
}

/// The parameters as a payload, and as another one if the command cannot read them so. They are a
/// copy: the line may be much longer, and lives no longer.
fn payloads(dialect: Dialect, params: &str) -> (Bytes, Option<Bytes>) {
    let whole = Bytes::copy_from_slice(params.as_bytes());
    if dialect == Dialect::Bare {
        return (whole, None);
    }
    match lone(params) {
        Some(place) if place.end <= whole.len() => {
            let element = whole.slice(place);
            if dialect == Dialect::V1 { (element, Some(whole)) } else { (whole, Some(element)) }
        }
        None if is_empty_list(params) => (whole, Some(Bytes::from_static(b"null"))),
        _ => (whole, None),
    }
}

fn is_empty_list(params: &str) -> bool {
    let inner = params.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}

/// The error of a reply of a format of the program's own.
fn not_a_line() -> Error {
    Error::found(Code::Failed, "the reply is not one line of JSON")
}

/// A place in the tables of a connection.
const PLACE_BYTES: usize = 256;

/// A task, with a call in it that was refused, as tests/memory.rs measures it. What one that runs
/// takes beside that, the endpoint counts by itself.
const TASK_BYTES: usize = 2560;
