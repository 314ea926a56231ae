//! Canonical JSON of any bytes: one form, reached in one step, and the same as an independent writer's.
#![no_main]

use conduit::matrix::{
    canonical_json::{CanonicalJsonError, Strictness, canonicalize, parse_object},
    limits::{CANONICAL_INTEGER_MAX, JSON_DEPTH_MAX},
};
use libfuzzer_sys::fuzz_target;
use serde_json::{Number, Value};

fuzz_target!(|bytes: &[u8]| {
    let strict = canonicalize(bytes, Strictness::Strict);
    let lenient = canonicalize(bytes, Strictness::Lenient);
    check_strict(bytes, &strict);
    check_lenient(bytes, &lenient);
    if let Ok(strict) = &strict {
        assert_eq!(Some(strict), lenient.as_ref().ok(), "what is strict is the same when lenient");
        check_tree(bytes, strict);
    }
});

/// Strict documents against `serde_json`, whose maps are ordered by key and whose escapes are the shortest.
fn check_strict(bytes: &[u8], ours: &Result<String, CanonicalJsonError>) {
    match (ours, serde_json::from_slice::<Value>(bytes)) {
        (Ok(ours), Ok(value)) => {
            assert!(numbers_are_strict(&value), "a number that strict documents must not have");
            assert_eq!(*ours, value.to_string());
            assert_eq!(*ours, canonicalize(ours.as_bytes(), Strictness::Strict).expect("canonical"));
        }
        // Of duplicate keys the last one counts: we don't look at the numbers and strings of those before.
        (Ok(ours), Err(_)) => assert!(ours.len() < bytes.len(), "accepted, though not JSON"),
        (Err(CanonicalJsonError::TooDeep), _) => {
            let open = bytes.iter().filter(|byte| matches!(byte, b'{' | b'[')).count();
            assert!(open > JSON_DEPTH_MAX, "refused as deeper than it is");
        }
        (Err(CanonicalJsonError::Number(_)), Ok(value)) => {
            assert!(!numbers_are_strict(&value), "refused for its numbers, which are strict");
        }
        (Err(error), Ok(_)) => panic!("refused: {error}"),
        (Err(_), Err(_)) => {}
    }
}

fn check_lenient(bytes: &[u8], ours: &Result<String, CanonicalJsonError>) {
    let Ok(ours) = ours else { return };
    let again = canonicalize(ours.as_bytes(), Strictness::Lenient).expect("canonical");
    assert_eq!(*ours, again, "the form of a form is itself");
    // Larger integers are floats to `serde_json`, and equal if their text is.
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        let read = serde_json::from_str::<Value>(ours).expect("JSON");
        assert!(are_equal(&value, &read), "the meaning changed: {value} is {read}");
    }
}

fn check_tree(bytes: &[u8], strict: &str) {
    match parse_object(bytes) {
        Ok(object) => assert_eq!(strict, serde_json::to_string(&object).expect("writable")),
        Err(error) => assert!(!strict.starts_with('{'), "an object that has no tree: {error}"),
    }
}

fn numbers_are_strict(value: &Value) -> bool {
    match value {
        Value::Number(number) => {
            number.as_i64().is_some_and(|number| number.unsigned_abs() <= CANONICAL_INTEGER_MAX.unsigned_abs())
        }
        Value::Array(items) => items.iter().all(numbers_are_strict),
        Value::Object(members) => members.values().all(numbers_are_strict),
        _ => true,
    }
}

/// Equality that takes the integer zero and the float zero, `-0`, as one number.
fn are_equal(one: &Value, other: &Value) -> bool {
    let is_zero = |number: &Number| number.as_f64() == Some(0.0);
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || (is_zero(one) && is_zero(other)),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| are_equal(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && are_equal(one.1, other.1))
        }
        _ => one == other,
    }
}
