//! Content headers of any bytes are parsed without a panic and on a bounded stack. A well-formed header always parses,
//! because a frame that cannot be parsed ends the connection.

use broker::{MAX_HEADER_NESTING, Unreadable};
use lapin::BasicProperties;
use lapin::protocol::{AMQPClass, basic, parse_class};
use lapin::types::{MAX_NESTING, MAX_VALUES};
use proptest::prelude::*;

/// Stack of the parsing thread, half of the client's default of 2 MiB.
const STACK_BYTES: usize = 1024 * 1024;
/// Flag bits of the properties that are short strings, in the order of the properties.
const TEXT_BITS: [u16; 10] = [15, 14, 10, 9, 8, 7, 5, 4, 3, 2];
/// Flag bit of the headers.
const HEADERS_BIT: u16 = 13;
/// Flag bits and sizes of the properties with a fixed size.
const FIXED_SIZES: [(u16, usize); 3] = [(12, 1), (11, 1), (6, 8)];

fn run_on_small_stack<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> T {
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(step).expect("a thread");
    thread.join().expect("no panic")
}

fn with_long_length(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes(), bytes].concat()
}

/// Encodes a content header with these headers and no other property.
fn properties_of(table: &[u8]) -> Vec<u8> {
    [&(1u16 << HEADERS_BIT).to_be_bytes()[..], &with_long_length(table)].concat()
}

fn encode_header(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[u8::try_from(name.len()).expect("short")], name, value].concat()
}

fn nested_arrays(depth: usize) -> Vec<u8> {
    (0..depth).fold(b"V".to_vec(), |inner, _| [&b"A"[..], &with_long_length(&inner)].concat())
}

fn nested_tables(depth: usize) -> Vec<u8> {
    (0..depth)
        .fold(b"V".to_vec(), |inner, _| [&b"F"[..], &with_long_length(&encode_header(b"n", &inner))].concat())
}

/// Parses properties, and runs the functions that recurse into them.
fn read_properties(bytes: &[u8]) -> Option<(BasicProperties, Option<Unreadable>)> {
    let (rest, properties) = basic::parse_properties(bytes).ok()?;
    let _ = format!("{:?}", properties.clone());
    let unreadable = Unreadable::in_properties(&properties);
    rest.is_empty().then_some((properties, unreadable))
}

fn find_unreadable(table: Vec<u8>) -> Option<Unreadable> {
    run_on_small_stack(move || read_properties(&properties_of(&table)).expect("parsed").1)
}

#[test]
fn nesting_is_reported_above_the_limit_only() {
    for nested in [nested_arrays, nested_tables] {
        for depth in [0, 1, 3, MAX_HEADER_NESTING] {
            assert_eq!(find_unreadable(encode_header(b"n", &nested(depth))), None, "{depth}");
        }
        for depth in [MAX_HEADER_NESTING + 1, MAX_NESTING - 1, MAX_NESTING, MAX_NESTING + 1, 1_200, 15_000] {
            assert_eq!(
                find_unreadable(encode_header(b"n", &nested(depth))),
                Some(Unreadable::Nesting),
                "{depth}"
            );
        }
    }
}

#[test]
fn header_names_that_are_not_utf8_are_reported_at_any_level() {
    let inner = [&b"F"[..], &with_long_length(&encode_header(b"\xff", b"V"))].concat();
    let deep = [&b"A"[..], &with_long_length(&inner)].concat();
    for table in [encode_header(b"\x80", b"V"), encode_header(b"a", &inner), encode_header(b"a", &deep)] {
        assert_eq!(find_unreadable(table), Some(Unreadable::HeaderName));
    }
    // Neither a name with the replacement character nor a value that is not UTF-8 counts.
    assert_eq!(find_unreadable(encode_header("\u{fffd}?".as_bytes(), b"S\0\0\0\x01\xff")), None);
}

