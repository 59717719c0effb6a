//! The cost of encoding and decoding a cursor. `tests/benches/get_events` measures whole pages.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use subscription_api::testing::cursor;

/// The state in a cursor of Get Events: the filter and the position.
type State = (Option<String>, Option<String>, i64, String);

const LIST: &str = "events/9e21c694-ee9e-48a7-b016-522fd8ef08c1";

fn bench_cursors(criterion: &mut Criterion) {
    let state: State = (
        Some("delivered".to_owned()),
        Some("NOTIFICATION.SMS.RECEIPT".to_owned()),
        1_617_910_562_938,
        "01F2SFVYVD0H873S2VRT8VQSPM".to_owned(),
    );
    criterion
        .bench_function("cursor/write", |bencher| bencher.iter(|| cursor::encode(LIST, black_box(&state))));
    let encoded = cursor::encode(LIST, &state);
    criterion.bench_function("cursor/read", |bencher| {
        bencher.iter(|| cursor::decode::<State>(LIST, black_box(&encoded)).expect("a valid cursor"));
    });
}

criterion_group!(benches, bench_cursors);
criterion_main!(benches);
