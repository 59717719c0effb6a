use proptest::prelude::*;
use serde_json::json;

use super::*;

const SMS: &str = r#"{"$schema":"https://json-schema.org/draft/2020-12/schema","type":"object",
    "required":["phoneNumber"],"properties":{"phoneNumber":{"type":"string","pattern":"^\\+[0-9]+$"}}}"#;

#[test]
fn a_value_matches_or_its_violations_are_reported() {
    let schema = DataSchema::parse(SMS).expect("a schema");
    assert_eq!(schema.check(r#"{"phoneNumber":"+123","more":1}"#), Ok(()));
    let violation = |json| schema.check(json).expect_err("does not fit").to_string();
    assert!(violation("{}").contains("phoneNumber"));
    assert!(violation(r#"{"phoneNumber":"12"}"#).starts_with("/phoneNumber: "));
    assert!(violation("[]").starts_with("the whole: "));
    assert!(violation(&format!("{:?}", "x".repeat(10_000))).chars().count() < 400);
}

#[test]
fn a_long_key_is_truncated_in_the_text() {
    let schema = DataSchema::parse(r#"{"additionalProperties":{"type":"string"}}"#).expect("a schema");
    let key = "k".repeat(200_000);
    let violation = schema.check(&format!("{{\"{key}\":1}}")).expect_err("does not fit").to_string();
    assert!(violation.starts_with("/kkk") && violation.contains("kk…: 1 is not"), "{violation}");
    assert!(violation.len() <= MAX_PATH_BYTES + 2 + MAX_VIOLATION_BYTES, "{} bytes", violation.len());
}

#[test]
fn invalid_schemas_are_rejected() {
    for bad in
        [r#"{"type":"strin"}"#, r#"{"minimum":"1"}"#, r#"{"pattern":"("}"#, "{", "1", r#"{"required":"a"}"#]
    {
        assert!(DataSchema::parse(bad).is_err(), "{bad}");
    }
    assert!(DataSchema::parse("true").is_ok() && DataSchema::parse("false").is_ok());
    let nothing = DataSchema::parse("false").expect("a schema");
    assert!(nothing.check("1").is_err());
}

#[test]
fn references_to_other_documents_are_rejected() {
    for outside in ["https://example.com/schema.json", "file:///etc/passwd", "other.json"] {
        assert!(DataSchema::parse(&format!(r#"{{"$ref":"{outside}"}}"#)).is_err(), "{outside}");
    }
    assert!(DataSchema::parse(r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"string"}}}"##).is_ok());
}

#[test]
fn patterns_are_matched_in_linear_time() {
    let schema = DataSchema::parse(r#"{"pattern":"^(a+)+$"}"#).expect("a schema");
    assert!(schema.check(&format!("\"{}b\"", "a".repeat(50_000))).is_err());
    assert!(DataSchema::parse(r#"{"pattern":"^(?=a)"}"#).is_err(), "look-around is not linear");
}

/// `levels` definitions, each of which refers to the next one twice.
fn doubling(levels: usize, keyword: &str) -> String {
    let definition = |level: usize| {
        let next = format!(r##"{{"$ref":"#/$defs/d{}"}}"##, level + 1);
        format!(r#""d{level}":{{"{keyword}":[{next},{next}]}}"#)
    };
    let definitions: Vec<String> = (0..levels).map(definition).collect();
    format!(
        r##"{{"$ref":"#/$defs/d0","$defs":{{{},"d{levels}":{{"required":["no"]}}}}}}"##,
        definitions.join(",")
    )
}

fn refusal(schema: &str) -> String {
    DataSchema::parse(schema).expect_err("refused").to_string()
}

#[test]
fn references_that_expand_without_end_are_refused() {
    for keyword in ["anyOf", "allOf", "oneOf"] {
        let schema = doubling(22, keyword);
        assert!(schema.len() < 3_000);
        assert!(refusal(&schema).contains("expand to more than 10000"), "{keyword}");
        assert!(DataSchema::parse_stored(&schema).is_err(), "not enforced either: {keyword}");
    }
    assert!(DataSchema::parse(&doubling(8, "anyOf")).expect("a schema").check(r#"{"a":1}"#).is_err());
    let members = r##"{"$ref":"#/$defs/d0","$defs":{"##.to_owned()
        + &(0..40).map(|n| format!(
            r##""d{n}":{{"properties":{{"x":{{"$ref":"#/$defs/d{0}"}},"y":{{"$ref":"#/$defs/d{0}"}}}}}},"##, n + 1
        )).collect::<String>()
        + r##""d40":{}}}"##;
    assert!(refusal(&members).contains("expand"));
    assert!(DataSchema::parse_stored(&members).is_ok(), "steps are counted");
}

#[test]
fn a_schema_that_leads_to_itself_for_the_same_value_is_refused() {
    for endless in [
        r##"{"$ref":"#"}"##,
        r##"{"anyOf":[{"$ref":"#/$defs/a"}],"$defs":{"a":{"not":{"$ref":"#"}}}}"##,
        r##"{"$dynamicAnchor":"n","allOf":[{"$dynamicRef":"#n"}]}"##,
    ] {
        assert!(refusal(endless).contains("refers to itself for the same value"), "{endless}");
    }
    let chain: String = (0..100).map(|n| format!(r##""d{n}":{{"$ref":"#/$defs/d{}"}},"##, n + 1)).collect();
    let chain = format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{chain}"d100":{{}}}}}}"##);
    assert!(refusal(&chain).contains("nested for one value"));
}

#[test]
fn recursion_that_branches_for_the_same_part_is_refused() {
    for branching in [
        r##"{"anyOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}}]}"##,
        r##"{"properties":{"a":{"$ref":"#"}},"patternProperties":{"^a":{"$ref":"#"}}}"##,
        r##"{"oneOf":[{"items":{"$ref":"#"}},{"contains":{"$ref":"#"}}]}"##,
        r##"{"properties":{"a":{"allOf":[{"$ref":"#"},{"additionalProperties":{"$ref":"#"}}]}},"additionalProperties":{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}}"##,
    ] {
        let text = refusal(branching);
        assert!(text.contains("several times"), "{branching}: {text}");
        assert!(DataSchema::parse_stored(branching).is_ok(), "steps are counted: {branching}");
    }
}

#[test]
fn recursion_that_does_not_branch_is_accepted() {
    for fine in [
        r##"{"properties":{"left":{"$ref":"#"},"right":{"$ref":"#"}}}"##,
        r##"{"properties":{"next":{"anyOf":[{"type":"null"},{"$ref":"#"}]}},"required":["next"]}"##,
        r##"{"type":"object","properties":{"children":{"items":{"$ref":"#"}}},"additionalProperties":{"$ref":"#"}}"##,
        r##"{"$id":"https://example.com/tree","$defs":{"t":{"$anchor":"t","items":{"$ref":"#t"}}},"$ref":"tree#t"}"##,
        r##"{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"a b":{"items":{"$ref":"#"}}},"items":{"$ref":"#/definitions/a%20b"}}"##,
    ] {
        let schema = DataSchema::parse(fine);
        assert!(schema.is_ok(), "{fine}: {schema:?}");
    }
}

#[test]
fn many_or_large_patterns_are_refused() {
    let patterns: String = (0..200).map(|n| format!(r#""^{n}$":{{}},"#)).collect();
    assert!(refusal(&format!(r#"{{"patternProperties":{{{patterns}"x":{{}}}}}}"#)).contains("patterns"));
    assert!(DataSchema::parse(r#"{"pattern":"^(\\p{L}{500}){500}$"}"#).is_err());
}

#[test]
fn an_evaluation_ends_after_its_steps() {
    let schema = DataSchema::parse_stored(
        r##"{"anyOf":[{"properties":{"a":{"$ref":"#"}},"required":["b"]},
                      {"properties":{"a":{"$ref":"#"}},"required":["c"]}]}"##,
    )
    .expect("an earlier version accepted it");
    let nested = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    assert!(schema.check(&nested).is_err());
    let items: Vec<String> = (0..20_000).map(|n| n.to_string()).collect();
    let unique = DataSchema::parse(r#"{"uniqueItems":true}"#).expect("a schema");
    assert_eq!(unique.check(&format!("[{}]", items.join(","))), Ok(()), "its work is proportional");
    let values: Vec<String> = (0..3_000).map(|n| format!(r#"{{"const":{n}}}"#)).collect();
    let wide =
        DataSchema::parse(&format!(r#"{{"items":{{"anyOf":[{}]}}}}"#, values.join(","))).expect("a schema");
    let violation = wide.check(&format!("[{}]", vec!["2999"; 20_000].join(","))).expect_err("too much work");
    assert!(violation.to_string().contains("steps to check"), "{violation}");
    assert_eq!(wide.check("[2999]"), Ok(()));
}

#[test]
fn a_violation_below_any_of_is_explained_with_few_steps() {
    let schema = DataSchema::parse(r#"{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]}}}"#)
        .expect("a schema");
    let violation = schema.check(r#"{"a":1}"#).expect_err("does not fit").to_string();
    assert!(violation.starts_with("/a: 1 is not valid under any"), "{violation}");
    let wide = DataSchema::parse(r#"{"anyOf":[{"additionalProperties":{"type":"string"}},{"type":"null"}]}"#)
        .expect("a schema");
    let members: Vec<String> = (0..20_000).map(|n| format!(r#""{n}":1"#)).collect();
    let violation = wide.check(&format!("{{{}}}", members.join(","))).expect_err("does not fit").to_string();
    assert!(violation.contains("takes too many steps"), "{violation}");
}

#[test]
fn the_deepest_evaluation_fits_the_stack_of_a_thread() {
    let links: String =
        (0..31).map(|n| format!(r##""d{n}":{{"allOf":[{{"$ref":"#/$defs/d{}"}}]}},"##, n + 1)).collect();
    for (definitions, start) in [(String::new(), "x"), (links, "d0")] {
        let end = if definitions.is_empty() { "x" } else { "d31" };
        let schema = format!(
            r##"{{"$ref":"#/$defs/{start}","$defs":{{{definitions}"{end}":{{"properties":{{"a":{{"$ref":"#/$defs/{start}"}}}}}}}}}}"##
        );
        let schema = DataSchema::parse(&schema).expect("a schema");
        let nested = format!("{}1{}", r#"{"a":"#.repeat(120), "}".repeat(120));
        // A worker thread of the router has 2 MiB.
        let checking = std::thread::Builder::new().stack_size(2 * 1024 * 1024);
        let result =
            checking.spawn(move || schema.check(&nested)).expect("a thread").join().expect("no overflow");
        assert_eq!(result.is_ok(), start == "x", "{result:?}");
    }
}

/// Data that `serde_json` refuses to hold, in some place of an object.
fn unusual_data() -> Vec<String> {
    let deep = |levels: usize| format!("{}{}", r#"{"a":["#.repeat(levels), "]}".repeat(levels));
    vec![
        r#"{"n":1e400}"#.to_owned(),
        r#"{"n":-1E+99999999999999999999}"#.to_owned(),
        format!(r#"{{"n":{}}}"#, "9".repeat(309)),
        r#"{"text":"\ud800","other":"a\udc00b"}"#.to_owned(),
        r#"{"\ud800":1,"\udfff":2}"#.to_owned(),
        deep(64),
        deep(65),
        deep(40_000),
    ]
}

#[test]
fn data_is_not_refused_for_its_numbers_surrogates_or_depth() {
    for schema in [
        "true",
        r#"{"type":"object"}"#,
        r#"{"type":"object","minProperties":1,"properties":{"b":{"type":"string"}},"additionalProperties":true}"#,
        r#"{"not":{"required":["b"]},"propertyNames":{"maxLength":8}}"#,
        r#"{"not":{"enum":[{},{"n":1}]},"properties":{"n":{"type":"integer"},"text":{"type":"string"}}}"#,
    ] {
        let schema = DataSchema::parse(schema).expect("a schema");
        for data in unusual_data() {
            assert_eq!(schema.check(&data), Ok(()), "{}", &data[..data.len().min(40)]);
        }
    }
    let never = DataSchema::parse(r#"{"type":"array"}"#).expect("a schema");
    for data in unusual_data() {
        let violation = never.check(&data).expect_err("an object").to_string();
        assert!(violation.starts_with("the whole: {") && violation.len() < 400, "{violation}");
    }
}

#[test]
fn numbers_beyond_a_double_are_compared_with_limits() {
    let digits = "9".repeat(309);
    let even = format!("{digits}8");
    for (schema, data, fits) in [
        (r#"{"type":"integer","minimum":5}"#, "1e400", true),
        (r#"{"maximum":1.7e308}"#, "1e400", false),
        (r#"{"exclusiveMaximum":0}"#, "-1e400", true),
        (r#"{"minimum":-1e300}"#, "-1e400", false),
        (r#"{"type":"integer"}"#, &digits, true),
        (r#"{"type":"integer"}"#, "1e-400", false),
        (r#"{"type":"integer"}"#, "1.5e400", true),
        (r#"{"multipleOf":5}"#, "1e400", true),
        (r#"{"multipleOf":3}"#, "1e400", false),
        (r#"{"multipleOf":2}"#, &digits, false),
        (r#"{"multipleOf":2}"#, &even, true),
        (r#"{"enum":[1,1.7976931348623157e308]}"#, "1e400", false),
        (r#"{"const":1.50}"#, "15e-1", true),
    ] {
        let checked = DataSchema::parse(schema).expect("a schema").check(data);
        assert_eq!(checked.is_ok(), fits, "{schema} {data}: {checked:?}");
    }
}

#[test]
fn a_lone_surrogate_is_one_character_of_its_own() {
    for (schema, data, fits) in [
        (r#"{"maxLength":1,"minLength":1}"#, r#""\ud800""#, true),
        (r#"{"maxLength":1}"#, r#""\ud800\ud800""#, false),
        (r#"{"maxLength":1}"#, r#""\ud83d\ude00""#, true),
        (r#"{"pattern":"^.$"}"#, r#""\udfff""#, true),
        (r#"{"uniqueItems":true}"#, r#"["\ud800","\ud801"]"#, true),
        (r#"{"uniqueItems":true}"#, r#"["\ud800","\uD800"]"#, false),
        (r#"{"additionalProperties":{"type":"string"}}"#, r#"{"\ud800":1,"\ud801":"a"}"#, false),
        (r#"{"minProperties":2}"#, r#"{"\ud800":1,"\ud801":1}"#, true),
    ] {
        let checked = DataSchema::parse(schema).expect("a schema").check(data);
        assert_eq!(checked.is_ok(), fits, "{schema} {data}: {checked:?}");
    }
}

#[test]
fn items_are_unique_by_their_value() {
    let unique = DataSchema::parse(r#"{"uniqueItems":true}"#).expect("a schema");
    let deep = |inner: &str| format!("{}{inner}{}", "[".repeat(30_000), "]".repeat(30_000));
    for distinct in [
        "[1e400,1e401,-1e400]".to_owned(),
        "[12345678901234567890123,12345678901234567890124]".to_owned(),
        r#"[[],[[]],{},{"a":[]},["a"],"a",null,false,0,[1,2],[12],["1",2]]"#.to_owned(),
        format!("[{},{}]", deep("1"), deep("2")),
    ] {
        assert_eq!(unique.check(&distinct), Ok(()), "{}", &distinct[..distinct.len().min(80)]);
    }
    for repeated in [
        "[1,1.0]".to_owned(),
        "[1e400,10e399]".to_owned(),
        r#"[{"a":1,"b":[2]},{"b":[2.0],"a":1e0}]"#.to_owned(),
        format!("[{},{}]", deep("1"), deep("1")),
    ] {
        assert!(unique.check(&repeated).is_err(), "{}", &repeated[..repeated.len().min(80)]);
    }
}

#[test]
fn a_schema_that_describes_each_level_has_a_depth_and_says_so() {
    let tree = DataSchema::parse(r##"{"additionalProperties":{"$ref":"#"}}"##).expect("a schema");
    let nested = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    assert_eq!(tree.check(&nested(200)), Ok(()));
    let violation = tree.check(&nested(40_000)).expect_err("too deep").to_string();
    assert!(violation.contains("more than 256 levels deep"), "{violation}");
    let leaf = DataSchema::parse(r#"{"const":{"a":[{"a":1}]},"enum":[[[1]],{}]}"#).expect("a schema");
    assert!(leaf.check(&nested(40_000)).is_err(), "compared as deep as the schema");
}

/// A schema of a few definitions that refer to one another at random.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "string"})),
        Just(json!({"required": ["a"]})),
        Just(json!({"uniqueItems": true})),
        Just(json!({"pattern": "^(a|b)+$"})),
        Just(json!({"enum": [1, "a", [1], {"a": 1}]})),
        (0..4_usize).prop_map(|n| json!({"$ref": format!("#/$defs/d{n}")})),
        (0..4_usize).prop_map(|n| json!({"$dynamicRef": format!("#d{n}")})),
    ];
    let schema = leaf.prop_recursive(4, 24, 4, |inner| {
        let list = prop::collection::vec(inner.clone(), 1..4);
        prop_oneof![
            (prop_oneof![Just("allOf"), Just("anyOf"), Just("oneOf")], list)
                .prop_map(|(keyword, schemas)| json!({keyword: schemas})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"properties": {"a": a, "b": b}})),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| json!({"items": a, "contains": b, "unevaluatedItems": false})),
            (inner.clone(), inner.clone())
                .prop_map(|(a, b)| json!({"if": a, "then": b, "unevaluatedProperties": false})),
            (inner.clone(), inner)
                .prop_map(|(a, b)| json!({"patternProperties": {"^a": a}, "additionalProperties": b})),
        ]
    });
    prop::collection::vec(schema, 4).prop_map(|schemas| {
        let mut definitions = serde_json::Map::new();
        for (n, mut schema) in schemas.into_iter().enumerate() {
            schema["$dynamicAnchor"] = json!(format!("d{n}"));
            definitions.insert(format!("d{n}"), schema);
        }
        json!({"$ref": "#/$defs/d0", "$defs": definitions})
    })
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(json!(1)), Just(json!("ab")), Just(json!(null))];
    let value = leaf.prop_recursive(8, 64, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"a": a, "b": b})),
        ]
    });
    (value, 1..60_usize).prop_map(|(value, depth)| (0..depth).fold(value, |value, _| json!({"a": [value]})))
}

proptest! {
    #[test]
    fn every_evaluation_is_within_its_steps_and_agrees_with_the_plain_validator(
        schema in any_schema(),
        value in any_value(),
    ) {
        let text = schema.to_string();
        let Ok(parsed) = DataSchema::parse(&text) else { return Ok(()) };
        let json = value.to_string();
        let outcome = parsed.check(&json);
        let meter = Meter::new(MIN_STEPS + STEPS_PER_BYTE * json.len() as u64, parsed.max_depth);
        let document = Document::parse(&json).expect("JSON");
        let is_valid = parsed.validator.is_valid(MeteredNode::new(&document, &meter));
        if meter.is_exhausted() {
            prop_assert!(outcome.is_err());
        } else {
            prop_assert!(meter.left() > 0);
            prop_assert_eq!(outcome.is_ok(), is_valid);
            let plain = jsonschema::options().build(&schema).expect("the same schema");
            prop_assert_eq!(is_valid, plain.is_valid(&value), "{} {}", text, json);
        }
    }

    #[test]
    fn no_stored_schema_takes_more_than_its_steps(schema in any_schema(), value in any_value()) {
        if let Ok(parsed) = DataSchema::parse_stored(&schema.to_string()) {
            let _ = parsed.check(&value.to_string());
        }
    }
}
