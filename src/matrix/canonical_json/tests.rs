use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn strict(text: &str) -> String {
    canonicalize(text.as_bytes(), Strictness::Strict).unwrap()
}

/// The examples of the appendix, in its order.
#[test]
fn appendix_examples() {
    for (input, expected) in [
        ("{}", "{}"),
        ("{\n    \"one\": 1,\n    \"two\": \"Two\"\n}", r#"{"one":1,"two":"Two"}"#),
        ("{\n    \"b\": \"2\",\n    \"a\": \"1\"\n}", r#"{"a":"1","b":"2"}"#),
        (r#"{"b":"2","a":"1"}"#, r#"{"a":"1","b":"2"}"#),
        (
            r#"{"auth":{"success":true,"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe",
               "three_pids":[{"medium":"email","address":"john.doe@example.org"},
               {"medium":"msisdn","address":"123456789"}]}}}"#,
            r#"{"auth":{"mxid":"@john.doe:example.com","profile":{"display_name":"John Doe","three_pids":[{"address":"john.doe@example.org","medium":"email"},{"address":"123456789","medium":"msisdn"}]},"success":true}}"#,
        ),
        (r#"{"a": "日本語"}"#, r#"{"a":"日本語"}"#),
        (r#"{"本": 2, "日": 1}"#, r#"{"日":1,"本":2}"#),
        (r#"{"a": "\u65E5"}"#, r#"{"a":"日"}"#),
        (r#"{"a": null}"#, r#"{"a":null}"#),
    ] {
        assert_eq!(strict(input), expected, "{input}");
    }
}

#[test]
fn negative_zero_and_floats_are_refused_when_strict() {
    for text in [r#"{"a":-0}"#, r#"{"a":1e10}"#, r#"{"a":1.5}"#, r#"{"a":[{"b":9007199254740992}]}"#] {
        let error = canonicalize(text.as_bytes(), Strictness::Strict).unwrap_err();
        assert!(matches!(error, CanonicalJsonError::Number(_)), "{text}: {error}");
        assert!(canonicalize(text.as_bytes(), Strictness::Lenient).is_ok(), "{text}");
    }
}

#[test]
fn strings_take_the_shortest_escapes() {
    assert_eq!(
        strict(r#"{"a":"\u0008\u0009\u000a\u000c\u000d\u0000\u001f\u007f\/\"\\"}"#),
        "{\"a\":\"\\b\\t\\n\\f\\r\\u0000\\u001f\u{7f}/\\\"\\\\\"}"
    );
}

#[test]
fn the_last_of_duplicate_keys_counts() {
    assert_eq!(strict(r#"{"a":1,"b":2,"a":3}"#), r#"{"a":3,"b":2}"#);
    assert_eq!(strict(r#"{"a":1,"\u0061":3}"#), r#"{"a":3}"#);
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(canonicalize(nested(JSON_DEPTH_MAX).as_bytes(), Strictness::Strict).is_ok());
    let error = canonicalize(nested(JSON_DEPTH_MAX + 1).as_bytes(), Strictness::Strict).unwrap_err();
    assert!(matches!(error, CanonicalJsonError::TooDeep));
    // Brackets inside strings are text.
    let text = format!(r#"{{"a":"\"{}"}}"#, "[".repeat(500));
    assert!(canonicalize(text.as_bytes(), Strictness::Strict).is_ok());
}

#[test]
fn malformed_documents_are_refused() {
    for bytes in [
        &b""[..],
        b"{",
        b"{\"a\":}",
        b"{\"a\":1}x",
        b"{'a':1}",
        b"[1,]",
        b"\"\\ud800\"",
        b"\"\xff\"",
        b"{\"a\":01}",
        b"nul",
    ] {
        let error = canonicalize(bytes, Strictness::Lenient).unwrap_err();
        assert!(matches!(error, CanonicalJsonError::Syntax(_)), "{bytes:?}: {error}");
    }
    assert!(matches!(parse_object(b"[]"), Err(CanonicalJsonError::NotAnObject)));
}

fn arbitrary_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-crate::matrix::limits::CANONICAL_INTEGER_MAX..=crate::matrix::limits::CANONICAL_INTEGER_MAX)
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    /// ruma's encoder, an independent implementation, agrees on every strict document.
    #[test]
    fn agrees_with_ruma(value in arbitrary_json()) {
        let ours = canonicalize(serde_json::to_string_pretty(&value).unwrap().as_bytes(), Strictness::Strict).unwrap();
        let theirs: ruma::CanonicalJsonValue = value.clone().try_into().unwrap();
        prop_assert_eq!(&ours, &serde_json::to_string(&theirs).unwrap());
        prop_assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), value);
    }

    #[test]
    fn is_idempotent_and_equal_in_both_strictnesses(value in arbitrary_json()) {
        let once = canonicalize(value.to_string().as_bytes(), Strictness::Strict).unwrap();
        prop_assert_eq!(&canonicalize(once.as_bytes(), Strictness::Strict).unwrap(), &once);
        prop_assert_eq!(&canonicalize(once.as_bytes(), Strictness::Lenient).unwrap(), &once);
    }

    #[test]
    fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = canonicalize(&bytes, Strictness::Lenient);
    }
}
