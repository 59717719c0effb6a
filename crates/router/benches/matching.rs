//! How long an event's webhooks are looked for among ten thousand subscriptions, of one brand and of a thousand.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::catalogue::Enablement;
use domain::event_type::TypePattern;
use domain::ids::{BrandId, WebhookId};
use domain::webhook::WebhookStatus;
use router::index::Index;
use store::config::{BrandChange, EventTypeChange, RoutingChange, RoutingChanges};
use uuid::Uuid;

const WEBHOOKS: u128 = 10_000;
/// A webhook wants three of them.
const TYPES: u128 = 100;

fn brand(number: u128) -> BrandId {
    format!("brand-{number}").parse().expect("a brand")
}

fn event_type(number: u128) -> String {
    format!("GROUP{}.TYPE{number}", number % 10)
}

fn pattern(text: &str) -> TypePattern {
    text.parse().expect("a pattern")
}

/// Webhooks with three types each.
fn webhooks(brands: u128) -> Vec<RoutingChange> {
    let webhook = |number: u128| RoutingChange {
        id: WebhookId(Uuid::from_u128(number)),
        brand_id: brand(number % brands),
        events: [number, number * 7 + 1, number * 13 + 2]
            .map(|number| pattern(&event_type(number % TYPES)))
            .into(),
        status: WebhookStatus::Active,
        generation: 1,
    };
    (0..WEBHOOKS).map(webhook).collect()
}

fn changes(brands: u128) -> RoutingChanges {
    let mut enablement = Enablement::default();
    for group in 0..10 {
        enablement.switch(&pattern(&format!("GROUP{group}")), true);
    }
    let known = |number| EventTypeChange { name: event_type(number), removed: false, enforced_schema: None };
    RoutingChanges {
        version: 1,
        event_types: (0..TYPES).map(known).collect(),
        brands: (0..brands)
            .map(|number| BrandChange { id: brand(number), enablement: enablement.clone() })
            .collect(),
        webhooks: webhooks(brands),
    }
}

fn matching(criterion: &mut Criterion) {
    for brands in [1, 10, 1_000] {
        let mut index = Index::default();
        index.apply(changes(brands));
        let (of, named) = (brand(0), event_type(0));
        criterion.bench_function(&format!("match/10,000 webhooks of {brands} brands"), |bencher| {
            bencher.iter(|| index.find(black_box(&of), black_box(&named)));
        });
    }
    criterion.bench_function("load/10,000 webhooks", |bencher| {
        let (setup, load) = (
            || changes(1_000),
            |changes| {
                let mut index = Index::default();
                index.apply(changes);
                index
            },
        );
        bencher.iter_batched(setup, load, criterion::BatchSize::LargeInput);
    });
}

criterion_group!(benches, matching);
criterion_main!(benches);
