//! The end that Vector's `vector` sink calls. Each request is answered when nothing of it can be lost any more.
//!
//! Only answers that make Vector try again are ever given: it drops a batch for good on any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, mpsc, oneshot};
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::{Response, Status};
use tracing::warn;

use super::metrics::Metrics;
use super::request::Request;
use super::wire::vector::vector_server::{Vector, VectorServer};
use super::wire::vector::{
    HealthCheckRequest, HealthCheckResponse, PushEventsRequest, PushEventsResponse, ServingStatus,
};
use super::worker::Job;

const GRPC_STATUS: &str = "grpc-status";
const GRPC_MESSAGE: &str = "grpc-message";

/// Whether requests are taken at the moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Ready(Arc<AtomicBool>);

impl Ready {
    pub(super) fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// KiB of the requests that are looked at or wait for the worker, at most, but for one larger request. They take several
/// times as much.
const UNDER_WAY: u32 = 64 << 10;

/// The service.
#[derive(Clone)]
pub(super) struct Service {
    jobs: mpsc::Sender<Job>,
    ready: Ready,
    metrics: Metrics,
    room: Arc<Semaphore>,
}

impl Service {
    pub(super) fn new(jobs: mpsc::Sender<Job>, ready: Ready, metrics: Metrics) -> Service {
        Service { jobs, ready, metrics, room: Arc::new(Semaphore::new(UNDER_WAY as usize)) }
    }

    /// As tonic serves it.
    pub(super) fn server(self, max_request_bytes: usize) -> VectorServer<Service> {
        VectorServer::new(self)
            .max_decoding_message_size(max_request_bytes)
            .accept_compressed(CompressionEncoding::Gzip)
            .accept_compressed(CompressionEncoding::Zstd)
    }

    async fn take(&self, request: PushEventsRequest) -> Result<(), Status> {
        let stopping = || Status::unavailable("the bridge is stopping");
        let kib: usize = request.events.iter().map(bytes::Bytes::len).sum::<usize>() >> 10;
        let room = u32::try_from(kib).unwrap_or(UNDER_WAY).min(UNDER_WAY);
        let _room = self.room.acquire_many(room).await.map_err(|_| stopping())?;
        let request = Request::new(request.events);
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job::Take(request, answer)).await.map_err(|_| stopping())?;
        answered.await.map_err(|_| stopping())?
    }
}

#[tonic::async_trait]
impl Vector for Service {
    async fn push_events(
        &self,
        request: tonic::Request<PushEventsRequest>,
    ) -> Result<Response<PushEventsResponse>, Status> {
        let request = request.into_inner();
        let events = request.events.len() as u64;
        let bytes = request.events.iter().map(|event| event.len() as u64).sum();
        let taken = self.take(request).await;
        let code = taken.as_ref().map_or_else(Status::code, |()| tonic::Code::Ok);
        self.metrics.answers.get_or_create(&[("code", format!("{code:?}"))]).inc();
        taken?;
        self.metrics.received_events.inc_by(events);
        self.metrics.received_bytes.inc_by(bytes);
        Ok(Response::new(PushEventsResponse {}))
    }

    async fn health_check(
        &self,
        _: tonic::Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let status = if self.ready.get() { ServingStatus::Serving } else { ServingStatus::NotServing };
        Ok(Response::new(HealthCheckResponse { status: status.into() }))
    }
}

/// Puts answers that would make Vector drop a batch for good, which the layers below may give, in the words of one that
/// makes it try again. A request that is too large for `max_request_bytes` is one of these.
pub(super) fn only_again(mut response: axum::http::Response<Body>) -> axum::http::Response<Body> {
    let code = response.headers().get(GRPC_STATUS).map(|code| tonic::Code::from_bytes(code.as_bytes()));
    let again =
        [tonic::Code::Ok, tonic::Code::Unavailable, tonic::Code::ResourceExhausted, tonic::Code::DeadlineExceeded];
    if let Some(code) = code.filter(|code| !again.contains(code)) {
        let message =
            response.headers().get(GRPC_MESSAGE).map(|message| message.to_str().unwrap_or_default().to_owned());
        warn!(?code, ?message, "A request can't be taken, and is refused until it, or the configuration, is another.");
        let exhausted = axum::http::HeaderValue::from(tonic::Code::ResourceExhausted as i32);
        response.headers_mut().insert(GRPC_STATUS, exhausted);
    }
    response
}
