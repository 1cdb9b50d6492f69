//! What is served over HTTP: the gateway to the commands, and the page of metrics beside it.
//!
//! The recorder belongs to the page and not to the process: figures are given to it when somebody
//! asks, and nothing is done for it while calls run.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use switchboard::{Endpoint, Latency};
use switchboard_http::{Gateway, Guarded};

use crate::inventory::Inventory;

/// The page of metrics of an inventory.
pub struct Page {
    endpoint: Endpoint,
    inventory: Arc<Inventory>,
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Page {
    /// The page of this endpoint and of what stands behind it.
    ///
    /// # Errors
    ///
    /// The buckets of the library are none for the recorder.
    pub fn new(endpoint: &Endpoint, inventory: &Arc<Inventory>) -> Result<Self, BuildError> {
        let bounds = Latency::BOUNDS.map(|bound| bound.as_secs_f64());
        let seconds = Matcher::Full("switchboard_call_seconds".to_owned());
        let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &bounds)?;
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, describe);
        let (endpoint, inventory) = (endpoint.clone(), Arc::clone(inventory));
        Ok(Self { endpoint, inventory, recorder, handle })
    }

    /// The figures of now.
    #[must_use]
    pub fn render(&self) -> String {
        let cache = self.inventory.cache().counted();
        let recount = self.inventory.recounted();
        metrics::with_local_recorder(&self.recorder, || {
            self.endpoint.publish_metrics();
            metrics::counter!(CACHE_REQUESTS).absolute(cache.requests);
            metrics::counter!(CACHE_LOADS).absolute(cache.loads);
            metrics::counter!(RECOUNT_PIECES).absolute(recount.pieces());
        });
        self.handle.render()
    }
}

/// The gateway to the commands of this endpoint, and its page at `/metrics`. Web pages of elsewhere
/// are refused at both.
pub(crate) fn routes(endpoint: &Endpoint, page: Page) -> Guarded<Router> {
    let gateway = Gateway::new(endpoint);
    let page = Arc::new(page);
    let metrics = move || {
        let page = Arc::clone(&page);
        async move { ([(header::CONTENT_TYPE, TEXT)], page.render()).into_response() }
    };
    let routes = Router::new().route("/metrics", get(metrics)).fallback_service(gateway.clone());
    gateway.guarding(routes)
}

fn describe() {
    metrics::describe_counter!(CACHE_REQUESTS, "Counts of stock that were asked for.");
    metrics::describe_counter!(CACHE_LOADS, "Counts of stock that the cache had to load.");
    metrics::describe_counter!(RECOUNT_PIECES, "Pieces that slow counts have taken in hand.");
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").finish_non_exhaustive()
    }
}

const CACHE_REQUESTS: &str = "inventory_cache_requests_total";
const CACHE_LOADS: &str = "inventory_cache_loads_total";
const RECOUNT_PIECES: &str = "inventory_recount_pieces_total";

/// The type that Prometheus asks for.
const TEXT: &str = "text/plain; version=0.0.4";
