use prometheus::{
    Encoder, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
    core::Collector,
};

/// What the service counts, in Prometheus' terms.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    pub accepted: IntCounter,
    pub repeated: IntCounter,
    pub refused: IntCounterVec,
    pub signatures: IntCounter,
    pub denied: IntCounterVec,
    pub queue: IntGauge,
    pub batch: Histogram,
    pub commit_seconds: Histogram,
    pub decide_seconds: Histogram,
    pub commit_failures: IntCounterVec,
    pub head: IntGauge,
    pub checkpoint_at: IntGauge,
    pub checkpoint_size: IntGauge,
    pub in_flight: IntGauge,
    pub followers: IntGauge,
    pub responses: IntCounterVec,
    pub request_seconds: Histogram,
}

struct Builder(Registry);

impl Builder {
    fn add<T: Collector + Clone + 'static>(&self, metric: prometheus::Result<T>) -> prometheus::Result<T> {
        let metric = metric?;
        self.0.register(Box::new(metric.clone()))?;
        Ok(metric)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(name, help))
    }

    fn counters(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), &[label]))
    }

    fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(name, help))
    }

    fn histogram(&self, name: &str, help: &str, buckets: &[f64]) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets.to_vec())))
    }
}

/// From a quarter of a millisecond, below one disk sync, to the longest that a request may take.
const SECONDS: [f64; 12] = [0.000_25, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0];
/// Powers of two up to the default batch.
const SIZES: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

impl Metrics {
    pub fn new() -> prometheus::Result<Self> {
        let b = Builder(Registry::new_custom(Some("countersign".to_owned()), None)?);
        Ok(Self {
            accepted: b.counter("statements_accepted_total", "Statements that got their place in the log.")?,
            repeated: b.counter("statements_repeated_total", "Statements that the log held already.")?,
            refused: b.counters("requests_refused_total", "Requests refused, by problem type.", "type")?,
            signatures: b.counter("signatures_checked_total", "Signatures of tokens that were checked.")?,
            denied: b.counters("proposals_denied_total", "Violations of denied proposals, by code.", "code")?,
            queue: b.gauge("queue_depth", "Statements that wait for their place.")?,
            batch: b.histogram("batch_entries", "Entries per commit.", &SIZES)?,
            commit_seconds: b.histogram("commit_seconds", "Time of one commit.", &SECONDS)?,
            decide_seconds: b.histogram("decide_seconds", "Time to decide one batch.", &SECONDS)?,
            commit_failures: b.counters("commit_failures_total", "Commits that failed, by kind.", "kind")?,
            head: b.gauge("head_seq", "Position of the newest entry; -1 while the log is empty.")?,
            checkpoint_at: b.gauge("checkpoint_timestamp_seconds", "When the newest checkpoint was signed.")?,
            checkpoint_size: b.gauge("checkpoint_size", "Entries that the newest checkpoint commits to.")?,
            in_flight: b.gauge("requests_in_flight", "Statements in work.")?,
            followers: b.gauge("followers", "Live followers of the log.")?,
            responses: b.counters("responses_total", "Responses, by status.", "status")?,
            request_seconds: b.histogram("request_seconds", "Time of one request, streams excepted.", &SECONDS)?,
            registry: b.0,
        })
    }

    /// The text exposition format.
    pub fn text(&self) -> prometheus::Result<Vec<u8>> {
        let mut out = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut out)?;
        Ok(out)
    }
}
