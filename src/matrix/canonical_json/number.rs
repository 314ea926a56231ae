//! Numbers of canonical JSON: the strict form of room versions 6 and later, and the lenient form of
//! versions 1 to 5, in which integers may have any size and floats may occur.
//!
//! The specification leaves the encoding of the lenient form open; all implementations follow the
//! reference encoder in its appendix (Python's `json.dumps`), so that hashes agree. We do the same.

use super::{CanonicalJsonError, Strictness};
use crate::matrix::limits::CANONICAL_INTEGER_MAX;

/// Appends the canonical form of `text`, a number that the JSON parser has accepted.
pub(super) fn write_number(
    text: &str,
    strictness: Strictness,
    out: &mut String,
) -> Result<(), CanonicalJsonError> {
    let is_integer = !text.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E'));
    match strictness {
        Strictness::Strict => {
            let value: i64 = if is_integer && text != "-0" { text.parse().ok() } else { None }
                .filter(|value: &i64| value.unsigned_abs() <= CANONICAL_INTEGER_MAX.unsigned_abs())
                .ok_or_else(|| CanonicalJsonError::Number(text.to_owned()))?;
            debug_assert!(value.unsigned_abs() <= CANONICAL_INTEGER_MAX.unsigned_abs());
            out.push_str(text);
        }
        Strictness::Lenient if is_integer => out.push_str(if text == "-0" { "0" } else { text }),
        Strictness::Lenient => {
            let value = text
                .parse::<f64>()
                .ok()
                .filter(|value| value.is_finite())
                .ok_or_else(|| CanonicalJsonError::Number(text.to_owned()))?;
            write_float(value, out);
        }
    }
    Ok(())
}

/// Appends a finite float as the reference encoder does: the shortest digits that read back as the
/// same value, in positional notation for exponents from -4 to 15, otherwise with an exponent of at
/// least two digits and a sign.
fn write_float(value: f64, out: &mut String) {
    // `{:e}` yields the shortest digits as `d.ddde±x`.
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((scientific.as_str(), "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        // `{:?}` keeps `.0` on whole numbers, and switches to exponents only outside this range.
        let positional = format!("{value}");
        out.push_str(&positional);
        if !positional.contains('.') {
            out.push_str(".0");
        }
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        out.push_str(mantissa);
        out.push('e');
        out.push(sign);
        let digits = exponent.unsigned_abs();
        if digits < 10 {
            out.push('0');
        }
        out.push_str(&digits.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lenient(text: &str) -> String {
        let mut out = String::new();
        write_number(text, Strictness::Lenient, &mut out).unwrap();
        out
    }

    #[test]
    fn lenient_numbers_are_written_like_the_reference_encoder() {
        // Right-hand sides as printed by Python's json.dumps(json.loads(text)).
        for (text, expected) in [
            ("50.57", "50.57"),
            ("1.0", "1.0"),
            ("1e3", "1000.0"),
            ("1e15", "1000000000000000.0"),
            ("1e16", "1e+16"),
            ("1.5e300", "1.5e+300"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("-0.0", "-0.0"),
            ("-0", "0"),
            ("9223372036854775807", "9223372036854775807"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            assert_eq!(lenient(text), expected, "{text}");
        }
    }

    #[test]
    fn strict_numbers_are_integers_of_53_bits() {
        let strict = |text: &str| write_number(text, Strictness::Strict, &mut String::new());
        for text in ["0", "-1", "9007199254740991", "-9007199254740991"] {
            assert!(strict(text).is_ok(), "{text}");
        }
        for text in ["-0", "1.0", "1e3", "9007199254740992", "-9007199254740992", "99999999999999999999"] {
            assert!(matches!(strict(text), Err(CanonicalJsonError::Number(_))), "{text}");
        }
    }

    #[test]
    fn a_float_out_of_range_is_refused_even_when_lenient() {
        assert!(write_number("1e400", Strictness::Lenient, &mut String::new()).is_err());
    }
}
