//! Functions that return a stream of the items of a reply.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task;

use futures_core::Stream;

use super::blocking::Ran;
use super::functions::sender;
use super::{Context, Handler, OfStream, OfStreamAndContext, WithState};
use crate::format::Codec;
use crate::service::Sender;

/// Makes a handler of a function that returns a [`Stream`] of results. Their values are the items
/// of the reply, which ends with `()`; an error ends the call. The stream is polled as fast as the
/// caller takes items, and dropped when the caller is gone.
///
/// The function is `fn(Req) -> S` or `fn(Req, Context) -> S`. For shared state in front, put
/// [`with_state`](crate::with_state) around it. To fail before the first item, return a stream of
/// that error.
///
/// A function with a [`Sender`] can use `?` and `.await` between items, and end with a final value.
/// This one is for a program that has a stream already.
///
/// ```
/// # #[cfg(feature = "bincode")] {
/// use futures_util::{Stream, stream};
/// use switchboard::{Command, Endpoint, Result, Streamed, streaming};
///
/// const COUNT: Command<u32, Streamed<u32>> = Command::new("COUNT");
///
/// fn count(end: u32) -> impl Stream<Item = Result<u32>> {
///     stream::iter((1..=end).map(Ok))
/// }
///
/// let endpoint = Endpoint::new().on(COUNT, streaming(count));
/// # }
/// ```
pub fn streaming<F>(function: F) -> Streaming<F> {
    Streaming { function }
}

/// A handler that returns a stream; made by [`streaming`].
#[derive(Debug)]
pub struct Streaming<F> {
    function: F,
}

/// The future that sends the items of a stream.
type StreamingAnswer<E> = Pin<Box<dyn Future<Output = Ran<Result<(), E>>> + Send>>;

fn send_all<I: 'static, E: Send + 'static>(
    stream: impl Stream<Item = Result<I, E>> + Send + 'static,
    out: Sender<I>,
) -> StreamingAnswer<E> {
    Box::pin(async move {
        let mut stream = pin!(stream);
        loop {
            // Encoded where it comes, so that an item need not be able to move to another thread.
            let mut next = |cx: &mut task::Context<'_>| {
                let item = stream.as_mut().poll_next(cx);
                item.map(|item| item.map(|item| item.map(|item| out.send(&item))))
            };
            match poll_fn(&mut next).await {
                None => return Ran::of(Ok(())),
                Some(Err(error)) => return Ran::of(Err(error)),
                Some(Ok(sent)) => {
                    if let Err(error) = sent.await {
                        return Ran::failed(error);
                    }
                }
            }
        }
    })
}

/// The handlers of one shape: a function, and one with state in front.
macro_rules! streaming_handlers {
    ($shape:ident($context:ident $(=> $argument:ident: $type:ty)?)) => {
        #[diagnostic::do_not_recommend]
        impl<F, Req, S, I, E> Handler<Req, $shape<I>> for Streaming<F>
        where
            F: Fn(Req $(, $type)?) -> S + Send + Sync + 'static,
            S: Stream<Item = Result<I, E>> + Send + 'static,
            I: 'static,
            E: Send + 'static,
        {
            type Head = Req;
            type Answer = StreamingAnswer<E>;
            type Items = Arc<Codec<I>>;

            fn call(&self, request: Req, $context: Context, codec: &Arc<Codec<I>>) -> Self::Answer {
                let out = sender(&$context, codec);
                send_all((self.function)(request $(, $argument)?), out)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<T, F, Req, S, I, E> Handler<Req, $shape<I>> for WithState<T, Streaming<F>>
        where
            T: Send + Sync + 'static,
            F: Fn(Arc<T>, Req $(, $type)?) -> S + Send + Sync + 'static,
            S: Stream<Item = Result<I, E>> + Send + 'static,
            I: 'static,
            E: Send + 'static,
        {
            type Head = Req;
            type Answer = StreamingAnswer<E>;
            type Items = Arc<Codec<I>>;

            fn call(&self, request: Req, $context: Context, codec: &Arc<Codec<I>>) -> Self::Answer {
                let (state, out) = (Arc::clone(&self.state), sender(&$context, codec));
                send_all((self.function.function)(state, request $(, $argument)?), out)
            }
        }
    };
}

streaming_handlers!(OfStream(context));
streaming_handlers!(OfStreamAndContext(context => context: Context));
