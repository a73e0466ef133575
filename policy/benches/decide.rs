//! How quickly the default bundle decides: `cargo bench -p countersign-policy`.

#![allow(clippy::expect_used, missing_docs, reason = "benches")]

use criterion::{Criterion, criterion_group, criterion_main};
use policy::{Bundle, Engine, probe};
use std::hint::black_box;

fn decide(c: &mut Criterion) {
    let engine = Engine::load(&Bundle::default_payout()).expect("the default bundle loads");
    let inputs = [
        ("decide/ordinary", probe::ordinary().expect("well-formed")),
        ("decide/bare", probe::bare().expect("well-formed")),
        ("decide/widest", probe::widest().expect("well-formed")),
    ];
    for (name, input) in &inputs {
        c.bench_function(name, |b| b.iter(|| engine.decide(black_box(input))));
    }
    c.bench_function("digest/ordinary", |b| b.iter(|| black_box(&inputs[0].1).digest()));
    c.bench_function("load", |b| b.iter(|| Engine::load(&Bundle::default_payout())));
}

criterion_group!(benches, decide);
criterion_main!(benches);
