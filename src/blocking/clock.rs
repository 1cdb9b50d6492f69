//! The time of threads, which is that of the system: where tokio's clock is paused, this one goes
//! on. Nobody else in here asks for the time.

/// What time it is.
pub(super) fn now() -> std::time::Instant {
    std::time::Instant::now()
}
