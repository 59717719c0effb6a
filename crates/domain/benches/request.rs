//! Cost of a request before it is sent: the encoding of its body, and its signatures.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use domain::delivery::envelope::{EventHead, encode_envelope};
use domain::event::event_type::EventType;
use domain::ids::{AttemptId, WebhookId};
use domain::time;
use domain::webhook::signature::{self, Keys, Secret, Signer};

/// Sizes of `data`: a typical event and a large one.
const SIZES: [usize; 2] = [400, 20_000];
const ID: &str = "01F2SFVYVD0H873S2VRT8VQSPM";
const SECONDS: i64 = 1_617_910_562;

fn head() -> EventHead {
    EventHead {
        id: ID.parse().expect("an id"),
        brand_id: "acme".parse().expect("a brand"),
        created: time::parse_timestamp("2021-04-08T19:36:02.938Z").expect("a time"),
        event_type: "NOTIFICATION.SMS.RECEIPT".parse::<EventType>().expect("a type"),
    }
}

fn requests(criterion: &mut Criterion) {
    let head = head();
    let webhook: WebhookId = "9e21c694-ee9e-48a7-b016-522fd8ef08c1".parse().expect("a webhook");
    let attempt: AttemptId = "01F2SFW32CT8KZXDWG4JTG9WPT".parse().expect("an attempt");
    let secret = Signer::new(&Secret::generate());
    let both: Vec<Signer> = Keys::generate(true).signers().collect();
    for size in SIZES {
        let data = format!("{{\"text\":\"{}\"}}", "x".repeat(size - 11));
        let mut group = criterion.benchmark_group(format!("data of {size} bytes"));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("body", |bencher| {
            bencher.iter(|| encode_envelope(black_box(&head), webhook, attempt, black_box(&data)));
        });
        let body = encode_envelope(&head, webhook, attempt, &data);
        group.bench_function("sign with v1", |bencher| {
            bencher.iter(|| {
                signature::sign_request(std::slice::from_ref(&secret), ID, SECONDS, black_box(&body))
            });
        });
        group.bench_function("sign with v1 and v1a", |bencher| {
            bencher.iter(|| signature::sign_request(&both, ID, SECONDS, black_box(&body)));
        });
    }
}

criterion_group!(benches, requests);
criterion_main!(benches);
