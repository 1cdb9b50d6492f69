//! What an endpoint has counted, told to the program, and to the recorder of the `metrics` facade.

use super::Endpoint;
use crate::ledger::Stats;

impl Endpoint {
    /// What this endpoint and its clones have done so far. It takes a few microseconds, and longer
    /// with many commands; calls do not wait for it.
    ///
    /// Calls of all doors count: those of a session, plain or with a tag, of `net/rpc`, of HTTP, of
    /// a [`door`](Self::door) and within the process. `?STATS` tells the same to a peer.
    ///
    /// ```
    /// use switchboard::{Code, Endpoint, service::{Request, Service}};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> switchboard::Result<()> {
    /// let endpoint = Endpoint::new();
    /// let refused = endpoint.door().call(Request::new("NOBODY", "")?).await;
    /// assert!(refused.is_err());
    /// assert_eq!(endpoint.stats().calls_refused.get(&Code::UnknownCommand), Some(&1));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.router.stats()
    }

    /// Tells the recorder of the `metrics` facade what this endpoint and its clones have counted.
    /// Call it when the recorder is read: before its text is rendered, or every few seconds if it
    /// pushes. Calls themselves tell nothing, so they cost the same with this as without. Without a
    /// recorder nobody is told, and the histogram of a later one begins with the calls after that.
    ///
    /// | series | labels |
    /// |---|---|
    /// | `switchboard_calls_total`: calls that ended, with `ok` or an error | `command`, `code` |
    /// | `switchboard_calls_in_flight` | `command` |
    /// | `switchboard_call_seconds`, a histogram | `command` |
    /// | `switchboard_calls_one_way_total` | `command` |
    /// | `switchboard_calls_streamed_total` | `command` |
    /// | `switchboard_items_received_total`, and `.._sent_total` | `command` |
    /// | `switchboard_payload_received_bytes_total`, and `.._sent_bytes_total` | `command` |
    /// | `switchboard_calls_refused_total`: calls of no command | `code` |
    /// | `switchboard_calls_turned_away_total` | |
    /// | `switchboard_connections_open` | |
    /// | `switchboard_connections_accepted_total` | |
    /// | `switchboard_connections_refused_total` | `reason` |
    /// | `switchboard_connections_cut_total` | `reason` |
    /// | `switchboard_held_bytes`, `switchboard_blocking_threads` | |
    ///
    /// [`Stats`] says what each of them counts. Only names that the program has
    /// registered become a `command`; `?` stands for the endpoint's own. A name that was told once
    /// goes on to be told when it is removed, so that its gauge does not stay as it was.
    ///
    /// Counters are exact. The histogram gets samples whose number in each bucket of
    /// [`Latency::BOUNDS`](crate::Latency::BOUNDS) and whose sum are those that were counted, if
    /// the recorder has these buckets. Of more than 100,000 calls of a command since the last time
    /// it gets about 100,000 in the same proportions, so that a recorder which keeps each sample
    /// for a while has a bound. So let one recorder read each endpoint.
    ///
    /// ```
    /// use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    /// use switchboard::{Endpoint, Latency};
    ///
    /// let bounds = Latency::BOUNDS.map(|bound| bound.as_secs_f64());
    /// let seconds = Matcher::Full("switchboard_call_seconds".into());
    /// let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &bounds).unwrap();
    /// let recorder = builder.build_recorder();
    /// let page = recorder.handle();
    /// let endpoint = Endpoint::new();
    ///
    /// // With `metrics::set_global_recorder(recorder)` this is just `endpoint.publish_metrics()`.
    /// metrics::with_local_recorder(&recorder, || endpoint.publish_metrics());
    /// assert!(page.render().contains("switchboard_connections_open 0"));
    /// ```
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self) {
        self.router.publish(None);
    }

    /// As [`publish_metrics`](Self::publish_metrics), with a label `endpoint` of this value: for a
    /// program with several endpoints, which would else tell their figures under the same names.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics_as(&self, endpoint: &str) {
        self.router.publish(Some(endpoint));
    }
}
