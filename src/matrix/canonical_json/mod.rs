//! Canonical JSON ([appendix]): the one byte form of a JSON value that is hashed and signed.
//!
//! [`canonicalize`] turns bytes from outside into that form, within a bound on nesting and with the
//! strictness of the room version; [`parse_object`] gives the same as a tree. It never touches the
//! meaning of a document. Its main types are [`Strictness`] and [`CanonicalJsonError`].
//!
//! [appendix]: https://spec.matrix.org/v1.19/appendices/#canonical-json

mod number;

use std::collections::BTreeMap;

use ruma::{CanonicalJsonObject, room_version_rules::RoomVersionRules};
use serde_json::value::RawValue;

use super::limits::JSON_DEPTH_MAX;

/// How closely a document must follow the canonical JSON grammar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strictness {
    /// Numbers must be integers within ±(2^53 - 1), without exponent, decimal point or `-0`: room
    /// versions 6 and later, and everything that is not a PDU.
    Strict,
    /// Floats and larger integers are let through: room versions 1 to 5, whose rooms hold such
    /// events.
    Lenient,
}

impl Strictness {
    /// What the room version asks for.
    pub fn of(rules: &RoomVersionRules) -> Self {
        if rules.authorization.strict_canonical_json { Self::Strict } else { Self::Lenient }
    }
}

/// Why bytes are not (convertible to) canonical JSON. Answers `M_BAD_JSON`, except
/// [`Syntax`](Self::Syntax), which answers `M_NOT_JSON`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CanonicalJsonError {
    /// Not JSON at all, or not UTF-8.
    #[error("the document is not JSON: {0}")]
    Syntax(String),
    /// Some other value stands where an object must.
    #[error("the document is not a JSON object")]
    NotAnObject,
    /// A number that the strictness forbids.
    #[error(
        "{0} is not a number of canonical JSON: numbers must be integers between -(2^53 - 1) and 2^53 - 1"
    )]
    Number(String),
    /// Deeper nesting than [`JSON_DEPTH_MAX`].
    #[error("the document is nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// A Rust value that has no JSON form, such as a map with keys that are not strings.
    #[error("the value cannot be written as JSON: {0}")]
    Unserialisable(String),
}

impl From<serde_json::Error> for CanonicalJsonError {
    fn from(error: serde_json::Error) -> Self {
        Self::Syntax(error.to_string())
    }
}

/// The canonical form of any JSON document.
///
/// Of duplicate keys the last one counts, as in the other implementations.
///
/// Cost: one scan per nesting level, so at most [`JSON_DEPTH_MAX`] × length; common events have three.
pub fn canonicalize(bytes: &[u8], strictness: Strictness) -> Result<String, CanonicalJsonError> {
    let text = std::str::from_utf8(bytes).map_err(|error| CanonicalJsonError::Syntax(error.to_string()))?;
    check_depth(text)?;
    let value: &RawValue = serde_json::from_str(text)?;
    let mut out = String::with_capacity(text.len());
    write_value(value.get(), strictness, &mut out)?;
    Ok(out)
}

/// As [`canonicalize`], and the document must be an object.
pub fn canonicalize_object(bytes: &[u8], strictness: Strictness) -> Result<String, CanonicalJsonError> {
    let canonical = canonicalize(bytes, strictness)?;
    if canonical.starts_with('{') { Ok(canonical) } else { Err(CanonicalJsonError::NotAnObject) }
}

/// Parses an object from outside (a request body, the content of an event) into a tree, strictly.
pub fn parse_object(bytes: &[u8]) -> Result<CanonicalJsonObject, CanonicalJsonError> {
    let canonical = canonicalize_object(bytes, Strictness::Strict)?;
    Ok(serde_json::from_str(&canonical)?)
}

/// The tree of a serialisable Rust value that is an object, such as one of ruma's content types.
pub fn to_object(value: &impl serde::Serialize) -> Result<CanonicalJsonObject, CanonicalJsonError> {
    let bytes =
        serde_json::to_vec(value).map_err(|error| CanonicalJsonError::Unserialisable(error.to_string()))?;
    parse_object(&bytes)
}

/// The canonical text of a tree.
pub fn to_string(object: &CanonicalJsonObject) -> Result<String, CanonicalJsonError> {
    serde_json::to_string(object).map_err(|error| CanonicalJsonError::Unserialisable(error.to_string()))
}

/// Refuses a document with more open brackets than the bound, in one pass and without recursion, so
/// that the recursive part below has a bound. Malformed documents may pass; the parser finds them.
fn check_depth(text: &str) -> Result<(), CanonicalJsonError> {
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > JSON_DEPTH_MAX {
            return Err(CanonicalJsonError::TooDeep);
        }
    }
    Ok(())
}

/// Appends the canonical form of one value. `raw` is valid JSON without surrounding white space.
fn write_value(raw: &str, strictness: Strictness, out: &mut String) -> Result<(), CanonicalJsonError> {
    match raw.as_bytes().first() {
        Some(b'{') => {
            let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
            out.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_string(key, out);
                out.push(':');
                write_value(value.get(), strictness, out)?;
            }
            out.push('}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(raw)?;
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_value(item.get(), strictness, out)?;
            }
            out.push(']');
        }
        // A string without escapes is already in its shortest form.
        Some(b'"') if !raw.contains('\\') => out.push_str(raw),
        Some(b'"') => write_string(&serde_json::from_str::<String>(raw)?, out),
        Some(b'-' | b'0'..=b'9') => number::write_number(raw, strictness, out)?,
        // `true`, `false` and `null` have one form each.
        _ => out.push_str(raw),
    }
    Ok(())
}

/// Appends a JSON string with its quotes, in the shortest form that the grammar allows.
pub(super) fn write_string(value: &str, out: &mut String) {
    out.push('"');
    let mut plain_from = 0;
    for (index, byte) in value.bytes().enumerate() {
        let escape = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            b'\t' => "\\t",
            b'\n' => "\\n",
            0x0C => "\\f",
            b'\r' => "\\r",
            0x00..=0x1F => "",
            _ => continue,
        };
        out.push_str(value.get(plain_from..index).unwrap_or_default());
        if escape.is_empty() {
            // Control characters without an escape of their own are below 0x20.
            out.push_str(if byte < 0x10 { "\\u000" } else { "\\u001" });
            out.extend(char::from_digit(u32::from(byte % 16), 16));
        } else {
            out.push_str(escape);
        }
        plain_from = index + 1;
    }
    out.push_str(value.get(plain_from..).unwrap_or_default());
    out.push('"');
}

#[cfg(test)]
mod tests;
