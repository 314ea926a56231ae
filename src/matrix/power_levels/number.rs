//! How a single level may be written.
//!
//! Integers always; strings that hold an integer before room version 10; floats, cut off at the decimal
//! point, in room versions 1 to 5 ([stringy] and [floaty] power levels).
//!
//! [stringy]: https://spec.matrix.org/v1.19/rooms/v1/#mroompower_levels-events-accept-values-as-strings
//! [floaty]: https://spec.matrix.org/v1.19/rooms/v1/#mroompower_levels-events-accept-values-as-floats

use ruma::room_version_rules::AuthorizationRules;

/// The level that a JSON text stands for, or `None` if the room version does not accept it.
///
/// Levels beyond 64 bits, possible only in old room versions, count as the greatest or least level.
pub(super) fn parse_level(json: &str, rules: &AuthorizationRules) -> Option<i64> {
    match json.as_bytes().first()? {
        b'-' | b'0'..=b'9' if !json.contains(['.', 'e', 'E']) => parse_integer(json),
        b'-' | b'0'..=b'9' if !rules.strict_canonical_json => parse_float(json),
        b'"' if !rules.integer_power_levels => {
            let text: String = serde_json::from_str(json).ok()?;
            let text = text.trim();
            parse_integer(text.strip_prefix('+').filter(|rest| !rest.starts_with('-')).unwrap_or(text))
        }
        _ => None,
    }
}

/// An optional `-`, then digits, however many.
fn parse_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Only overflow is left as a cause of failure.
    Some(text.parse().unwrap_or(if negative { i64::MIN } else { i64::MAX }))
}

/// A JSON number with fraction or exponent, cut off at the decimal point.
#[allow(
    clippy::cast_possible_truncation,
    reason = "casting to an integer truncates and saturates, as wanted"
)]
fn parse_float(text: &str) -> Option<i64> {
    text.parse::<f64>().ok().filter(|value| value.is_finite()).map(|value| value as i64)
}

#[cfg(test)]
mod tests {
    use ruma::room_version_rules::AuthorizationRules;

    use super::*;

    #[test]
    fn integers_are_levels_everywhere() {
        for rules in [AuthorizationRules::V1, AuthorizationRules::V6, AuthorizationRules::V12] {
            assert_eq!(parse_level("50", &rules), Some(50));
            assert_eq!(parse_level("-1", &rules), Some(-1));
            assert_eq!(parse_level("true", &rules), None);
            assert_eq!(parse_level("null", &rules), None);
            assert_eq!(parse_level("[50]", &rules), None);
        }
    }

    /// The examples of the specification.
    #[test]
    fn strings_are_levels_before_version_10() {
        for (json, level) in [
            (r#""100""#, Some(100)),
            (r#""000100""#, Some(100)),
            (r#""+100""#, Some(100)),
            (r#""-100""#, Some(-100)),
            (r#"" 100 ""#, Some(100)),
            (r#"" 00100 ""#, Some(100)),
            (r#"" +100 ""#, Some(100)),
            (r#"" -100 ""#, Some(-100)),
            (r#""+-100""#, None),
            (r#""++100""#, None),
            (r#""1.5""#, None),
            (r#""""#, None),
            (r#""+""#, None),
            (r#""ten""#, None),
        ] {
            assert_eq!(parse_level(json, &AuthorizationRules::V8), level, "{json}");
            assert_eq!(parse_level(json, &AuthorizationRules::V10), None, "{json}");
        }
    }

    #[test]
    fn floats_are_cut_off_in_versions_1_to_5() {
        for (json, level) in [
            ("50.57", Some(50)),
            ("-50.57", Some(-50)),
            ("5.114698E4", Some(51146)),
            ("1e400", None),
            ("1e300", Some(i64::MAX)),
        ] {
            assert_eq!(parse_level(json, &AuthorizationRules::V3), level, "{json}");
            assert_eq!(parse_level(json, &AuthorizationRules::V6), None, "{json}");
        }
    }
}
