//! What somebody searches for, and how well a text fits. Pure. Main type: [`Query`].

use super::text::{composed, pairs};
use crate::{
    rooms::limits,
    users::words::{Script, Word, cut, words},
};

/// A search term, cut up: all words must be in a text, in any order; those between quotation marks one after the
/// other.
#[derive(Debug)]
pub(super) struct Query {
    words: Vec<QueryWord>,
    phrases: Vec<Vec<String>>,
}

/// A word that must be in a text.
#[derive(Debug)]
struct QueryWord {
    text: String,
    script: Script,
}

/// What is looked up in the index for a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lookup {
    /// A term.
    Whole(String),
    /// Terms that start like this.
    Prefix(String),
}

impl Query {
    pub(super) fn parse(term: &str) -> Self {
        let mut query = Self { words: Vec::new(), phrases: Vec::new() };
        for (number, part) in term.split(['"', '“', '”']).enumerate() {
            let left = limits::SEARCH_QUERY_WORDS_MAX - query.words.len();
            let found: Vec<Word> = words(part).into_iter().take(left).collect();
            if number % 2 == 1 && found.len() > 1 {
                query.phrases.push(found.iter().map(|word| word.text.clone()).collect());
            }
            query
                .words
                .extend(found.into_iter().map(|word| QueryWord { text: word.text, script: word.script }));
        }
        query
    }

    /// What must be in the index for an event to fit; empty for a term without words, which finds nothing.
    pub(super) fn lookups(&self) -> Vec<Lookup> {
        let mut lookups = Vec::new();
        for word in &self.words {
            match word.script {
                Script::Spaced => {
                    let term = cut(&word.text, limits::SEARCH_TERM_BYTES_MAX).to_owned();
                    lookups.push(if word.is_whole() { Lookup::Whole(term) } else { Lookup::Prefix(term) });
                }
                Script::Unspaced => {
                    let run = composed(&Word { text: word.text.clone(), script: word.script });
                    if run.chars().nth(1).is_none() {
                        lookups.push(Lookup::Prefix(run));
                    } else {
                        lookups.extend(pairs(&run).map(|pair| Lookup::Whole(pair.to_owned())));
                    }
                }
            }
        }
        lookups.truncate(limits::SEARCH_LOOKUPS_MAX);
        lookups
    }

    /// How well a text fits: greater is better; `None` if it does not.
    ///
    /// Words that are met as they are count more than beginnings of longer ones, often is better than once, though
    /// not in proportion; short texts and words in the order asked for are better.
    pub(super) fn rank(&self, text: &str) -> Option<f64> {
        let held = words(text);
        let mut rank = 0.0;
        for word in &self.words {
            let (exact, longer) = word.count(&held);
            if exact + longer == 0 {
                return None;
            }
            let often = f64::from(exact) + f64::from(longer) * LONGER_WORD_WEIGHT;
            rank += often / (often + 1.0);
        }
        let texts: Vec<&str> = held.iter().map(|word| word.text.as_str()).collect();
        if !self.phrases.iter().all(|phrase| holds_in_order(&texts, phrase.iter().map(String::as_str))) {
            return None;
        }
        if self.words.len() > 1 && holds_in_order(&texts, self.words.iter().map(|word| word.text.as_str())) {
            rank *= IN_ORDER_FACTOR;
        }
        let length = f64::from(u32::try_from(held.len()).unwrap_or(u32::MAX));
        Some(rank / (1.0 + (1.0 + length / TYPICAL_WORDS).ln()))
    }

    /// The words of a text as it is written that fit, for clients to mark.
    pub(super) fn marked(&self, text: &str) -> Vec<String> {
        let mut marked = Vec::new();
        for part in text.split(|c: char| !is_in_word(c)).filter(|part| !part.is_empty()) {
            for held in words(part) {
                for word in self.words.iter().filter(|word| word.fits(&held)) {
                    let shown = if word.script == Script::Spaced { part } else { word.text.as_str() };
                    marked.push(shown.trim_matches(['\'', '’']).to_lowercase());
                }
            }
        }
        marked
    }
}

/// What a word that goes on after what was searched counts, of one that does not.
const LONGER_WORD_WEIGHT: f64 = 0.5;

/// How much better a text is that has the words in the order asked for.
const IN_ORDER_FACTOR: f64 = 1.5;

/// A text's length in words up to which its length matters little.
const TYPICAL_WORDS: f64 = 20.0;

impl QueryWord {
    /// Whether nothing but the word itself fits: what starts with one or two letters is nearly everything.
    fn is_whole(&self) -> bool {
        self.script == Script::Spaced && self.text.chars().nth(2).is_none()
    }

