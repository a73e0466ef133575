use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Seconds from an approval to its signature; the target is 5 ms, and steps are finest around it.
const BUCKETS: [f64; 20] = [
    0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.007, 0.008, 0.01, 0.012, 0.015, 0.02, 0.025, 0.035, 0.05, 0.1, 0.5,
    1.0, 5.0, 15.0,
];

/// When to ask again whether it is ready, in seconds.
const RETRY: &str = "5";

/// What the relayer counts, and whether it can work.
pub(crate) struct Observability {
    registry: Registry,
    events: IntCounterVec,
    pub in_flight: IntGauge,
    pub signature_seconds: Histogram,
    /// By chain id.
    pub rpc_up: IntGaugeVec,
    following: AtomicBool,
}

/// What is counted, as label `event` of `countersign_relayer_events_total`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event {
    Signed,
    NotSigned,
    Submitted,
    Replaced,
    Included,
    Reverted,
    Culprit,
    Cosigned,
    Administered,
    Retried,
}

impl Event {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::NotSigned => "not_signed",
            Self::Submitted => "submitted",
            Self::Replaced => "replaced",
            Self::Included => "included",
            Self::Reverted => "reverted",
            Self::Culprit => "culprit",
            Self::Cosigned => "cosigned",
            Self::Administered => "administered",
            Self::Retried => "retried",
        }
    }
}

impl Observability {
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let events = IntCounterVec::new(Opts::new("countersign_relayer_events_total", "What happened."), &["event"])?;
        let in_flight = IntGauge::new("countersign_relayer_proposals_in_flight", "Proposals being carried.")?;
        let opts = HistogramOpts::new("countersign_relayer_signature_seconds", "From the log's word to a signature.");
        let signature_seconds = Histogram::with_opts(opts.buckets(BUCKETS.to_vec()))?;
        registry.register(Box::new(events.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        registry.register(Box::new(signature_seconds.clone()))?;
        let opts = Opts::new("countersign_relayer_rpc_up", "Whether the RPC endpoint answers, for the right chain.");
        let rpc_up = IntGaugeVec::new(opts, &["chain"])?;
        registry.register(Box::new(rpc_up.clone()))?;
        Ok(Self { registry, events, in_flight, signature_seconds, rpc_up, following: AtomicBool::new(false) })
    }

    pub(crate) fn count(&self, event: Event) {
        self.events.with_label_values(&[event.as_str()]).inc();
    }

    pub(crate) fn set_following(&self, following: bool) {
        self.following.store(following, Ordering::Relaxed);
    }

    pub(crate) fn is_following(&self) -> bool {
        self.following.load(Ordering::Relaxed)
    }
}

/// What there is to ask.
pub(crate) const PATHS: &[&str] = &["/healthz", "/readyz", "/metrics"];

/// `/healthz`, `/readyz` and `/metrics`; `unready` names what is missing.
pub(crate) fn router(
    observed: Arc<Observability>,
    unready: impl Fn() -> Vec<String> + Clone + Send + Sync + 'static,
) -> Router {
    let ready = move || async move {
        let missing = unready();
        if missing.is_empty() {
            "ready\n".into_response()
        } else {
            let text = format!("{}\n", missing.join("\n"));
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, RETRY)], text).into_response()
        }
    };
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(observed)
}

async fn metrics(State(observed): State<Arc<Observability>>) -> Result<impl IntoResponse, StatusCode> {
    let mut text = Vec::new();
    TextEncoder::new().encode(&observed.registry.gather(), &mut text).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    Ok(([(header::CONTENT_TYPE, prometheus::TEXT_FORMAT)], text))
}
