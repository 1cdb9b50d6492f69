//! The rule on hosts and origins in front of a service that is not the gateway.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Either, Full};

use super::routes::Routes;
use crate::ids::{REQUEST_ID, request_id};

/// A service that web pages of elsewhere do not reach, made by
/// [`Gateway::guarding`](crate::Gateway::guarding). What it refuses never reaches the service.
#[derive(Clone)]
pub struct Guarded<S> {
    pub(super) routes: Arc<Routes>,
    pub(super) service: S,
}

impl<S, B, Reply> tower_service::Service<Request<B>> for Guarded<S>
where
    S: tower_service::Service<Request<B>, Response = Response<Reply>>,
    S::Future: Send + 'static,
    Reply: Body<Data = Bytes>,
{
    type Response = Response<Either<Full<Bytes>, Reply>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        match self.routes.origins.check(&parts) {
            Ok(reader) => {
                let (routes, answer) =
                    (Arc::clone(&self.routes), self.service.call(Request::from_parts(parts, body)));
                Box::pin(async move {
                    let mut response = answer.await?.map(Either::Right);
                    routes.origins.tell(reader, response.headers_mut());
                    Ok(response)
                })
            }
            Err(refusal) => {
                let id = request_id(&parts.headers);
                let mut response = refusal.response(id.to_str().unwrap_or_default());
                response.headers_mut().insert(REQUEST_ID, id);
                self.routes.origins.tell(None, response.headers_mut());
                Box::pin(async move { Ok(response.map(|body| Either::Left(body.into()))) })
            }
        }
    }
}

impl<S: std::fmt::Debug> std::fmt::Debug for Guarded<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guarded").field("service", &self.service).finish_non_exhaustive()
    }
}
