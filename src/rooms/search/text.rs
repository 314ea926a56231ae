//! What events are found by: the text of a message as it was edited last, a room's name, a room's topic; and the
//! terms that stand for a text in the index. Pure.

use std::collections::BTreeSet;

use icu_normalizer::ComposingNormalizerBorrowed;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    matrix::event::Event,
    rooms::limits,
    users::words::{Script, Word, cut, words},
};

/// The keys of events that can be searched, as the specification names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SearchKey {
    /// `content.body` of `m.room.message`.
    Body,
    /// `content.name` of `m.room.name`.
    Name,
    /// `content.topic` of `m.room.topic`, and the plain texts of its `m.topic`.
    Topic,
}

impl SearchKey {
    /// The key under which events of a type are found.
    pub fn of_type(event_type: &str) -> Option<Self> {
        match event_type {
            "m.room.message" => Some(Self::Body),
            "m.room.name" => Some(Self::Name),
            "m.room.topic" => Some(Self::Topic),
            _ => None,
        }
    }
}

/// What is read of an event's text as it is stored.
#[derive(Debug, Deserialize)]
pub(super) struct StoredText {
    #[serde(rename = "type")]
    pub(super) event_type: String,
    pub(super) sender: String,
    state_key: Option<String>,
    content: Content,
}

/// Values of other types count as absent.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Content {
    body: Value,
    name: Value,
    topic: Value,
    #[serde(rename = "m.topic")]
    plain_topic: Value,
    #[serde(rename = "m.new_content")]
    new_content: Value,
}

impl StoredText {
    pub(super) fn parse(json: &[u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The event's own text.
    pub(super) fn own(&self) -> Option<String> {
        let key = SearchKey::of_type(&self.event_type)?;
        // A message is no state, and a name that is none says nothing of the room.
        if (key == SearchKey::Body) == self.state_key.is_some() {
            return None;
        }
        match key {
            SearchKey::Body => self.content.body.as_str().map(str::to_owned),
            SearchKey::Name => self.content.name.as_str().map(str::to_owned),
            SearchKey::Topic => {
                let texts =
                    self.content.topic.as_str().into_iter().chain(plain_texts(&self.content.plain_topic));
                let texts: BTreeSet<&str> = texts.collect();
                (!texts.is_empty()).then(|| texts.into_iter().collect::<Vec<_>>().join("\n"))
            }
        }
    }

    /// The text that the event gives to the one that it replaces.
    pub(super) fn replacement(&self) -> Option<String> {
        self.content.new_content.get("body")?.as_str().map(str::to_owned)
    }
}

/// The texts of an `m.topic` that are plain ("If the mimetype is omitted, it is text/plain").
fn plain_texts(topic: &Value) -> impl Iterator<Item = &str> {
    let forms = topic.get("m.text").and_then(Value::as_array).into_iter().flatten();
    forms
        .filter(|form| form.get("mimetype").is_none_or(|kind| kind == "text/plain"))
        .filter_map(|form| form.get("body")?.as_str())
}

/// The event's own text.
pub(super) fn own_text(event: &Event) -> Option<String> {
    StoredText::parse(event.json().as_bytes())?.own()
}

/// The terms of a text, at most [`limits::SEARCH_TERMS_PER_EVENT_MAX`]: each word of a script with spaces, and of
/// the others each two characters that follow each other, with the last one alone.
pub(super) fn terms(text: &str) -> BTreeSet<String> {
    let mut terms = BTreeSet::new();
    for word in words(text) {
        let bounded = terms.len() < limits::SEARCH_TERMS_PER_EVENT_MAX;
        match word.script {
            _ if !bounded => return terms,
            Script::Spaced => {
                terms.insert(cut(&word.text, limits::SEARCH_TERM_BYTES_MAX).to_owned());
            }
            Script::Unspaced => {
                let run = composed(&word);
                let left = limits::SEARCH_TERMS_PER_EVENT_MAX - terms.len();
                terms.extend(pairs(&run).take(left).map(str::to_owned));
                terms.extend(run.chars().last().map(String::from));
            }
        }
    }
    terms
}

/// A run of a script without spaces as it is indexed: Hangul by syllables.
pub(super) fn composed(word: &Word) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(&word.text).into_owned()
}

/// Each two characters that follow each other.
pub(super) fn pairs(run: &str) -> impl Iterator<Item = &str> {
    let starts = run.char_indices().map(|(start, _)| start);
    let ends = run.char_indices().map(|(end, _)| end).skip(2).chain([run.len()]);
    let is_pair = run.chars().nth(1).is_some();
    starts.zip(ends).filter(move |_| is_pair).filter_map(|(start, end)| run.get(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn own(json: &serde_json::Value) -> Option<String> {
        StoredText::parse(json.to_string().as_bytes())?.own()
    }

    #[test]
    fn messages_names_and_topics_have_texts() {
        use serde_json::json;
        let event = |event_type: &str, state_key: Option<&str>, content: serde_json::Value| {
            let mut event = json!({ "type": event_type, "sender": "@a:b", "content": content });
            if let Some(key) = state_key {
                event["state_key"] = key.into();
            }
            own(&event)
        };
        assert_eq!(event("m.room.message", None, json!({"body": "a"})).as_deref(), Some("a"));
        assert_eq!(event("m.room.name", Some(""), json!({"name": "b"})).as_deref(), Some("b"));
        let topic = json!({"topic": "c", "m.topic": {"m.text": [
            {"body": "c"}, {"body": "d", "mimetype": "text/plain"}, {"body": "<e>", "mimetype": "text/html"}]}});
        assert_eq!(event("m.room.topic", Some(""), topic).as_deref(), Some("c\nd"));
        assert_eq!(event("m.room.message", Some(""), json!({"body": "a"})), None);
        assert_eq!(event("m.room.name", None, json!({"name": "b"})), None);
        assert_eq!(event("m.room.message", None, json!({"body": {"a": 1}})), None);
        assert_eq!(event("m.room.topic", Some(""), json!({"m.topic": {"m.text": 7}})), None);
        assert_eq!(event("m.room.encrypted", None, json!({"body": "a"})), None);
    }

    #[test]
    fn scripts_without_spaces_have_pairs() {
        let found: Vec<_> = terms("東京都 Tower").into_iter().collect();
        assert_eq!(found, ["tower", "京都", "東京", "都"]);
        assert_eq!(terms("字").into_iter().collect::<Vec<_>>(), ["字"]);
        assert_eq!(terms("한국어").into_iter().collect::<Vec<_>>(), ["국어", "어", "한국"]);
    }

    proptest! {
        #[test]
        fn any_text_has_few_short_terms(text in "\\PC{0,2000}") {
            let terms = terms(&text);
            prop_assert!(terms.len() <= limits::SEARCH_TERMS_PER_EVENT_MAX + 1);
            prop_assert!(terms.iter().all(|term| !term.is_empty() && term.len() <= limits::SEARCH_TERM_BYTES_MAX));
        }
    }
}
