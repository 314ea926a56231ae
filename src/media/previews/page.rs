//! What a page says of itself: Open Graph, Twitter's names for the same, and plain HTML.

use std::collections::BTreeMap;

use html5gum::{DefaultEmitter, Token, Tokenizer};
use serde_json::{Map, Value};

use crate::media::limits;

/// The facts found in a page's head.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PageFacts {
    /// `og:` and `twitter:` properties, and `description`; the first of each.
    properties: BTreeMap<String, String>,
    title: String,
}

impl PageFacts {
    /// Reads the beginning of a page. Whatever the page, this ends, and nothing it finds is long.
    pub(super) fn read(page: &[u8], content_type: &str) -> Self {
        let text = decoded(page, content_type);
        let mut emitter = DefaultEmitter::default();
        emitter.naively_switch_states(true);
        let mut facts = Self::default();
        let mut in_title = false;
        for token in Tokenizer::new_with_emitter(text.as_str(), emitter) {
            let Ok(token) = token;
            match token {
                Token::StartTag(tag) => match &**tag.name {
                    b"meta" => {
                        let attribute = |wanted: &[u8]| {
                            let found = tag.attributes.iter().find(|(name, _)| ***name == *wanted);
                            found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
                        };
                        let name = attribute(b"property").or_else(|| attribute(b"name"));
                        facts.note(name, attribute(b"content"));
                    }
                    b"title" => in_title = facts.title.is_empty(),
                    b"body" => break,
                    _ => {}
                },
                Token::EndTag(tag) if &**tag.name == b"title" => in_title = false,
                Token::EndTag(tag) if &**tag.name == b"head" => break,
                Token::String(text) if in_title && facts.title.len() < limits::PREVIEW_TEXT_BYTES_MAX => {
                    facts.title.push_str(&String::from_utf8_lossy(&text));
                }
                _ => {}
            }
        }
        facts
    }

    fn note(&mut self, name: Option<String>, content: Option<String>) {
        let (Some(name), Some(content)) = (name, content) else { return };
        let name = name.trim().to_ascii_lowercase();
        let is_meant = name.starts_with("og:") || name.starts_with("twitter:") || name == "description";
        let has_room = self.properties.len() < limits::PREVIEW_PROPERTIES_MAX && name.len() <= 64;
        let content = shortened(&content);
        if is_meant && has_room && !content.is_empty() {
            self.properties.entry(name).or_insert(content);
        }
    }

    /// Where the page's image is, as the page writes it.
    pub(super) fn image(&self) -> Option<&str> {
        ["og:image:secure_url", "og:image", "og:image:url", "twitter:image", "twitter:image:src"]
            .into_iter()
            .find_map(|name| self.properties.get(name))
            .map(String::as_str)
    }

    /// The preview, with what other names say where there is no `og:` one.
    pub(super) fn into_preview(self) -> Map<String, Value> {
        let first = |names: &[&str]| names.iter().find_map(|name| self.properties.get(*name)).cloned();
        let title = first(&["og:title", "twitter:title"]).unwrap_or_else(|| shortened(&self.title));
        let description = first(&["og:description", "twitter:description", "description"]);
        let site = first(&["og:site_name", "twitter:site"]);
        let mut preview: Map<String, Value> = self
            .properties
            .into_iter()
            .filter(|(name, _)| name.starts_with("og:"))
            .map(|(name, content)| (name, Value::from(content)))
            .collect();
        let others = [("og:title", Some(title)), ("og:description", description), ("og:site_name", site)];
        for (name, text) in others {
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                preview.insert(name.to_owned(), Value::from(text));
            }
        }
        preview
    }
}

/// A text in one line, cut to a length.
fn shortened(text: &str) -> String {
    let mut short = String::new();
    for word in text.split_whitespace() {
        if short.len() + word.len() > limits::PREVIEW_TEXT_BYTES_MAX {
            break;
        }
        if !short.is_empty() {
            short.push(' ');
        }
        short.push_str(word);
    }
    short
}

/// The page as text. Pages that are not UTF-8 say so, and are of one of the Latin sets, mostly.
fn decoded(page: &[u8], content_type: &str) -> String {
    let says = |bytes: &str| {
        let bytes = bytes.to_ascii_lowercase();
        ["iso-8859-1", "windows-1252", "latin1"].iter().any(|charset| bytes.contains(charset))
    };
    let start = String::from_utf8_lossy(page.get(..page.len().min(1_024)).unwrap_or_default());
    let is_utf8 = std::str::from_utf8(page).is_ok();
    if !is_utf8 && (says(content_type) || says(&start)) {
        return page.iter().map(|byte| char::from(*byte)).collect();
    }
    String::from_utf8_lossy(page).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn preview(page: &str) -> Value {
        Value::Object(PageFacts::read(page.as_bytes(), "text/html").into_preview())
    }

    #[test]
    fn open_graph_comes_first_then_twitter_then_html() {
        let page = r#"<html><head><title>Plain
            &amp; simple</title><meta name="description" content="plain"/>
            <meta property="og:title" content="Open"><META PROPERTY=og:title CONTENT=second>
            <meta name="twitter:description" content="bird"></head>
            <body><meta property="og:url" content="late"></body>"#;
        assert_eq!(preview(page), json!({"og:title": "Open", "og:description": "bird"}));
        let plain = "<title>Plain\n &amp; simple</title><meta name=description content=text>";
        assert_eq!(preview(plain), json!({"og:title": "Plain & simple", "og:description": "text"}));
        assert_eq!(preview("no page at all"), json!({}));
        assert_eq!(
            preview("<script>var x = '<title>no</title>'</script><title>yes</title>"),
            json!({"og:title": "yes"})
        );
    }

    #[test]
    fn latin_pages_are_read_if_they_say_so() {
        let page = b"<title>caf\xe9</title>";
        let read = |content_type| PageFacts::read(page, content_type).title;
        assert_eq!(read("text/html; charset=ISO-8859-1"), "caf\u{e9}");
        assert_eq!(read("text/html"), "caf\u{fffd}");
    }

    #[test]
    fn nothing_is_long() {
        let page = format!("<title>{}</title>{}", "word ".repeat(10_000), {
            (0..1_000).map(|n| format!("<meta property=og:{n} content=x>")).collect::<Vec<_>>().concat()
        });
        let found = preview(&page);
        assert!(found["og:title"].as_str().unwrap().len() <= limits::PREVIEW_TEXT_BYTES_MAX);
        assert!(found.as_object().unwrap().len() <= limits::PREVIEW_PROPERTIES_MAX + 3);
    }

    proptest! {
        #[test]
        fn any_page_is_read(page: Vec<u8>, text in "[<>/a-z\"'= !-]{0,200}") {
            let _ = PageFacts::read(&page, "text/html");
            let _ = PageFacts::read(text.as_bytes(), "text/html");
        }
    }
}
