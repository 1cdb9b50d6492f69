//! The parts of a command on which two programs must agree: their types.

use std::marker::PhantomData;

use super::streamed::{ItemsBothWays, ItemsDown, ItemsUp, OneEachWay, Streamed};
use crate::error::{Code, Error, Result};
use crate::format::{Format, Outline};
use crate::wire::Name;

/// A command as another program sees it: its name, its format, and the shapes of its request and
/// its reply. Made by [`Command::signature`](crate::Command::signature).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Signature {
    /// The name on the wire.
    pub name: Name,
    /// The format.
    pub format: &'static str,
    /// The shape of a request, or of the value that it begins with; `None` if its format has none.
    pub request: Option<Outline>,
    /// The shape of a reply, or of the value that it ends with; `None` if its format has none.
    pub reply: Option<Outline>,
    /// The shape of an item of the request, if it has items.
    pub request_items: Option<Option<Outline>>,
    /// The shape of an item of the reply, if it has items.
    pub reply_items: Option<Option<Outline>>,
}

/// One value that travels for a command.
#[doc(hidden)]
#[derive(Debug)]
pub struct Part {
    check: fn() -> Result<()>,
    check_read: fn() -> Result<()>,
    outline: fn() -> Option<Outline>,
}

/// The types of a command.
#[doc(hidden)]
#[derive(Debug)]
pub struct Types<Req, Rep, F>(PhantomData<fn(Req, F) -> Rep>);

/// The types of a command whose format knows them.
///
/// `Kind` tells commands of one value each way from streamed ones. It is inferred.
pub trait Described<Kind> {
    #[doc(hidden)]
    const FORMAT: &'static str;

    /// The request, the reply, an item of either.
    #[doc(hidden)]
    fn parts() -> (Part, Part, Option<Part>, Option<Part>);
}

impl Part {
    fn of<F: Format<T>, T>() -> Self {
        Self { check: F::check, check_read: F::check_read, outline: F::outline }
    }
}

impl<Req, Rep, F> Described<OneEachWay> for Types<Req, Rep, F>
where
    F: Format<Req> + Format<Rep>,
{
    const FORMAT: &'static str = <F as Format<Req>>::NAME;

    fn parts() -> (Part, Part, Option<Part>, Option<Part>) {
        (Part::of::<F, Req>(), Part::of::<F, Rep>(), None, None)
    }
}

impl<Req, I, R, F> Described<ItemsDown> for Types<Req, Streamed<I, R>, F>
where
    F: Format<Req> + Format<I> + Format<R>,
{
    const FORMAT: &'static str = <F as Format<Req>>::NAME;

    fn parts() -> (Part, Part, Option<Part>, Option<Part>) {
        (Part::of::<F, Req>(), Part::of::<F, R>(), None, Some(Part::of::<F, I>()))
    }
}

impl<Head, I, Rep, F> Described<ItemsUp> for Types<Streamed<I, Head>, Rep, F>
where
    F: Format<Head> + Format<I> + Format<Rep>,
{
    const FORMAT: &'static str = <F as Format<Head>>::NAME;

    fn parts() -> (Part, Part, Option<Part>, Option<Part>) {
        (Part::of::<F, Head>(), Part::of::<F, Rep>(), Some(Part::of::<F, I>()), None)
    }
}

impl<Head, I, J, R, F> Described<ItemsBothWays> for Types<Streamed<I, Head>, Streamed<J, R>, F>
where
    F: Format<Head> + Format<I> + Format<J> + Format<R>,
{
    const FORMAT: &'static str = <F as Format<Head>>::NAME;

    fn parts() -> (Part, Part, Option<Part>, Option<Part>) {
        let (up, down) = (Part::of::<F, I>(), Part::of::<F, J>());
        (Part::of::<F, Head>(), Part::of::<F, R>(), Some(up), Some(down))
    }
}

impl Signature {
    pub(super) fn of<C: Described<Kind>, Kind>(name: Name) -> Self {
        let (request, reply, request_items, reply_items) = C::parts();
        Self {
            name,
            format: C::FORMAT,
            request: (request.outline)(),
            reply: (reply.outline)(),
            request_items: request_items.map(|items| (items.outline)()),
            reply_items: reply_items.map(|items| (items.outline)()),
        }
    }
}

/// Whether values of each part can travel.
pub(super) fn check<C: Described<Kind>, Kind>(name: Name) -> Result<()> {
    let (request, reply, request_items, reply_items) = C::parts();
    let parts = [
        ("the request", Some(request)),
        ("the reply", Some(reply)),
        ("the items of the request", request_items),
        ("the items of the reply", reply_items),
    ];
    for (text, part) in parts {
        let Some(part) = part else { continue };
        if let Err(error) = (part.check)().and_then(|()| (part.check_read)()) {
            let text = format!("{name}, {text}: {}", error.text());
            return Err(Error::local(Code::Failed, text).with_source(error));
        }
    }
    Ok(())
}
