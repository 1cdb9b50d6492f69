//! Panics of a user's code, caught where it is called: they end one call and nothing else.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::Poll;

use crate::error::{Code, Error, Result};

/// Runs code of a user; a panic is its error. What it panicked with may panic once more when it is
/// dropped, and is forgotten then.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            std::mem::forget(payload);
        }
        panicked()
    })
}

/// Runs a future of a user to its end, and lets it go before anybody learns of that: a panic in
/// either is its error.
pub(crate) async fn caught_to_end<F: Future + ?Sized>(mut work: Pin<Box<F>>) -> Result<F::Output> {
    let polled = poll_fn(|cx| match caught(|| work.as_mut().poll(cx)) {
        Ok(polled) => polled.map(Ok),
        Err(panicked) => Poll::Ready(Err(panicked)),
    });
    let ended = polled.await;
    caught(|| drop(work)).and(ended)
}

pub(crate) fn panicked() -> Error {
    Error::found(Code::Panicked, "the handler panicked")
}