    fn fits(&self, held: &Word) -> bool {
        if self.script != held.script {
            return false;
        }
        match self.script {
            Script::Spaced if self.is_whole() => held.text == self.text,
            Script::Spaced => held.text.starts_with(&self.text),
            Script::Unspaced => held.text.contains(&self.text),
        }
    }

    /// How often it is in a text as it is, and as a part of something longer.
    fn count(&self, held: &[Word]) -> (u32, u32) {
        let (mut exact, mut longer) = (0, 0);
        for held in held.iter().filter(|held| self.fits(held)) {
            if held.text == self.text || self.script == Script::Unspaced { exact += 1 } else { longer += 1 }
        }
        (exact, longer)
    }
}

/// Whether the words follow each other somewhere; the last may go on.
fn holds_in_order<'q>(texts: &[&str], wanted: impl Iterator<Item = &'q str>) -> bool {
    let wanted: Vec<&str> = wanted.collect();
    let Some((last, first)) = wanted.split_last() else { return true };
    texts
        .windows(wanted.len())
        .any(|window| window.split_last().is_some_and(|(end, start)| start == first && end.starts_with(last)))
}

/// What may be inside of a word as people write it.
fn is_in_word(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '\'' | '’' | '\u{200c}' | '\u{200d}' | '\u{300}'..='\u{36f}' | '\u{3099}' | '\u{309a}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fits(term: &str, text: &str) -> bool {
        Query::parse(term).rank(text).is_some()
    }

    #[test]
    fn all_words_must_be_there_in_any_order() {
        assert!(fits("world hello", "Hello, wörld!"));
        assert!(fits("meet", "We are meeting today"), "a word may go on");
        assert!(!fits("hello mars", "Hello, world!"));
        assert!(!fits("4", "Message 14"), "short words are met whole");
        assert!(fits("4", "Message 4"));
        assert!(fits("東京", "私は東京に住む"));
        assert!(fits("국어", "한국어를"));
        assert!(!fits("京東", "私は東京に住む"));
    }

    #[test]
    fn words_in_quotation_marks_follow_each_other() {
        assert!(fits("\"red apple\"", "a red apple pie"));
        assert!(!fits("\"red apple\"", "an apple, red"));
        assert!(fits("red apple", "an apple, red"));
        assert!(fits("pie \"red app", "pie: red apple"), "an open quotation counts as closed");
    }

    #[test]
    fn better_texts_rank_higher() {
        let query = Query::parse("red apple");
        let rank = |text: &str| query.rank(text).unwrap();
        assert!(rank("red apple") > rank("apple red"));
        assert!(rank("apple red") > rank(&format!("apple red {}", "word ".repeat(100))));
        assert!(rank("apple red red") > rank("apple red x"));
        assert!(Query::parse("meet").rank("meet").unwrap() > Query::parse("meet").rank("meeting").unwrap());
    }

    #[test]
    fn what_is_looked_up() {
        assert_eq!(
            Query::parse("Ab Wörld 東京都 字").lookups(),
            [
                Lookup::Whole("ab".into()),
                Lookup::Prefix("world".into()),
                Lookup::Whole("東京".into()),
                Lookup::Whole("京都".into()),
                Lookup::Prefix("字".into()),
            ]
        );
        assert!(Query::parse(" … \"\" ").lookups().is_empty());
    }

    #[test]
    fn words_are_marked_as_they_are_written() {
        let query = Query::parse("zoe meet 東京");
        assert_eq!(query.marked("Zoë's meetings in 東京タワー; 'zoe'"), ["zoë's", "meetings", "東京", "zoe"]);
    }

    proptest! {
        #[test]
        fn a_text_fits_itself_and_ranks_are_numbers(text in "\\PC{0,60}") {
            let query = Query::parse(&text.replace(['"', '“', '”'], " "));
            let rank = query.rank(&text);
            if query.words.len() < limits::SEARCH_QUERY_WORDS_MAX && !query.words.is_empty() {
                prop_assert!(rank.is_some_and(|rank| rank.is_finite() && rank > 0.0), "{rank:?}");
            }
            let terms = super::super::text::terms(&text);
            for lookup in query.lookups() {
                match lookup {
                    Lookup::Whole(term) => prop_assert!(terms.contains(&term), "{term}"),
                    Lookup::Prefix(start) => {
                        prop_assert!(terms.iter().any(|term| term.starts_with(&start)), "{start}");
                    }
                }
            }
        }
    }
}
