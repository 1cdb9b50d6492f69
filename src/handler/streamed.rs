//! Functions that are given what sends or takes the items of a streamed command.

use std::sync::Arc;

use super::{
    Blocking, BlockingAnswer, Context, Handler, OfBoth, OfBothAndContext, OfReceiver,
    OfReceiverAndContext, OfSender, OfSenderAndContext, WithState, run_blocking,
};
use crate::command::Streamed;
use crate::format::Codec;
use crate::service::{Receiver, Sender};

pub(super) fn sender<I>(context: &Context, codec: &Codec<I>) -> Sender<I> {
    Sender::new(context.items_of_call(), codec.name, codec.encode)
}

fn receiver<I>(context: &Context, codec: &Codec<I>) -> Receiver<I> {
    Receiver::new(context.items_of_call(), codec.decode)
}

/// The handlers of one shape: a function, one that blocks, and either with state in front. Behind
/// `=>` stands the request of the command, and what the function is given beside its head.
macro_rules! streamed_handlers {
    (
        $shape:ident<$($item:ident),+> => $request:ty, $items:ty,
        ($context:ident, $codecs:ident) => $($argument:expr, $type:ty);+
    ) => {
        #[diagnostic::do_not_recommend]
        impl<F, Head, $($item: 'static,)+ Answer> Handler<$request, $shape<$($item),+>> for F
        where
            F: Fn(Head, $($type),+) -> Answer + Send + Sync + 'static,
        {
            type Head = Head;
            type Answer = Answer;
            type Items = $items;

            fn call(&self, head: Head, $context: Context, $codecs: &$items) -> Answer {
                self(head, $($argument),+)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<S, F, Head, $($item: 'static,)+ Answer> Handler<$request, $shape<$($item),+>>
            for WithState<S, F>
        where
            S: Send + Sync + 'static,
            F: Fn(Arc<S>, Head, $($type),+) -> Answer + Send + Sync + 'static,
        {
            type Head = Head;
            type Answer = Answer;
            type Items = $items;

            fn call(&self, head: Head, $context: Context, $codecs: &$items) -> Answer {
                (self.function)(Arc::clone(&self.state), head, $($argument),+)
            }
        }

        #[diagnostic::do_not_recommend]
        impl<F, Head, $($item: 'static,)+ Reply> Handler<$request, $shape<$($item),+>>
            for Blocking<F>
        where
            F: Fn(Head, $($type),+) -> Reply + Send + Sync + 'static,
            Head: Send + 'static,
            Reply: Send + 'static,
        {
            type Head = Head;
            type Answer = BlockingAnswer<Reply>;
            type Items = $items;

            fn call(&self, head: Head, context: Context, codecs: &$items) -> Self::Answer {
                let (function, $codecs) = (Arc::clone(&self.function), Arc::clone(codecs));
                run_blocking(context, move |$context| {
                    let $codecs = &$codecs;
                    function(head, $($argument),+)
                })
            }
        }

        #[diagnostic::do_not_recommend]
        impl<S, F, Head, $($item: 'static,)+ Reply> Handler<$request, $shape<$($item),+>>
            for WithState<S, Blocking<F>>
        where
            S: Send + Sync + 'static,
            F: Fn(Arc<S>, Head, $($type),+) -> Reply + Send + Sync + 'static,
            Head: Send + 'static,
            Reply: Send + 'static,
        {
            type Head = Head;
            type Answer = BlockingAnswer<Reply>;
            type Items = $items;

            fn call(&self, head: Head, context: Context, codecs: &$items) -> Self::Answer {
                let (state, function) = (Arc::clone(&self.state), self.function.function.clone());
                let $codecs = Arc::clone(codecs);
                run_blocking(context, move |$context| {
                    let $codecs = &$codecs;
                    function(state, head, $($argument),+)
                })
            }
        }
    };
}

streamed_handlers!(
    OfSender<I> => Head, Arc<Codec<I>>,
    (context, codec) => sender(&context, codec), Sender<I>
);
streamed_handlers!(
    OfSenderAndContext<I> => Head, Arc<Codec<I>>,
    (context, codec) => sender(&context, codec), Sender<I>; context, Context
);
streamed_handlers!(
    OfReceiver<I> => Streamed<I, Head>, Arc<Codec<I>>,
    (context, codec) => receiver(&context, codec), Receiver<I>
);
streamed_handlers!(
    OfReceiverAndContext<I> => Streamed<I, Head>, Arc<Codec<I>>,
    (context, codec) => receiver(&context, codec), Receiver<I>; context, Context
);
streamed_handlers!(
    OfBoth<I, J> => Streamed<I, Head>, Arc<(Codec<I>, Codec<J>)>,
    (context, codecs) =>
        receiver(&context, &codecs.0), Receiver<I>;
        sender(&context, &codecs.1), Sender<J>
);
streamed_handlers!(
    OfBothAndContext<I, J> => Streamed<I, Head>, Arc<(Codec<I>, Codec<J>)>,
    (context, codecs) =>
        receiver(&context, &codecs.0), Receiver<I>;
        sender(&context, &codecs.1), Sender<J>;
        context, Context
);
