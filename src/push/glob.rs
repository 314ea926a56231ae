//! Glob patterns of push rules (appendices, "Glob-style matching"; client-server API, "Conditions").
//!
//! A pattern is run as a bit-parallel automaton: one step a character, whatever the pattern, so that neither
//! a pattern nor a message can be made that takes long to match.

use super::limits;

/// A pattern, ready to match.
#[derive(Debug, Clone)]
pub struct Glob {
    elements: Elements,
}

#[derive(Debug, Clone)]
enum Elements {
    /// No wildcards: the text itself, in lower case.
    Literal(String),
    /// Wildcards: bit `n` of the automaton's state says that the first `n` elements have matched.
    Wildcards(Automaton),
    /// Longer than the automaton has bits, or than a literal may be: matches nothing.
    TooLong,
}

#[derive(Debug, Clone)]
struct Automaton {
    /// For each character of the pattern, the elements that are this character; sorted.
    literals: Vec<(char, u128)>,
    /// The elements that take any one character: `?`.
    any_one: u128,
    /// The elements that take any number: `*`.
    any_number: u128,
    /// The bit that says that all elements have matched.
    accept: u128,
}

impl Glob {
    /// A pattern; upper and lower case are the same.
    pub fn new(pattern: &str) -> Self {
        let pattern = pattern.to_lowercase();
        let elements = if !has_wildcards(&pattern) {
            literal(pattern)
        } else if is_longer(&pattern, limits::GLOB_CHARACTERS_MAX) {
            Elements::TooLong
        } else {
            Elements::Wildcards(Automaton::new(&pattern))
        };
        Self { elements }
    }

    /// A text without wildcards: each character stands for itself.
    pub fn literal(text: &str) -> Self {
        Self { elements: literal(text.to_lowercase()) }
    }

    /// True when the pattern has more characters than this matcher takes, so that it matches nothing.
    pub fn is_too_long(&self) -> bool {
        matches!(self.elements, Elements::TooLong)
    }

    /// True when the whole text matches.
    pub fn matches_whole(&self, text: &str) -> bool {
        match &self.elements {
            Elements::Literal(literal) => text.to_lowercase() == *literal,
            Elements::Wildcards(automaton) => automaton.matches_whole(&text.to_lowercase()),
            Elements::TooLong => false,
        }
    }

    /// True when a part of the text matches that starts and ends at a word boundary: the text's ends, or
    /// next to a character outside `[A-Za-z0-9_]`.
    pub fn matches_words(&self, text: &str) -> bool {
        match &self.elements {
            Elements::Literal(literal) => literal_in_words(literal, &text.to_lowercase()),
            Elements::Wildcards(automaton) => automaton.matches_words(&text.to_lowercase()),
            Elements::TooLong => false,
        }
    }
}

fn has_wildcards(pattern: &str) -> bool {
    pattern.contains(['*', '?'])
}

fn is_longer(pattern: &str, characters: usize) -> bool {
    pattern.chars().nth(characters).is_some()
}

fn literal(text: String) -> Elements {
    if is_longer(&text, limits::LITERAL_CHARACTERS_MAX) { Elements::TooLong } else { Elements::Literal(text) }
}

fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// True between two characters (or the text's ends) when one of them is not part of a word.
fn is_boundary(before: Option<char>, after: Option<char>) -> bool {
    !before.is_some_and(is_word) || !after.is_some_and(is_word)
}

fn literal_in_words(literal: &str, text: &str) -> bool {
    if literal.is_empty() {
        return false;
    }
    // Occurrences that overlap are all looked at: the search goes on one character further.
    let first_length = literal.chars().next().map_or(1, char::len_utf8);
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(literal)) {
        let (start, end) = (from + found, from + found + literal.len());
        let (before, inside, after) = (text.get(..start), text.get(start..end), text.get(end..));
        if let (Some(before), Some(inside), Some(after)) = (before, inside, after)
            && is_boundary(before.chars().next_back(), inside.chars().next())
            && is_boundary(inside.chars().next_back(), after.chars().next())
        {
            return true;
        }
        from = start + first_length;
    }
    false
}

impl Automaton {
    fn new(pattern: &str) -> Self {
        let mut automaton = Self { literals: Vec::new(), any_one: 0, any_number: 0, accept: 1 };
        let mut previous = None;
        for character in pattern.chars() {
            // Two stars say no more than one, and one step then passes them.
            if character == '*' && previous == Some('*') {
                continue;
            }
            previous = Some(character);
            let element = automaton.accept;
            match character {
                '*' => automaton.any_number |= element,
                '?' => automaton.any_one |= element,
                other => automaton.add_literal(other, element),
            }
            automaton.accept <<= 1;
        }
        automaton
    }

