//! The items of a streamed call on their way between a door and a handler, counted.
//!
//! What a handler owes is kept here as well: whatever way the call came, its items pass here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::items::Items;
use crate::error::Result;
use crate::ledger::Figures;
use crate::limits::Limits;
use crate::quota::{Held, Quota};
use crate::session::Item;

/// The handler's side of a streamed call.
pub(crate) struct Counted {
    items: Arc<dyn Items>,
    figures: Arc<Figures>,
    owes_end: AtomicBool,
}

impl Counted {
    pub(crate) fn new(items: Arc<dyn Items>, figures: Arc<Figures>) -> Self {
        Self { items, figures, owes_end: AtomicBool::new(false) }
    }

    fn note(&self, item: &Poll<Result<Option<Item>>>) {
        if let Poll::Ready(Ok(Some(item))) = item {
            self.figures.item_in(item.payload.len());
        }
    }
}

impl Items for Counted {
    fn poll_send(&self, cx: &mut Context<'_>, item: &mut Option<Item>) -> Poll<Result<()>> {
        let payload_bytes = item.as_ref().map(|item| item.payload.len());
        let sent = self.items.poll_send(cx, item);
        if let (Poll::Ready(Ok(())), Some(payload_bytes)) = (&sent, payload_bytes) {
            self.figures.item_out(payload_bytes);
        }
        sent
    }

    fn poll_next(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Item>>> {
        let item = self.items.poll_next(cx);
        self.note(&item);
        item
    }

    fn poll_some(
        &self,
        cx: &mut Context<'_>,
        more: &mut VecDeque<Item>,
    ) -> Poll<Result<Option<Item>>> {
        let before = more.len();
        let item = self.items.poll_some(cx, more);
        self.note(&item);
        more.iter().skip(before).for_each(|item| self.figures.item_in(item.payload.len()));
        item
    }

    fn poll_opened(&self, cx: &mut Context<'_>) -> Poll<Result<Option<u64>>> {
        self.items.poll_opened(cx)
    }

    fn open(&self, position: Option<u64>) {
        self.items.open(position);
    }

    fn end(&self) {
        self.owes_end.store(false, Ordering::Release);
        self.items.end();
    }

    fn owe_end(&self) {
        self.owes_end.store(true, Ordering::Release);
    }

    fn owes_end(&self) -> bool {
        self.owes_end.load(Ordering::Acquire)
    }

    fn abort(&self) {
        self.items.abort();
    }

    fn hold(&self, bytes: usize) -> Result<Option<Held>> {
        self.items.hold(bytes)
    }

    fn close(&self) {
        self.items.close();
    }

    fn charge_to(&self, quota: &Arc<Quota>, limits: &Arc<Limits>) {
        self.items.charge_to(quota, limits);
    }
}
