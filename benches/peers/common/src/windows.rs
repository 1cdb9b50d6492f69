//! The load on peers without a client that can be called: one task writes and reads a connection
//! and keeps so many requests under way.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::arguments::{Arguments, Direction, Load, Scenario};
use crate::callers::{Unsupported, calls};
use crate::net::Stream;
use crate::samples::{Report, Samples, Span};

/// How a connection is kept busy.
pub trait Window: Sized + Send + 'static {
    /// Takes a connection and makes one call, whose reply is checked.
    fn open(stream: Stream, scenario: Scenario) -> impl Future<Output = Result<Self>> + Send;

    /// Keeps so many requests under way while the time lasts.
    fn run(&mut self, in_flight: usize, span: Span)
    -> impl Future<Output = Result<Samples>> + Send;

    /// Sends requests without answers until the time is over, and waits until the server has
    /// handled all of them; how many.
    fn one_way(&mut self, _time: Duration) -> impl Future<Output = Result<u64>> + Send {
        async { Err(Unsupported.into()) }
    }

    /// Streams messages until the time is over, and waits until the last one has been taken; how
    /// many came at the other side, or at both.
    fn stream(
        &mut self,
        _direction: Direction,
        _time: Duration,
    ) -> impl Future<Output = Result<u64>> + Send {
        async { Err(Unsupported.into()) }
    }
}

/// Measures a peer.
///
/// # Errors
///
/// If the connection is lost.
pub async fn measure_windows<W: Window>(arguments: Arguments) -> Result<Report> {
    let measured = tokio::spawn(measure::<W>(arguments)).await?;
    match measured {
        Err(error) if error.is::<Unsupported>() => Ok(Report::unsupported()),
        measured => measured,
    }
}

async fn measure<W: Window>(arguments: Arguments) -> Result<Report> {
    if matches!(arguments.scenario, Scenario::Mixed(_)) {
        return Err(Unsupported.into());
    }
    let load = arguments.scenario.load();
    let connect = || async {
        let stream = arguments.address.connect().await?;
        W::open(stream, arguments.scenario).await
    };
    if arguments.scenario == Scenario::Connect {
        let span = Span::new(arguments.time);
        // Whoever drops its connection closes it.
        let samples = calls(span, || async { connect().await.map(drop) }).await?;
        return Ok(samples.report(&span));
    }
    let mut windows = Vec::new();
    for _ in 0..load.connections.max(1) + load.idle {
        windows.push(connect().await?);
    }
    match arguments.scenario {
        Scenario::OneWay => {
            windows[0].one_way(arguments.time / 5).await?;
            let begin = Instant::now();
            let count = windows[0].one_way(arguments.time).await?;
            Ok(Report::of_count(count, begin.elapsed()))
        }
        Scenario::Stream(direction) => {
            windows[0].stream(direction, arguments.time / 5).await?;
            let begin = Instant::now();
            let count = windows[0].stream(direction, arguments.time).await?;
            Ok(Report::of_count(count, begin.elapsed()))
        }
        Scenario::Idle => {
            let count = windows.len() as u64;
            // They stay open as long as this process.
            std::mem::forget(windows);
            Ok(Report::of_count(count, arguments.time))
        }
        _ => run(windows, load, Span::new(arguments.time)).await,
    }
}

async fn run<W: Window>(mut windows: Vec<W>, load: Load, span: Span) -> Result<Report> {
    let _idle = windows.split_off(load.connections);
    let tasks: Vec<_> = windows
        .into_iter()
        .map(|mut window| tokio::spawn(async move { window.run(load.in_flight, span).await }))
        .collect();
    let mut samples = Samples::default();
    for task in tasks {
        samples.append(task.await??);
    }
    Ok(samples.report(&span))
}