#[test]
fn malformed_or_too_many_headers_are_reported() {
    let array = [&b"A"[..], &with_long_length(b"S\0\0")].concat();
    let many = [&b"A"[..], &with_long_length(&[b'V'; MAX_VALUES])].concat();
    for table in
        [&encode_header(b"a", b"!")[..], b"\x05ab", &encode_header(b"a", &array), &encode_header(b"a", &many)]
    {
        assert_eq!(find_unreadable(table.to_vec()), Some(Unreadable::Headers));
    }
}

#[test]
fn every_unreadable_property_is_reported_by_name() {
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
    for (bit, name) in TEXT_BITS.into_iter().zip(names) {
        let bytes = [&(1u16 << bit).to_be_bytes()[..], b"\x01\x80"].concat();
        let (_, found) = read_properties(&bytes).expect("parsed");
        assert_eq!(found.map(|it| it.to_string()), Some(format!("the property {name} is not UTF-8")));
    }
}

/// Generates bytes that look like headers, so that most of them parse for a while.
fn table_like() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..8),
        (prop::collection::vec(any::<u8>(), 0..6), any::<u8>(), prop::collection::vec(any::<u8>(), 0..9))
            .prop_map(|(name, kind, value)| encode_header(&name, &[&[kind][..], &value].concat())),
        (0usize..100).prop_map(|depth| encode_header(b"a", &nested_arrays(depth))),
        (0usize..100).prop_map(|depth| encode_header(b"t", &nested_tables(depth))),
        Just(encode_header(b"", b"S\0\0\0\x02\xff\xfe")),
        Just(encode_header(b"x", b"x\0\0\0\x01a")),
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

/// Generates flags and properties with valid lengths and any content.
fn well_formed() -> impl Strategy<Value = Vec<u8>> {
    let texts =
        prop::collection::vec(prop::option::of(prop::collection::vec(any::<u8>(), 0..=255)), TEXT_BITS.len());
    (texts, prop::option::of(table_like()), any::<[bool; FIXED_SIZES.len()]>()).prop_map(
        |(texts, table, fixed)| {
            let texts = TEXT_BITS
                .into_iter()
                .zip(texts)
                .filter_map(|(bit, text)| Some((bit, encode_header(&text?, b""))));
            let table = table.map(|table| (HEADERS_BIT, with_long_length(&table)));
            let fixed = FIXED_SIZES.into_iter().zip(fixed).filter(|(_, is_there)| *is_there);
            let fixed = fixed.map(|((bit, size), _)| (bit, vec![0xff; size]));
            let mut properties: Vec<(u16, Vec<u8>)> = texts.chain(table).chain(fixed).collect();
            properties.sort_by_key(|(bit, _)| std::cmp::Reverse(*bit));
            let flags: u16 = properties.iter().map(|(bit, _)| 1 << bit).sum();
            properties.into_iter().fold(flags.to_be_bytes().to_vec(), |all, (_, value)| [all, value].concat())
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_bytes_are_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        run_on_small_stack(move || { let _ = read_properties(&bytes); });
    }

    #[test]
    fn well_formed_properties_are_always_parsed(bytes in well_formed()) {
        run_on_small_stack(move || assert!(read_properties(&bytes).is_some(), "{}", bytes.escape_ascii()));
    }

    #[test]
    fn any_routing_key_is_parsed(
        tag in prop::collection::vec(any::<u8>(), 0..=255),
        exchange in prop::collection::vec(any::<u8>(), 0..=255),
        key in prop::collection::vec(any::<u8>(), 0..=255),
    ) {
        // basic.deliver: consumer tag, delivery tag, redelivered, exchange, routing key.
        let start = [&[0, 60, 0, 60][..], &encode_header(&tag, &[0; 9])].concat();
        let bytes = [start, encode_header(&exchange, b""), encode_header(&key, b"")].concat();
        let (rest, parsed) = parse_class(&bytes[..]).expect("parsed");
        let AMQPClass::Basic(basic::AMQPMethod::Deliver(deliver)) = parsed else { panic!("{parsed:?}") };
        prop_assert!(rest.is_empty());
        prop_assert_eq!(deliver.routing_key.as_bytes(), &key[..]);
        prop_assert_eq!(deliver.routing_key.is_utf8(), std::str::from_utf8(&key).is_ok());
    }
}
