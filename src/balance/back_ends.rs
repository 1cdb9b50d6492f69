//! Which back ends there are: a list, or one that changes.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::net::lookup_host;
use tokio::time::sleep;

use crate::error::{Error, Result};
use crate::service::BoxFuture;
use crate::transport::Address;

/// The back ends of a [`Balance`](crate::Balance): where a client finds their addresses.
#[must_use]
pub struct BackEnds {
    lists: Pin<Box<dyn Stream<Item = Vec<Address>> + Send>>,
}

impl BackEnds {
    /// These addresses, which stay.
    ///
    /// # Errors
    ///
    /// `invalid` if one of them is not an address.
    pub fn list<A>(addresses: impl IntoIterator<Item = A>) -> Result<Self>
    where
        A: TryInto<Address, Error: Into<Error>>,
    {
        let addresses: Result<Vec<_>> = addresses.into_iter().map(Address::of).collect();
        Ok(Self::watch(Once(Some(addresses?))))
    }

    /// What a name stands for, `host:port`, asked again after each of these times. While it cannot
    /// be told, or stands for nothing, the back ends stay as they were.
    ///
    /// ```
    /// # use std::time::Duration;
    /// use switchboard::{BackEnds, Client};
    ///
    /// # async fn example() {
    /// let back_ends = BackEnds::resolve("inventory.local:61000", Duration::from_secs(30));
    /// let client = Client::balance(back_ends).client();
    /// # }
    /// ```
    pub fn resolve(name: impl Into<String>, every: Duration) -> Self {
        let name: String = name.into();
        let ask = move || -> Asked {
            let name = name.clone();
            Box::pin(async move {
                let found = lookup_host(&name).await;
                found.map(|found| found.map(Address::from).collect()).map_err(Error::of_stream)
            })
        };
        Self::asked(Box::new(ask), every)
    }

    /// Those of the list that came last, from whoever knows: a file that is watched, Consul, etcd.
    /// One that is not in it any more is given no more calls, those under way there finish, and
    /// then its connection is closed. Behind the end of the stream they stay as they are. An empty
    /// list is none at all: calls wait for the next one.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use futures_util::stream::unfold;
    /// use switchboard::transport::Address;
    /// use switchboard::{BackEnds, Client};
    ///
    /// /// The addresses in a file, a line each, looked at every second until there is none.
    /// fn in_file(path: &'static str) -> BackEnds {
    ///     BackEnds::watch(unfold(Duration::ZERO, move |pause| async move {
    ///         tokio::time::sleep(pause).await;
    ///         let text = tokio::fs::read_to_string(path).await.ok()?;
    ///         let list: Vec<Address> = text.lines().flat_map(str::parse).collect();
    ///         Some((list, Duration::from_secs(1)))
    ///     }))
    /// }
    ///
    /// # async fn example() {
    /// let client = Client::balance(in_file("back_ends")).client();
    /// # }
    /// ```
    pub fn watch(lists: impl Stream<Item = Vec<Address>> + Send + 'static) -> Self {
        Self { lists: Box::pin(lists) }
    }

    pub(super) fn poll_list(&mut self, cx: &mut Context<'_>) -> Poll<Option<Vec<Address>>> {
        self.lists.as_mut().poll_next(cx)
    }

    fn asked(ask: Box<dyn Fn() -> Asked + Send>, every: Duration) -> Self {
        let state = Asking { ask, every, now: None };
        Self::watch(state)
    }
}

/// A list that does not change.
struct Once(Option<Vec<Address>>);

impl Stream for Once {
    type Item = Vec<Address>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Vec<Address>>> {
        Poll::Ready(self.0.take())
    }
}

/// An answer that is on its way.
type Asked = BoxFuture<'static, Result<Vec<Address>>>;

/// Asks time and again.
struct Asking {
    ask: Box<dyn Fn() -> Asked + Send>,
    every: Duration,
    now: Option<Asked>,
}

impl Stream for Asking {
    type Item = Vec<Address>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Vec<Address>>> {
        let this = &mut *self;
        loop {
            let asked = this.now.get_or_insert_with(|| (this.ask)());
            let Poll::Ready(found) = asked.as_mut().poll(cx) else {
                return Poll::Pending;
            };
            let (pause, next) = (sleep(this.every), (this.ask)());
            this.now = Some(Box::pin(async move {
                pause.await;
                next.await
            }));
            match found {
                Ok(list) if !list.is_empty() => return Poll::Ready(Some(list)),
                Ok(_) => tracing::debug!("the name of the back ends stands for nothing"),
                Err(error) => tracing::debug!(%error, "the back ends cannot be told"),
            }
        }
    }
}

impl fmt::Debug for BackEnds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackEnds").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Mutex;

    use tokio::time::Instant;

    use super::*;
    use crate::error::Code;

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_told_changes_nothing() {
        let list = |last| vec![Address::from(std::net::SocketAddr::from(([10, 0, 0, last], 1)))];
        let failed = || Err(Error::found(Code::Disconnected, "no answer"));
        let answers = vec![failed(), Ok(Vec::new()), Ok(list(1)), failed(), Ok(list(2))];
        let answers = Mutex::new(answers.into_iter());
        let ask = move || -> Asked {
            let next = answers.lock().unwrap().next();
            Box::pin(async move { next.unwrap() })
        };
        let mut back_ends = BackEnds::asked(Box::new(ask), Duration::from_secs(30));
        let begun = Instant::now();
        for (expected, seconds) in [(list(1), 60), (list(2), 120)] {
            let next = poll_fn(|cx| back_ends.poll_list(cx)).await;
            assert_eq!(next, Some(expected));
            assert_eq!(begun.elapsed(), Duration::from_secs(seconds));
        }
    }
}
