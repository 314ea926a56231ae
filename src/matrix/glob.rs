//! Patterns in which `*` stands for any characters, and where one wants it `?` for a single one ([glob-style
//! matching]). Pure. Main function: [`matches`].
//!
//! [glob-style matching]: https://spec.matrix.org/v1.19/appendices/#glob-style-matching

/// What stands for something else in a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wildcards {
    /// `*` alone.
    Star,
    /// `*`, and `?` for one character.
    StarAndOne,
}

/// Whether all of a text fits a pattern. Goes back no further than to the last `*`, so a pattern of many stars stays
/// quadratic.
pub fn matches(pattern: &str, text: &str, wildcards: Wildcards) -> bool {
    let (mut p, mut t) = (pattern, text);
    // What comes after the last star, and the text that the star does not take.
    let mut star: Option<(&str, &str)> = None;
    while let Some(c) = t.chars().next() {
        match p.chars().next() {
            Some('*') => {
                p = rest(p);
                star = Some((p, t));
            }
            Some(wanted) if wanted == c || (wanted == '?' && wildcards == Wildcards::StarAndOne) => {
                p = rest(p);
                t = rest(t);
            }
            _ => {
                let Some((after, taken)) = star else { return false };
                p = after;
                t = rest(taken);
                star = Some((after, t));
            }
        }
    }
    p.chars().all(|c| c == '*')
}

/// A text without its first character.
fn rest(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        let matches = |pattern: &str, text: &str| matches(pattern, text, Wildcards::Star);
        assert!(matches("m.room.*", "m.room.message"));
        assert!(matches("*", ""));
        assert!(matches("m.*.mess*e", "m.room.message"));
        assert!(matches("*a*b", "aab"));
        assert!(!matches("m.room.*", "m.roommessage"));
        assert!(!matches("m.room", "m.room.message"));
        assert!(!matches("", "m"));
        assert!(!matches("a*", ""));
        assert!(!matches("a?c", "abc"), "a question mark is one");
    }

    #[test]
    fn question_marks_stand_for_one_character() {
        let matches = |pattern: &str, text: &str| matches(pattern, text, Wildcards::StarAndOne);
        assert!(matches("@?*:example.org", "@ä:example.org"));
        assert!(!matches("@?*:example.org", "@:example.org"));
        assert!(!matches("a?", "a"));
        assert!(matches("?*?", "ab"));
    }
}
