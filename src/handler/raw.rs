//! A raw handler as the registry keeps it: whatever its error was, it is one of ours.

use std::marker::PhantomData;
use std::sync::Arc;

use super::{RawFuture, RawHandler};
use crate::stream::Connection;

/// A raw handler, whatever its type.
pub(crate) type AnyRaw = dyn for<'a> RawHandler<'a, ()>;

/// Forgets the type of a handler, and of its error.
pub(crate) fn any_raw<Kind: 'static>(
    handler: impl for<'a> RawHandler<'a, Kind> + 'static,
) -> Arc<AnyRaw> {
    Arc::new(Raw { handler, kind: PhantomData })
}

struct Raw<H, Kind> {
    handler: H,
    kind: PhantomData<fn() -> Kind>,
}

impl<'a, H: RawHandler<'a, Kind>, Kind> RawHandler<'a, ()> for Raw<H, Kind> {
    fn call(&self, connection: &'a mut Connection) -> RawFuture<'a> {
        self.handler.call(connection)
    }
}
