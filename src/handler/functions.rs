//! Functions as handlers: async ones and those that block, with state in front or without.
//!
//! It is a macro, because the compiler infers a shape only from an impl whose header names it. One
//! impl for all shapes would leave open which of them a function has.

use std::sync::Arc;

use super::blocking::{Blocking, BlockingAnswer, run_blocking};
use super::{
    Context, Handler, OfBoth, OfBothAndContext, OfReceiver, OfReceiverAndContext, OfRequest,
    OfRequestAndContext, OfSender, OfSenderAndContext, WithState,
};
use crate::command::Streamed;
use crate::format::Codec;
use crate::service::{Receiver, Sender};

pub(super) fn sender<I>(context: &Context, codec: &Codec<I>) -> Sender<I> {
    Sender::new(context.items_of_call(), codec.name, codec.payload)
}

fn receiver<I>(context: &Context, codec: &Codec<I>) -> Receiver<I> {
    Receiver::new(context.items_of_call(), codec.decode)
}

/// The handlers of one shape: a function, one that blocks, and either with state in front. Behind
/// the shape stand the request of the command and the codecs of its items, and behind the second
/// `=>` what the function is given beside the head of the request, made of the context and these.
macro_rules! handlers {
    (
        $shape:ident $(<$($item:ident),+>)? => $request:ty, $items:ty,
        ($context:pat, $codecs:pat) => $($argument:expr, $type:ty);*
    ) => {
        #[diagnostic::do_not_recommend]
        impl<F, Head, $($($item: 'static,)+)? Answer> Handler<$request, $shape $(<$($item),+>)?>
            for F
        where
            F: Fn(Head $(, $type)*) -> Answer + Send + Sync + 'static,
        {
            type Head = Head;
            type Answer = Answer;
            type Items = $items;

            fn call(&self, head: Head, $context: Context, $codecs: &$items) -> Answer {
                self(head $(, $argument)*)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<S, F, Head, $($($item: 'static,)+)? Answer> Handler<$request, $shape $(<$($item),+>)?>
            for WithState<S, F>
        where
            S: Send + Sync + 'static,
            F: Fn(Arc<S>, Head $(, $type)*) -> Answer + Send + Sync + 'static,
        {
            type Head = Head;
            type Answer = Answer;
            type Items = $items;

            fn call(&self, head: Head, $context: Context, $codecs: &$items) -> Answer {
                (self.function)(Arc::clone(&self.state), head $(, $argument)*)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<F, Head, $($($item: 'static,)+)? Reply> Handler<$request, $shape $(<$($item),+>)?>
            for Blocking<F>
        where
            F: Fn(Head $(, $type)*) -> Reply + Send + Sync + 'static,
            Head: Send + 'static,
            Reply: Send + 'static,
        {
            type Head = Head;
            type Answer = BlockingAnswer<Reply>;
            type Items = $items;

            fn call(&self, head: Head, context: Context, codecs: &$items) -> Self::Answer {
                let (function, codecs) = (Arc::clone(&self.function), Clone::clone(codecs));
                run_blocking(context, move |$context| {
                    let $codecs = &codecs;
                    function(head $(, $argument)*)
                })
            }
        }

        #[diagnostic::do_not_recommend]
        impl<S, F, Head, $($($item: 'static,)+)? Reply> Handler<$request, $shape $(<$($item),+>)?>
            for WithState<S, Blocking<F>>
        where
            S: Send + Sync + 'static,
            F: Fn(Arc<S>, Head $(, $type)*) -> Reply + Send + Sync + 'static,
            Head: Send + 'static,
            Reply: Send + 'static,
        {
            type Head = Head;
            type Answer = BlockingAnswer<Reply>;
            type Items = $items;

            fn call(&self, head: Head, context: Context, codecs: &$items) -> Self::Answer {
                let (state, function) = (Arc::clone(&self.state), self.function.function.clone());
                let codecs = Clone::clone(codecs);
                run_blocking(context, move |$context| {
                    let $codecs = &codecs;
                    function(state, head $(, $argument)*)
                })
            }
        }
    };
}

handlers!(OfRequest => Head, (), (_, _) =>);
handlers!(OfRequestAndContext => Head, (), (context, _) => context, Context);
handlers!(
    OfSender<I> => Head, Arc<Codec<I>>,
    (context, codec) => sender(&context, codec), Sender<I>
);
handlers!(
    OfSenderAndContext<I> => Head, Arc<Codec<I>>,
    (context, codec) => sender(&context, codec), Sender<I>; context, Context
);
handlers!(
    OfReceiver<I> => Streamed<I, Head>, Arc<Codec<I>>,
    (context, codec) => receiver(&context, codec), Receiver<I>
);
handlers!(
    OfReceiverAndContext<I> => Streamed<I, Head>, Arc<Codec<I>>,
    (context, codec) => receiver(&context, codec), Receiver<I>; context, Context
);
handlers!(
    OfBoth<I, J> => Streamed<I, Head>, Arc<(Codec<I>, Codec<J>)>,
    (context, codecs) =>
        receiver(&context, &codecs.0), Receiver<I>;
        sender(&context, &codecs.1), Sender<J>
);
handlers!(
    OfBothAndContext<I, J> => Streamed<I, Head>, Arc<(Codec<I>, Codec<J>)>,
    (context, codecs) =>
        receiver(&context, &codecs.0), Receiver<I>;
        sender(&context, &codecs.1), Sender<J>;
        context, Context
);