    fn add_literal(&mut self, character: char, element: u128) {
        match self.literals.binary_search_by_key(&character, |(known, _)| *known) {
            Ok(at) => {
                if let Some((_, elements)) = self.literals.get_mut(at) {
                    *elements |= element;
                }
            }
            Err(at) => self.literals.insert(at, (character, element)),
        }
    }

    /// The state before any character: nothing matched, and a leading star passed.
    fn start(&self) -> u128 {
        self.pass_stars(1)
    }

    fn pass_stars(&self, state: u128) -> u128 {
        state | ((state & self.any_number) << 1)
    }

    fn step(&self, state: u128, character: char) -> u128 {
        let literal = self.literals.binary_search_by_key(&character, |(known, _)| *known);
        let literal = literal.ok().and_then(|at| self.literals.get(at)).map_or(0, |(_, elements)| *elements);
        let moved = (state & (literal | self.any_one)) << 1;
        self.pass_stars(moved | (state & self.any_number))
    }

    fn matches_whole(&self, text: &str) -> bool {
        let end = text.chars().fold(self.start(), |state, character| self.step(state, character));
        end & self.accept != 0
    }

    fn matches_words(&self, text: &str) -> bool {
        let mut state = 0;
        let mut before = None;
        let mut rest = text.chars().peekable();
        loop {
            if is_boundary(before, rest.peek().copied()) {
                if state & self.accept != 0 {
                    return true;
                }
                state |= self.start();
            }
            let Some(character) = rest.next() else { break };
            state = self.step(state, character);
            before = Some(character);
        }
        state & self.accept != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_examples_of_the_specification_hold() {
        let lunch = Glob::new("lunc?*");
        assert!(["Lunch plans", "LUNCH"].iter().all(|text| lunch.matches_whole(text)));
        assert!([" lunch", "lunc"].iter().all(|text| !lunch.matches_whole(text)));
        let example = Glob::new("ex*ple");
        let bodies = ["An example event.", "exple", "An exciting triple-whammy"];
        assert!(bodies.iter().all(|body| example.matches_words(body)));
        assert!(!Glob::new("cake").matches_words("pancakes"));
        assert!(Glob::new("cake").matches_words("I like CAKE!"));
    }

    #[test]
    fn a_literal_name_is_not_a_pattern() {
        assert!(Glob::literal("a*b").matches_words("hello A*B!"));
        assert!(!Glob::literal("a*b").matches_words("hello axb!"));
        assert!(!Glob::literal("").matches_words(""), "an empty display name is in no message");
    }

    #[test]
    fn hostile_messages_are_matched_in_linear_time_and_little_stack() {
        let body = "xfoo ".repeat(13_000);
        assert!(!Glob::new("foo").matches_words(&body));
        assert!(!Glob::new("f*o*z").matches_words(&body));
        assert!(!Glob::new(&"*a".repeat(60)).matches_whole(&"b".repeat(60_000)));
        assert!(Glob::new(&"?".repeat(100_000)).is_too_long());
        assert!(
            Glob::new(&"a".repeat(30_000)).is_too_long(),
            "it would be compared with each place of a body"
        );
        assert!(Glob::new(&"a".repeat(512)).matches_words(&"a".repeat(512)));
    }

    proptest! {
        #[test]
        fn matching_is_what_a_naive_matcher_says(pattern in "[ab*?]{1,6}", text in "[ab ]{0,7}") {
            fn naive(pattern: &[u8], text: &[u8]) -> bool {
                match pattern.split_first() {
                    None => text.is_empty(),
                    Some((b'*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
                    Some((byte, rest)) => text
                        .first()
                        .is_some_and(|first| (first == byte || *byte == b'?') && naive(rest, &text[1..])),
                }
            }
            let (bytes, glob) = (text.as_bytes(), Glob::new(&pattern));
            prop_assert_eq!(glob.matches_whole(&text), naive(pattern.as_bytes(), bytes));
            let boundary = |at: usize| {
                let character = |at: Option<usize>| at.and_then(|at| bytes.get(at)).map(|&b| char::from(b));
                is_boundary(character(at.checked_sub(1)), character(Some(at)))
            };
            let expected = (0..=bytes.len()).filter(|&start| boundary(start)).any(|start| {
                (start..=bytes.len())
                    .filter(|&end| boundary(end))
                    .any(|end| naive(pattern.as_bytes(), &bytes[start..end]))
            });
            prop_assert_eq!(glob.matches_words(&text), expected);
        }
    }
}
