//! The load on peers whose client is an async function that is called.
//!
//! Each call under way is the loop of one caller, who calls again as soon as the answer is there.
//! Callers are tasks of their own, or futures of one task.

use std::time::{Duration, Instant};

use anyhow::Result;
use futures_util::future::{join_all, try_join_all};

use crate::arguments::{Arguments, Direction, Load, Scenario};
use crate::samples::{Report, Samples, Span};

/// One connection of a peer. Clones share it.
pub trait Caller: Clone + Send + Sync + 'static {
    /// Connects and makes one call, whose reply is checked.
    fn connect(arguments: &Arguments) -> impl Future<Output = Result<Self>> + Send;

    /// Echoes the message.
    fn echo(&self) -> impl Future<Output = Result<()>> + Send;

    /// Echoes the message by a handler that waits.
    fn slow(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(Unsupported.into()) }
    }

    /// Echoes a MiB of bytes as a value.
    fn mib(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(Unsupported.into()) }
    }

    /// Echoes a MiB of bytes as they are.
    fn mib_bytes(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(Unsupported.into()) }
    }

    /// Echoes 8 bytes.
    fn small(&self) -> impl Future<Output = Result<()>> + Send {
        async { Err(Unsupported.into()) }
    }

    /// Sends messages without answers until the time is over, and waits until the server has
    /// handled all of them; how many.
    fn one_way(&self, _time: Duration) -> impl Future<Output = Result<u64>> + Send {
        async { Err(Unsupported.into()) }
    }

    /// Streams messages until the time is over, and waits until the last one has been taken; how
    /// many came at the other side, or at both.
    fn stream(
        &self,
        _direction: Direction,
        _time: Duration,
    ) -> impl Future<Output = Result<u64>> + Send {
        async { Err(Unsupported.into()) }
    }
}

/// What a peer cannot do.
#[derive(Clone, Copy, Debug)]
pub struct Unsupported;

impl std::error::Error for Unsupported {}

impl std::fmt::Display for Unsupported {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "this peer cannot do that")
    }
}

/// Measures a peer.
///
/// # Errors
///
/// If a call fails.
pub async fn measure_callers<C: Caller>(arguments: Arguments) -> Result<Report> {
    let measured = tokio::spawn(measure::<C>(arguments)).await?;
    match measured {
        Err(error) if error.is::<Unsupported>() => Ok(Report::unsupported()),
        measured => measured,
    }
}

async fn measure<C: Caller>(arguments: Arguments) -> Result<Report> {
    let load = arguments.scenario.load();
    if arguments.scenario == Scenario::Connect {
        let span = Span::new(arguments.time);
        // Whoever drops its connection closes it.
        let samples = calls(span, || async { C::connect(&arguments).await.map(drop) }).await?;
        return Ok(samples.report(&span));
    }
    let callers = connect::<C>(&arguments, load.connections.max(1)).await?;
    let idle = connect::<C>(&arguments, load.idle).await?;
    let report = match arguments.scenario {
        Scenario::OneWay => {
            callers[0].one_way(arguments.time / 5).await?;
            let begin = Instant::now();
            let count = callers[0].one_way(arguments.time).await?;
            Report::of_count(count, begin.elapsed())
        }
        Scenario::Stream(direction) => {
            callers[0].stream(direction, arguments.time / 5).await?;
            let begin = Instant::now();
            let count = callers[0].stream(direction, arguments.time).await?;
            Report::of_count(count, begin.elapsed())
        }
        Scenario::Idle => Report::of_count(idle.len() as u64, arguments.time),
        Scenario::Mixed(load) => {
            let (time, mut half) = (arguments.time / 2, arguments.clone());
            half.scenario = Scenario::Echo(load);
            let alone = run(&callers, &half, load, Span::new(time)).await?;
            let mixed = run(&callers, &arguments, load, Span::new(time)).await?;
            Report { p99_alone_micros: alone.p99_micros, ..mixed }
        }
        _ => run(&callers, &arguments, load, Span::new(arguments.time)).await?,
    };
    if arguments.scenario == Scenario::Idle {
        // They stay open as long as this process.
        std::mem::forget((callers, idle));
    }
    Ok(report)
}

async fn connect<C: Caller>(arguments: &Arguments, count: usize) -> Result<Vec<C>> {
    let mut callers = Vec::with_capacity(count);
    while callers.len() < count {
        let at_once = (count - callers.len()).min(64);
        callers.extend(try_join_all((0..at_once).map(|_| C::connect(arguments))).await?);
    }
    Ok(callers)
}

async fn run<C: Caller>(
    callers: &[C],
    arguments: &Arguments,
    load: Load,
    span: Span,
) -> Result<Report> {
    let loops = callers.iter().flat_map(|caller| {
        let scenario = arguments.scenario;
        (0..load.in_flight).map(move |place| repeat(caller.clone(), scenario, place, span))
    });
    let mut samples = Samples::default();
    if load.is_joined {
        for done in join_all(loops).await {
            samples.append(done?);
        }
    } else {
        let tasks: Vec<_> = loops.map(tokio::spawn).collect();
        for task in tasks {
            samples.append(task.await??);
        }
    }
    Ok(samples.report(&span))
}

/// One caller.
async fn repeat<C: Caller>(
    caller: C,
    scenario: Scenario,
    place: usize,
    span: Span,
) -> Result<Samples> {
    let caller = &caller;
    match scenario {
        Scenario::Mib => calls(span, || caller.mib()).await,
        Scenario::MibBytes => calls(span, || caller.mib_bytes()).await,
        Scenario::Small(_) => calls(span, || caller.small()).await,
        Scenario::Mixed(_) => mixed_calls(caller, place, span).await,
        Scenario::Echo(_)
        | Scenario::OneWay
        | Scenario::Stream(_)
        | Scenario::Connect
        | Scenario::Idle => calls(span, || caller.echo()).await,
    }
}

/// One call after the other.
pub(crate) async fn calls<F>(span: Span, call: impl Fn() -> F) -> Result<Samples>
where
    F: Future<Output = Result<()>>,
{
    let mut samples = Samples::default();
    let mut begin = Instant::now();
    while span.is_open(begin) {
        call().await?;
        let end = Instant::now();
        samples.add(&span, begin, end);
        begin = end;
    }
    Ok(samples)
}

/// Every hundredth call is slow and not among the samples.
async fn mixed_calls<C: Caller>(caller: &C, place: usize, span: Span) -> Result<Samples> {
    let mut samples = Samples::default();
    let mut begin = Instant::now();
    let mut count = place;
    while span.is_open(begin) {
        count += 1;
        let is_slow = count.is_multiple_of(100);
        if is_slow {
            caller.slow().await?;
        } else {
            caller.echo().await?;
        }
        let end = Instant::now();
        if !is_slow {
            samples.add(&span, begin, end);
        }
        begin = end;
    }
    Ok(samples)
}
