//! Content types and file names: what is kept of them, and how media is shown (client-server API, "Serving
//! inline content").

use ruma::http_headers::{ContentDisposition, ContentDispositionType};

use super::limits;

/// The content type of media of which none is known.
pub const UNKNOWN: &str = "application/octet-stream";

/// The types that no browser runs as a program: the list of the specification.
const INLINE: &[&str] = &[
    "application/json",
    "application/ld+json",
    "audio/aac",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/wave",
    "audio/webm",
    "audio/x-flac",
    "audio/x-pn-wav",
    "audio/x-wav",
    "image/apng",
    "image/avif",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/css",
    "text/csv",
    "text/plain",
    "video/mp4",
    "video/ogg",
    "video/quicktime",
    "video/webm",
];

/// A content type that is kept: one that can stand in a header.
pub fn kept(content_type: String) -> Option<String> {
    let is_header_text = content_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let fits = !content_type.trim().is_empty() && content_type.len() <= limits::CONTENT_TYPE_BYTES_MAX;
    (fits && is_header_text).then_some(content_type)
}

/// A file name that is kept: one without control characters, cut to a length.
pub fn kept_filename(filename: String) -> Option<String> {
    let mut kept = String::with_capacity(filename.len().min(limits::FILENAME_BYTES_MAX));
    for character in filename.chars().filter(|character| !character.is_control()) {
        if kept.len() + character.len_utf8() > limits::FILENAME_BYTES_MAX {
            break;
        }
        kept.push(character);
    }
    (!kept.is_empty()).then_some(kept)
}

/// The type without its parameters, in lower case.
pub fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// How media of a type is served: shown within the client if its type is safe, offered to be saved otherwise.
pub fn disposition(content_type: &str, filename: Option<String>) -> ContentDisposition {
    let kind = if INLINE.contains(&essence(content_type).as_str()) {
        ContentDispositionType::Inline
    } else {
        ContentDispositionType::Attachment
    };
    ContentDisposition::new(kind).with_filename(filename)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_safe_types_are_shown_inline() {
        let shown = |content_type: &str| disposition(content_type, None).to_string();
        for safe in ["image/png", "Text/Plain; charset=utf-8", " video/mp4 ;x"] {
            assert_eq!(shown(safe), "inline", "{safe}");
        }
        for unsafe_type in ["text/html", "image/svg+xml", "image/svg", "", "application/pdf", "image/png/x"] {
            assert_eq!(shown(unsafe_type), "attachment", "{unsafe_type}");
        }
    }

    #[test]
    fn what_breaks_a_header_is_not_kept() {
        assert_eq!(kept("text/plain\r\nX: y".to_owned()), None);
        assert_eq!(kept("a".repeat(256)), None);
        assert_eq!(kept("image/png".to_owned()).as_deref(), Some("image/png"));
        assert_eq!(kept_filename("a\r\nb\0.png".to_owned()).as_deref(), Some("ab.png"));
        assert_eq!(kept_filename("ü".repeat(200)).map(|name| name.len()), Some(254));
        assert_eq!(kept_filename("\n".to_owned()), None);
    }

    proptest! {
        #[test]
        fn every_kept_file_name_comes_back_from_its_header(name in ".{1,80}", content_type in ".{0,20}") {
            let Some(name) = kept_filename(name) else { return Ok(()) };
            let header = disposition(&content_type, Some(name.clone())).to_string();
            prop_assert!(http::HeaderValue::from_str(&header).is_ok(), "{header:?}");
            let parsed: ContentDisposition = header.parse().unwrap();
            prop_assert_eq!(parsed.filename, Some(name));
        }
    }
}
