//! Health, readiness and figures by HTTP: `/health`, `/ready`, `/metrics`.

use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::sync::{mpsc, oneshot};

use super::metrics::Metrics;
use super::server::Ready;
use super::worker::Job;

/// How long the component's counters are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// What the answers are made of.
#[derive(Clone)]
pub(super) struct Api {
    pub jobs: mpsc::WeakSender<Job>,
    pub ready: Ready,
    pub metrics: Metrics,
    pub began: Instant,
}

impl Api {
    /// The routes.
    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/health", get(health))
            .route("/ready", get(ready))
            .route("/metrics", get(metrics))
            .with_state(self)
    }
}

/// The process lives, and so does its worker.
async fn health(State(api): State<Api>) -> impl IntoResponse {
    answer(api.jobs.upgrade().is_some_and(|jobs| !jobs.is_closed()))
}

/// Requests are taken.
async fn ready(State(api): State<Api>) -> impl IntoResponse {
    answer(api.ready.get())
}

fn answer(good: bool) -> impl IntoResponse {
    if good { (StatusCode::OK, "{\"ok\":true}\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "{\"ok\":false}\n") }
}

async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    let (to, stats) = oneshot::channel();
    if let Some(jobs) = api.jobs.upgrade()
        && jobs.try_send(Job::Stats(to)).is_ok()
        && let Ok(Ok(Some(stats))) = tokio::time::timeout(PATIENCE, stats).await
    {
        api.metrics.set_component(&stats);
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(CONTENT_TYPE, kind)], api.metrics.text(api.began))
}
