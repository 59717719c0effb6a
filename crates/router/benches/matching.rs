//! Time to match an event against ten thousand webhooks, of one brand, of ten, and of a thousand.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use domain::event::catalogue::Enablement;
use domain::event::event_type::TypePattern;
use domain::ids::{BrandId, WebhookId};
use domain::quota::BrandQuota;
use domain::webhook::WebhookStatus;
use router::subscriptions::Index;
use store::routing::configuration::{BrandChange, EventTypeChange, RoutingChange, RoutingChanges};
use uuid::Uuid;

const WEBHOOKS: u128 = 10_000;
/// Event types; a webhook subscribes to three of them.
const TYPES: u128 = 100;

fn brand_id(number: u128) -> BrandId {
    format!("brand-{number}").parse().expect("a brand")
}

fn event_type(number: u128) -> String {
    format!("GROUP{}.TYPE{number}", number % 10)
}

fn parse_pattern(text: &str) -> TypePattern {
    text.parse().expect("a pattern")
}

/// Returns webhooks with three types each.
fn webhooks_of(brands: u128) -> Vec<RoutingChange> {
    let webhook = |number: u128| RoutingChange {
        id: WebhookId(Uuid::from_u128(number)),
        brand_id: brand_id(number % brands),
        events: [number, number * 7 + 1, number * 13 + 2]
            .map(|number| parse_pattern(&event_type(number % TYPES)))
            .into(),
        status: WebhookStatus::Active,
        generation: 1,
    };
    (0..WEBHOOKS).map(webhook).collect()
}

fn changes_for(brands: u128) -> RoutingChanges {
    let mut enablement = Enablement::default();
    for group in 0..10 {
        enablement.set_switch(&parse_pattern(&format!("GROUP{group}")), true);
    }
    let known = |number| EventTypeChange { name: event_type(number), removed: false, enforced_schema: None };
    RoutingChanges {
        version: 1,
        event_types: (0..TYPES).map(known).collect(),
        brands: (0..brands)
            .map(|number| BrandChange {
                id: brand_id(number),
                enablement: enablement.clone(),
                quotas: BrandQuota::default(),
            })
            .collect(),
        webhooks: webhooks_of(brands),
    }
}

fn bench_matching(criterion: &mut Criterion) {
    for brands in [1, 10, 1_000] {
        let mut index = Index::default();
        index.apply_changes(changes_for(brands));
        let brand = brand_id(0);
        let event_type = event_type(0);
        criterion.bench_function(&format!("match/10,000 webhooks of {brands} brands"), |bencher| {
            bencher.iter(|| {
                index.match_event(black_box(&brand), black_box(&event_type), black_box("{}"), &mut 0)
            });
        });
    }
    criterion.bench_function("load/10,000 webhooks", |bencher| {
        let setup = || changes_for(1_000);
        let load = |changes| {
            let mut index = Index::default();
            index.apply_changes(changes);
            index
        };
        bencher.iter_batched(setup, load, criterion::BatchSize::LargeInput);
    });
}

criterion_group!(benches, bench_matching);
criterion_main!(benches);
