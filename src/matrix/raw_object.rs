//! One level of a JSON object, with the values left as text.
//!
//! Hashing, signing, redacting and formatting an event only add or remove members near the top; this
//! does so without building a tree. It never checks or changes the values. Main type: [`RawObject`].

use std::{borrow::Cow, collections::BTreeMap};

use serde_json::value::RawValue;

use super::canonical_json::write_string;

/// The members of an object, ordered by key, each value as its JSON text.
///
/// Built from canonical text, it writes canonical text, as long as inserted values are canonical.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawObject<'a>(BTreeMap<String, Cow<'a, str>>);

impl<'a> RawObject<'a> {
    /// Splits the text of an object.
    pub(crate) fn parse(json: &'a str) -> Result<Self, serde_json::Error> {
        let members: BTreeMap<String, &'a RawValue> = serde_json::from_str(json)?;
        Ok(Self(members.into_iter().map(|(key, value)| (key, Cow::Borrowed(value.get()))).collect()))
    }

    /// The JSON text of a member.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(Cow::as_ref)
    }

    /// Sets a member to a value that is JSON text already.
    pub(crate) fn insert(&mut self, key: &str, json: impl Into<Cow<'a, str>>) {
        self.0.insert(key.to_owned(), json.into());
    }

    /// Sets a member to a string.
    pub(crate) fn insert_string(&mut self, key: &str, value: &str) {
        let mut json = String::with_capacity(value.len() + 2);
        write_string(value, &mut json);
        self.insert(key, json);
    }

    /// Removes a member and returns its JSON text.
    pub(crate) fn remove(&mut self, key: &str) -> Option<Cow<'a, str>> {
        self.0.remove(key)
    }

    /// Keeps the members whose key satisfies the condition.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|key, _| keep(key));
    }

    /// The text of the whole object.
    pub(crate) fn to_json(&self) -> String {
        let length = self.0.iter().map(|(key, value)| key.len() + value.len() + 4).sum::<usize>() + 2;
        let mut out = String::with_capacity(length);
        out.push('{');
        for (index, (key, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_string(key, &mut out);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        out
    }
}
