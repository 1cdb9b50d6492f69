//! Datagrams: the handlers of an endpoint called by them, and bare ones for a handler alone.
//!
//! The methods of [`Endpoint`] for it stand here: they need the feature. A socket is one door: all
//! of its callers share what one connection may have under way.

use std::sync::Arc;

use bytes::Bytes;

use super::{Endpoint, Report};
use crate::datagrams::{Datagram, Datagrams, serve_bare, serve_calls};
use crate::error::Result;
use crate::service::Tasks;
use crate::transport::Peer;

impl Endpoint {
    /// Answers calls that come by datagrams, for ever: each is one call, and its answer is one
    /// datagram.
    ///
    /// ```text
    /// > ADD 7 5 f=json\n[1,2]              NAME TAG LEN, and LEN bytes
    /// < <7 ok 1\n3
    /// > ADD json\n[1,2]\n                  by hand: `printf 'ADD json\n[1,2]\n' | nc -u -w1 ..`
    /// < <0 ok 2\n3\n
    /// ```
    ///
    /// ```
    /// # use switchboard::{Command, Endpoint, Error, Result, format::Json};
    /// # use tokio::net::UdpSocket;
    /// const ADD: Command<(u32, u32), u32, Json> = Command::new("ADD").idempotent();
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<()> {
    /// let socket = UdpSocket::bind("127.0.0.1:0").await?;
    /// let address = socket.local_addr()?;
    /// let endpoint = Endpoint::new().on(ADD, async |(a, b)| Ok::<_, Error>(a + b));
    /// tokio::spawn(async move { endpoint.serve_datagrams(socket).await });
    ///
    /// let caller = UdpSocket::bind("127.0.0.1:0").await?;
    /// caller.send_to(b"ADD 7 5 f=json\n[1,2]", address).await?;
    /// let mut answer = [0; 1200];
    /// let len = caller.recv(&mut answer).await?;
    /// assert_eq!(&answer[..len], b"<7 ok 1\n3");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// **An answer is at most as long as its call**, so that nobody can have the endpoint send more
    /// to a forged address than he sends himself. A caller that expects more makes its call longer,
    /// by an option that means nothing (`pad=......`) or by blanks behind a plain payload. If an
    /// answer is too long, the call has run, and the answer is `too_large`; if not even that fits,
    /// nothing is sent. The text of an error is left out where it does not fit.
    ///
    /// **A datagram may come twice, or never**: nothing is sent again. Commands should be
    /// idempotent.
    ///
    /// **Its address is what the sender says**, and anybody can forge it: handlers see it as
    /// [`PeerAddress::Udp`](crate::transport::PeerAddress::Udp), and must not decide by it what a
    /// caller may do.
    ///
    /// What is not one whole call is not answered, and neither is a call with tag 0. Deadlines
    /// (`t=`), traces and metadata are those of tagged calls. A plain call is a line in the format
    /// that it names, or in that of its command. Raw commands and streamed ones are refused with
    /// `unsupported_format`. Nobody is called back.
    ///
    /// # Limits
    ///
    /// A datagram has at most 1,200 bytes, its line `line_bytes_max`; [`Datagrams`] sets that and
    /// how many may come from one address and in all. At most `calls_per_connection_max` calls of
    /// the socket are under way, and more are refused with `overloaded`. `call_time_max`,
    /// `calls_max` and all that bounds a call hold as for others. What is over another bound is
    /// dropped.
    ///
    /// # Errors
    ///
    /// None so far: if reading fails it is tried again, after a pause that grows from 10 ms to 1 s.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops reading. Calls under way are answered within `drain_time_max`.
    pub async fn serve_datagrams(&self, socket: impl Into<Datagrams>) -> Result<()> {
        self.serve_datagrams_until(socket, std::future::pending::<()>()).await.map(|_| ())
    }

    /// As [`serve_datagrams`](Self::serve_datagrams) until `stop` is ready, and then drains: calls
    /// under way may finish, and end with `shutting_down` after `drain_time_max`; those that come
    /// meanwhile are refused with `shutting_down`. In the report all calls count as tagged ones,
    /// also those of which the answer did not fit.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve_datagrams`](Self::serve_datagrams).
    ///
    /// # Cancel safety
    ///
    /// As [`serve_datagrams`](Self::serve_datagrams).
    pub async fn serve_datagrams_until(
        &self,
        socket: impl Into<Datagrams>,
        stop: impl Future,
    ) -> Result<Report> {
        let tasks = Arc::<Tasks>::default();
        let door = self.door_of(Peer::unknown(), Arc::clone(&tasks));
        let datagrams_dropped = serve_calls(socket.into(), &self.router, &door, stop).await;
        // They have ended with the door.
        let tasks_cut_off = tasks.end(tokio::time::Instant::now()).await;
        let tally = door.tally();
        Ok(Report {
            calls_answered: tally.answered,
            calls_cut_off: tally.cut_off,
            tasks_cut_off,
            datagrams_dropped,
            ..Report::default()
        })
    }

    /// Gives each datagram to `handler`, for a protocol without names, for ever. The handler gives
    /// the answer, or `None` for no answer.
    ///
    /// ```
    /// # use switchboard::{Datagram, Endpoint};
    /// # use tokio::net::UdpSocket;
    /// # async fn serve() -> switchboard::Result<()> {
    /// let socket = UdpSocket::bind("127.0.0.1:7777").await?;
    /// let shout = async |datagram: Datagram| Some(datagram.payload.to_ascii_uppercase());
    /// Endpoint::new().serve_raw_datagrams(socket, shout).await
    /// # }
    /// ```
    ///
    /// An answer that is longer than [`Datagram::answer_bytes_max`] is not sent; that is the length
    /// of what came, and [`Datagrams::answer_bytes_more`] beside it.
    ///
    /// **Do not answer an answer**: two servers that do would talk to each other for ever, as fast
    /// as their bounds let them, once somebody has forged the address of one. For the library,
    /// bytes are bytes.
    ///
    /// # Limits
    ///
    /// The bounds of [`Datagrams`]; at most `calls_per_connection_max` handlers at once, each for
    /// at most `call_time_max`. What is over a bound is dropped. A handler that panics answers
    /// nothing. Datagrams are no calls, and count against no limit of calls.
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve_datagrams`](Self::serve_datagrams).
    ///
    /// # Cancel safety
    ///
    /// Dropping the future stops reading. Handlers under way go on, and their answers are sent.
    pub async fn serve_raw_datagrams<F, B>(
        &self,
        socket: impl Into<Datagrams>,
        handler: impl Fn(Datagram) -> F + Send + Sync + 'static,
    ) -> Result<()>
    where
        F: Future<Output = Option<B>> + Send + 'static,
        B: Into<Bytes>,
    {
        let stop = std::future::pending::<()>();
        self.serve_raw_datagrams_until(socket, handler, stop).await.map(|_| ())
    }

    /// As [`serve_raw_datagrams`](Self::serve_raw_datagrams) until `stop` is ready, and then
    /// drains: handlers under way may finish, and are stopped after `drain_time_max`; they count as
    /// [`tasks_cut_off`](Report::tasks_cut_off).
    ///
    /// # Errors
    ///
    /// None so far, as for [`serve_datagrams`](Self::serve_datagrams).
    ///
    /// # Cancel safety
    ///
    /// As [`serve_raw_datagrams`](Self::serve_raw_datagrams).
    pub async fn serve_raw_datagrams_until<F, B>(
        &self,
        socket: impl Into<Datagrams>,
        handler: impl Fn(Datagram) -> F + Send + Sync + 'static,
        stop: impl Future,
    ) -> Result<Report>
    where
        F: Future<Output = Option<B>> + Send + 'static,
        B: Into<Bytes>,
    {
        let limits = self.router.limits();
        let (datagrams_dropped, tasks_cut_off) =
            serve_bare(socket.into(), limits, handler, stop).await;
        Ok(Report { datagrams_dropped, tasks_cut_off, ..Report::default() })
    }
}
