//! Properties of JSON by dot-separated path (appendices, "Dot-separated property paths").

use serde_json::Value;

/// The value at `path`, if there is one. A backslash before a dot or a backslash makes it part of a name.
pub fn property<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    segments(path).iter().try_fold(value, |value, segment| value.as_object()?.get(segment))
}

/// The names in a path.
pub fn segments(path: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut characters = path.chars().peekable();
    while let Some(character) = characters.next() {
        let literal = match character {
            '.' => {
                segments.push(String::new());
                continue;
            }
            '\\' => characters.next_if(|next| matches!(next, '.' | '\\')).unwrap_or('\\'),
            other => other,
        };
        if let Some(segment) = segments.last_mut() {
            segment.push(literal);
        }
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn paths_follow_the_appendix() {
        assert_eq!(segments(r"content.m\.relates_to.event_id"), ["content", "m.relates_to", "event_id"]);
        assert_eq!(segments(r"a\\.b\x"), ["a\\", r"b\x"]);
    }

    #[test]
    fn names_with_dots_are_escaped() {
        let value = json!({"m.relates_to": {"rel_type": "m.replace"}, "a": {"b\\c": 1}});
        assert_eq!(property(&value, r"m\.relates_to.rel_type"), Some(&json!("m.replace")));
        assert_eq!(property(&value, r"a.b\\c"), Some(&json!(1)));
        assert_eq!(property(&value, r"a.b\c"), Some(&json!(1)), "a lone backslash is itself");
        assert_eq!(property(&value, "m.relates_to"), None);
        assert_eq!(property(&value, "a.b.c"), None);
    }
}
