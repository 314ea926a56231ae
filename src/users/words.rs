//! Texts as they are compared when people search: without case and accents, cut into words.
//!
//! Both who writes an index and who asks it cut their texts here, so that the two agree. Scripts that put no
//! spaces between words ([`Script::Unspaced`]) come out as whole runs, which each index cuts further in its own
//! way. Pure. Main function: [`words`].

use icu_normalizer::DecomposingNormalizerBorrowed;

/// How a script tells where a word ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Script {
    /// By spaces and punctuation.
    Spaced,
    /// Not at all: Chinese, Japanese, Thai and their like. Korean counts as one of them, since its words carry
    /// their particles.
    Unspaced,
}

/// A run of letters and digits, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// The folded text; never empty.
    pub text: String,
    /// Of which kind of script it is.
    pub script: Script,
}

/// A text without case, accents and compatibility forms: what differs only in those is equal afterwards.
pub fn fold(text: &str) -> String {
    let normalizer = DecomposingNormalizerBorrowed::new_nfkd();
    let mut folded = String::with_capacity(text.len());
    let lower = text.chars().flat_map(char::to_lowercase);
    for c in normalizer.normalize_iter(lower) {
        match c {
            c if is_accent(c) => {}
            // Letters that Unicode does not take apart, though people who lack them on their keyboard do.
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'đ' => folded.push('d'),
            'ł' => folded.push('l'),
            'ı' => folded.push('i'),
            // Katakana and hiragana write the same syllables.
            'ァ'..='ヶ' => folded.push(char::from_u32(u32::from(c) - 0x60).unwrap_or(c)),
            // A capital letter's compatibility form comes out as a capital.
            c => folded.extend(c.to_lowercase()),
        }
    }
    folded
}

/// The words of a text, in their order.
pub fn words(text: &str) -> Vec<Word> {
    let folded = fold(text);
    let mut words: Vec<Word> = Vec::new();
    let mut is_open = false;
    for c in folded.chars() {
        if !c.is_alphanumeric() {
            // An apostrophe within a word, as in "don't", does not end it.
            is_open = is_open && matches!(c, '\'' | '’' | '\u{200c}' | '\u{200d}');
            continue;
        }
        let script = script_of(c);
        match words.last_mut().filter(|word| is_open && word.script == script) {
            Some(word) => word.text.push(c),
            None => words.push(Word { text: c.to_string(), script }),
        }
        is_open = true;
    }
    words
}

/// A word cut to a number of bytes, at a character.
pub fn cut(word: &str, bytes_max: usize) -> &str {
    let mut end = word.len().min(bytes_max);
    while !word.is_char_boundary(end) {
        end -= 1;
    }
    word.get(..end).unwrap_or_default()
}

/// Marks that stand on the letter before them, and what tells emoji from text.
const fn is_accent(c: char) -> bool {
    matches!(
        c,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{fe20}'..='\u{fe2f}' | '\u{3099}' | '\u{309a}'
    )
}

const fn script_of(c: char) -> Script {
    match c {
        // Thai, Lao, Myanmar, Hangul (also as NFKD takes it apart), Khmer, kana, bopomofo, Han.
        '\u{e00}'..='\u{eff}'
        | '\u{1000}'..='\u{109f}'
        | '\u{1100}'..='\u{11ff}'
        | '\u{1780}'..='\u{17ff}'
        | '\u{3005}'..='\u{9fff}'
        | '\u{a960}'..='\u{a97f}'
        | '\u{ac00}'..='\u{d7ff}'
        | '\u{f900}'..='\u{faff}'
        | '\u{20000}'..='\u{3ffff}' => Script::Unspaced,
        _ => Script::Spaced,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<String> {
        words(text).into_iter().map(|word| word.text).collect()
    }

    #[test]
    fn case_accents_and_forms_are_folded() {
        for (text, folded) in [
            ("Ångström", "angstrom"),
            ("ÉCOLE", "ecole"),
            ("İstanbul ısı", "istanbul isi"),
            ("Straße Łódź Ærø", "strasse lodz aero"),
            ("ＦＵＬＬ ①", "full 1"),
            ("Ἀθῆναι", "αθηναι"),
            ("Ёлка", "елка"),
            ("カタカナ", "かたかな"),
        ] {
            assert_eq!(fold(text), folded);
        }
    }

    #[test]
    fn words_end_at_spaces_punctuation_and_scripts() {
        assert_eq!(texts("Hello, wörld! (it's 3.5)"), ["hello", "world", "its", "3", "5"]);
        assert_eq!(texts("user-1_alice"), ["user", "1", "alice"]);
        assert_eq!(texts("東京tower"), ["東京", "tower"]);
        assert_eq!(texts("…!?"), Vec::<String>::new());
        assert_eq!(words("東京")[0].script, Script::Unspaced);
    }

    #[test]
    fn cutting_never_splits_a_character() {
        assert_eq!(cut("aé", 2), "a");
        assert_eq!(cut("aé", 3), "aé");
    }

    proptest! {
        #[test]
        fn folding_twice_changes_nothing(text: String) {
            let once = fold(&text);
            prop_assert_eq!(fold(&once), once.clone());
        }

        #[test]
        fn words_are_never_empty(text: String) {
            prop_assert!(words(&text).iter().all(|word| !word.text.is_empty()));
        }
    }
}
