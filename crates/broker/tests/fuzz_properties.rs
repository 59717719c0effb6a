//! Content headers of any bytes: they are read without a panic and on a bounded stack, and what RabbitMQ passes on
//! never fails, because a frame that cannot be parsed ends the connection.

use broker::Unreadable;
use broker::unreadable::MAX_HEADER_NESTING;
use lapin::BasicProperties;
use lapin::protocol::{AMQPClass, basic, parse_class};
use lapin::types::{MAX_NESTING, MAX_VALUES};
use proptest::prelude::*;

/// The client parses on a thread of 2 MiB, the default; half of it is plenty.
const STACK: usize = 1024 * 1024;
/// The bits of the flags that stand for a short string, in the order of the properties.
const TEXTS: [u16; 10] = [15, 14, 10, 9, 8, 7, 5, 4, 3, 2];
/// The bit that stands for the headers.
const HEADERS: u16 = 13;
/// Properties of one byte, and the one of eight.
const FIXED: [(u16, usize); 3] = [(12, 1), (11, 1), (6, 8)];

fn on_a_small_stack<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(step).expect("a thread");
    thread.join().expect("no panic")
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
}

/// The flags and the properties of these headers alone.
fn headers(table: &[u8]) -> Vec<u8> {
    [&(1u16 << HEADERS).to_be_bytes()[..], &long(table)].concat()
}

fn header(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[u8::try_from(name.len()).expect("short")], name, value].concat()
}

fn arrays(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| [&b"A"[..], &long(&inner)].concat())
}

fn tables(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| [&b"F"[..], &long(&header(b"n", &inner))].concat())
}

/// Reads them, and does with them what recurses.
fn read(bytes: &[u8]) -> Option<(BasicProperties, Option<Unreadable>)> {
    let (rest, properties) = basic::parse_properties(bytes).ok()?;
    let _ = format!("{:?}", properties.clone());
    let unreadable = Unreadable::in_properties(&properties);
    rest.is_empty().then_some((properties, unreadable))
}

fn unreadable(table: Vec<u8>) -> Option<Unreadable> {
    on_a_small_stack(move || read(&headers(&table)).expect("it is read").1)
}

#[test]
fn nesting_is_told_from_the_level_on_that_is_too_deep() {
    for nested in [arrays, tables] {
        for depth in [0, 1, 3, MAX_HEADER_NESTING] {
            assert_eq!(unreadable(header(b"n", &nested(depth))), None, "{depth}");
        }
        for depth in [MAX_HEADER_NESTING + 1, MAX_NESTING - 1, MAX_NESTING, MAX_NESTING + 1, 1_200, 15_000] {
            assert_eq!(unreadable(header(b"n", &nested(depth))), Some(Unreadable::Nesting), "{depth}");
        }
    }
}

#[test]
fn names_that_are_not_utf8_are_told_wherever_they_are() {
    let inner = [&b"F"[..], &long(&header(b"\xff", b"V"))].concat();
    let deep = [&b"A"[..], &long(&inner)].concat();
    for table in [header(b"\x80", b"V"), header(b"a", &inner), header(b"a", &deep)] {
        assert_eq!(unreadable(table), Some(Unreadable::HeaderName));
    }
    // The replacement that stands for other bytes elsewhere, and a value that is not UTF-8.
    assert_eq!(unreadable(header("\u{fffd}?".as_bytes(), b"S\0\0\0\x01\xff")), None);
}

#[test]
fn headers_that_cannot_be_made_out_are_told() {
    let array = [&b"A"[..], &long(b"S\0\0")].concat();
    let many = [&b"A"[..], &long(&[b'V'; MAX_VALUES])].concat();
    for table in [&header(b"a", b"!")[..], b"\x05ab", &header(b"a", &array), &header(b"a", &many)] {
        assert_eq!(unreadable(table.to_vec()), Some(Unreadable::Headers));
    }
}

#[test]
fn every_property_is_told_by_its_name() {
    let names = [
        "content_type",
        "content_encoding",
        "correlation_id",
        "reply_to",
        "expiration",
        "message_id",
        "type",
        "user_id",
        "app_id",
        "cluster_id",
    ];
    for (bit, name) in TEXTS.into_iter().zip(names) {
        let bytes = [&(1u16 << bit).to_be_bytes()[..], b"\x01\x80"].concat();
        let (_, found) = read(&bytes).expect("it is read");
        assert_eq!(found.map(|it| it.to_string()), Some(format!("the property {name} is not UTF-8")));
    }
}

/// Bytes that look like headers, so that there is more in them than one that cannot be made out.
fn table_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        (prop::collection::vec(any::<u8>(), 0..6), any::<u8>(), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(name, kind, value)| header(&name, &[&[kind][..], &value].concat())),
        (0usize..100).prop_map(|depth| header(b"a", &arrays(depth))),
        (0usize..100).prop_map(|depth| header(b"t", &tables(depth))),
        Just(header(b"", b"S\0\0\0\x02\xff\xfe")),
        Just(header(b"x", b"x\0\0\0\x01a")),
    ];
    let whole = prop::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat());
    (whole, any::<prop::sample::Index>(), prop::option::of(any::<u8>())).prop_map(|(mut bytes, at, byte)| {
        if let (Some(byte), false) = (byte, bytes.is_empty()) {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes
    })
}

/// Flags and properties whose lengths are right, of any content.
fn well_formed() -> impl Strategy<Value = Vec<u8>> {
    let texts =
        prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..=255)), TEXTS.len());
    (texts, prop::option::of(table_like()), any::<[bool; FIXED.len()]>()).prop_map(|(texts, table, fixed)| {
        let texts = TEXTS.into_iter().zip(texts).filter_map(|(bit, text)| Some((bit, header(&text?, b""))));
        let table = table.map(|table| (HEADERS, long(&table)));
        let fixed = FIXED.into_iter().zip(fixed).filter(|(_, is_there)| *is_there);
        let fixed = fixed.map(|((bit, size), _)| (bit, vec![0xff; size]));
        let mut properties: Vec<(u16, Vec<u8>)> = texts.chain(table).chain(fixed).collect();
        properties.sort_by_key(|(bit, _)| std::cmp::Reverse(*bit));
        let flags: u16 = properties.iter().map(|(bit, _)| 1 << bit).sum();
        properties.into_iter().fold(flags.to_be_bytes().to_vec(), |all, (_, value)| [all, value].concat())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_read_or_not(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        on_a_small_stack(move || { let _ = read(&bytes); });
    }

    #[test]
    fn what_is_well_formed_is_always_read(bytes in well_formed()) {
        on_a_small_stack(move || assert!(read(&bytes).is_some(), "{}", bytes.escape_ascii()));
    }

    #[test]
    fn any_routing_key_is_read(
        tag in prop::collection::vec(any::<u8>(), 0..=255),
        exchange in prop::collection::vec(any::<u8>(), 0..=255),
        key in prop::collection::vec(any::<u8>(), 0..=255),
    ) {
        // basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
        let start = [&[0, 60, 0, 60][..], &header(&tag, &[0; 9])].concat();
        let bytes = [start, header(&exchange, b""), header(&key, b"")].concat();
        let (rest, parsed) = parse_class(&bytes[..]).expect("it is read");
        let AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) = parsed else { panic!("{parsed:?}") };
        prop_assert!(rest.is_empty());
        prop_assert_eq!(deliver.routing_key.as_bytes(), &key[..]);
        prop_assert_eq!(deliver.routing_key.is_utf8(), std::str::from_utf8(&key).is_ok());
    }
}
