//! What a handler of some shape needs of the command that it answers: which values are read and
//! written for it, in which formats.

use std::sync::Arc;

use super::{
    OfBoth, OfBothAndContext, OfReceiver, OfReceiverAndContext, OfRequest, OfRequestAndContext,
    OfSender, OfSenderAndContext, OfStream, OfStreamAndContext,
};
use crate::command::Streamed;
use crate::error::Result;
use crate::format::{Codec, Format, Outline};

/// A shape of handlers that goes with commands of these types. It is inferred.
#[diagnostic::on_unimplemented(
    message = "this handler does not go with `Command<{Req}, {Rep}, {F}>`",
    note = "a reply that is `Streamed<Item>` is answered by `async fn(Request, Sender<Item>)`, a \
            request that is `Streamed<Item, Head>` by `async fn(Head, Receiver<Item>)`, and both \
            by `async fn(Head, Receiver<Item>, Sender<Item>)`"
)]
pub trait Speaks<Req, Rep, F> {
    /// What the payload of the call's line is.
    #[doc(hidden)]
    type Head;
    /// What the final reply is.
    #[doc(hidden)]
    type Last;
    /// The functions for items.
    #[doc(hidden)]
    type Items;
    /// Whether the request, and the reply, come in items.
    #[doc(hidden)]
    const IS_STREAMED: (bool, bool);

    /// What the command can be spoken in, its own format first.
    #[doc(hidden)]
    fn tongues() -> Result<Tongues<Self::Head, Self::Last, Self::Items>>;

    /// What items of the request, and of the reply, look like.
    #[doc(hidden)]
    fn outlines_of_items(items: &Self::Items) -> ItemOutlines;
}

/// What items of the request, and of the reply, look like, if there are any.
pub(super) type ItemOutlines = (Option<Outline>, Option<Outline>);

/// The functions for one command, in each of its formats.
pub(super) type Tongues<Head, Last, Items> = Vec<(Codec<Head>, Codec<Last>, Items)>;

/// The codecs of a type in `F` and in what `F` offers beside it.
fn codecs<T, F: Format<T>>() -> Vec<Codec<T>> {
    let others = F::alternatives().into_iter().filter(|codec| codec.name != F::NAME);
    std::iter::once(Codec::of::<F>()).chain(others).collect()
}

fn take<T>(codecs: &mut Vec<Codec<T>>, name: &str) -> Option<Codec<T>> {
    let at = codecs.iter().position(|codec| codec.name == name)?;
    Some(codecs.swap_remove(at))
}

/// The functions for a command of which one half comes in items: which one does not matter here.
fn tongues_with_items<Head, I, Last, F>() -> Tongues<Head, Last, Arc<Codec<I>>>
where
    F: Format<Head> + Format<I> + Format<Last>,
{
    let (mut items, mut lasts) = (codecs::<I, F>(), codecs::<Last, F>());
    let of = |head: Codec<Head>| {
        let last = take(&mut lasts, head.name)?;
        let item = take(&mut items, head.name)?;
        Some((head, last, Arc::new(item)))
    };
    codecs::<Head, F>().into_iter().filter_map(of).collect()
}

macro_rules! unary {
    ($($shape:ident),*) => {$(
        impl<Req, Rep, F: Format<Req> + Format<Rep>> Speaks<Req, Rep, F> for $shape {
            type Head = Req;
            type Last = Rep;
            type Items = ();
            const IS_STREAMED: (bool, bool) = (false, false);

            fn tongues() -> Result<Tongues<Req, Rep, ()>> {
                <F as Format<Req>>::check_read()?;
                <F as Format<Rep>>::check()?;
                let mut replies = codecs::<Rep, F>();
                let of = |request: Codec<Req>| {
                    let reply = take(&mut replies, request.name)?;
                    Some((request, reply, ()))
                };
                Ok(codecs::<Req, F>().into_iter().filter_map(of).collect())
            }

            fn outlines_of_items((): &()) -> ItemOutlines {
                (None, None)
            }
        }
    )*};
}

macro_rules! sending {
    ($($shape:ident),*) => {$(
        impl<Req, I, R, F> Speaks<Req, Streamed<I, R>, F> for $shape<I>
        where
            F: Format<Req> + Format<I> + Format<R>,
        {
            type Head = Req;
            type Last = R;
            type Items = Arc<Codec<I>>;
            const IS_STREAMED: (bool, bool) = (false, true);

            fn tongues() -> Result<Tongues<Req, R, Self::Items>> {
                <F as Format<Req>>::check_read()?;
                <F as Format<I>>::check()?;
                <F as Format<R>>::check()?;
                Ok(tongues_with_items::<Req, I, R, F>())
            }

            fn outlines_of_items(items: &Self::Items) -> ItemOutlines {
                (None, (items.outline)())
            }
        }
    )*};
}

macro_rules! receiving {
    ($($shape:ident),*) => {$(
        impl<Head, I, Rep, F> Speaks<Streamed<I, Head>, Rep, F> for $shape<I>
        where
            F: Format<Head> + Format<I> + Format<Rep>,
        {
            type Head = Head;
            type Last = Rep;
            type Items = Arc<Codec<I>>;
            const IS_STREAMED: (bool, bool) = (true, false);

            fn tongues() -> Result<Tongues<Head, Rep, Self::Items>> {
                <F as Format<Head>>::check_read()?;
                <F as Format<I>>::check_read()?;
                <F as Format<Rep>>::check()?;
                Ok(tongues_with_items::<Head, I, Rep, F>())
            }

            fn outlines_of_items(items: &Self::Items) -> ItemOutlines {
                ((items.outline)(), None)
            }
        }
    )*};
}

macro_rules! both {
    ($($shape:ident),*) => {$(
        impl<Head, I, J, R, F> Speaks<Streamed<I, Head>, Streamed<J, R>, F> for $shape<I, J>
        where
            F: Format<Head> + Format<I> + Format<J> + Format<R>,
        {
            type Head = Head;
            type Last = R;
            type Items = Arc<(Codec<I>, Codec<J>)>;
            const IS_STREAMED: (bool, bool) = (true, true);

            fn tongues() -> Result<Tongues<Head, R, Self::Items>> {
                <F as Format<Head>>::check_read()?;
                <F as Format<I>>::check_read()?;
                <F as Format<J>>::check()?;
                <F as Format<R>>::check()?;
                let (mut up, mut down) = (codecs::<I, F>(), codecs::<J, F>());
                let mut lasts = codecs::<R, F>();
                let of = |head: Codec<Head>| {
                    let last = take(&mut lasts, head.name)?;
                    let items = (take(&mut up, head.name)?, take(&mut down, head.name)?);
                    Some((head, last, Arc::new(items)))
                };
                Ok(codecs::<Head, F>().into_iter().filter_map(of).collect())
            }

            fn outlines_of_items(items: &Self::Items) -> ItemOutlines {
                ((items.0.outline)(), (items.1.outline)())
            }
        }
    )*};
}

unary!(OfRequest, OfRequestAndContext);
sending!(OfSender, OfSenderAndContext, OfStream, OfStreamAndContext);
receiving!(OfReceiver, OfReceiverAndContext);
both!(OfBoth, OfBothAndContext);
