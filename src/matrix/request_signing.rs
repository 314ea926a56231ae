//! The text that a request between servers is signed over ([specification]), and the header that carries the
//! signature.
//!
//! [specification]: https://spec.matrix.org/v1.19/server-server-api/#request-authentication

use ruma::ServerName;

use super::{
    canonical_json::{CanonicalJsonError, Strictness, canonicalize},
    signing::SigningKey,
};

/// A request between servers, as far as its signature covers it.
#[derive(Debug, Clone, Copy)]
pub struct SignedParts<'a> {
    /// The HTTP method, in capitals.
    pub method: &'a str,
    /// Path and query, exactly as they are sent.
    pub uri: &'a str,
    /// The server that asks.
    pub origin: &'a ServerName,
    /// The server that is asked, by its name before delegation.
    pub destination: &'a ServerName,
    /// The body, JSON; empty where there is none.
    pub body: &'a [u8],
}

impl SignedParts<'_> {
    /// The canonical JSON to be signed. Numbers in the body may be what old rooms' events hold.
    pub fn text(&self) -> Result<String, CanonicalJsonError> {
        let mut text = String::with_capacity(self.body.len() + 256);
        text.push('{');
        if !self.body.is_empty() {
            text.push_str("\"content\":");
            text.push_str(&canonicalize(self.body, Strictness::Lenient)?);
            text.push(',');
        }
        for (key, value) in [
            ("destination", self.destination.as_str()),
            ("method", self.method),
            ("origin", self.origin.as_str()),
            ("uri", self.uri),
        ] {
            if key != "destination" {
                text.push(',');
            }
            text.extend(["\"", key, "\":"]);
            // A string's JSON is canonical: serde_json escapes what must be and nothing else.
            text.push_str(&serde_json::to_string(value)?);
        }
        text.push('}');
        Ok(text)
    }

    /// The `Authorization` header with this server's signature.
    pub fn authorization(&self, key: &SigningKey) -> Result<String, CanonicalJsonError> {
        let signature = key.sign(self.text()?.as_bytes());
        // All values in quotes, in the order of the specification's example: old servers parse loosely.
        Ok(format!(
            "X-Matrix origin=\"{}\",destination=\"{}\",key=\"{}\",sig=\"{signature}\"",
            self.origin,
            self.destination,
            key.key_id(),
        ))
    }
}

#[cfg(test)]
mod tests {
    use ruma::{api::federation::authentication::XMatrix, server_name};

    use super::*;

    fn parts(body: &[u8]) -> SignedParts<'_> {
        SignedParts {
            method: "PUT",
            uri: "/_matrix/federation/v1/send/1?a=%2F\"",
            origin: server_name!("a.test:8448"),
            destination: server_name!("b.test"),
            body,
        }
    }

    #[test]
    fn the_text_is_canonical() {
        assert_eq!(
            parts(br#"{ "b": 1, "a": [1.5] }"#).text().unwrap(),
            r#"{"content":{"a":[1.5],"b":1},"destination":"b.test","method":"PUT","origin":"a.test:8448","uri":"/_matrix/federation/v1/send/1?a=%2F\""}"#
        );
        assert!(parts(b"").text().unwrap().starts_with(r#"{"destination":"b.test","#));
        assert!(parts(b"{").text().is_err());
        assert!(parts(b"\"\xff\"").text().is_err());
    }

    #[test]
    fn ruma_reads_the_header_and_accepts_the_signature() {
        let key = SigningKey::from_seed([7; 32], "1").unwrap();
        let body = br#"{"a":1}"#;
        let header = parts(body).authorization(&key).unwrap();
        let read = XMatrix::parse(&header).unwrap();
        assert_eq!(read.origin, "a.test:8448");
        assert_eq!(read.destination.as_deref(), Some(server_name!("b.test")));
        let request =
            http::Request::put("https://x.test/_matrix/federation/v1/send/1?a=b").body(body).unwrap();
        let parts = SignedParts { uri: "/_matrix/federation/v1/send/1?a=b", ..parts(body) };
        let read = XMatrix::parse(parts.authorization(&key).unwrap()).unwrap();
        let public = ruma::serde::Base64::new(key.verify_key().as_bytes().to_vec());
        let keys = [("a.test:8448".to_owned(), [(key.key_id().to_owned(), public)].into())].into();
        read.verify_http_request(&request, server_name!("b.test"), &keys).unwrap();
        assert!(read.verify_http_request(&request, server_name!("c.test"), &keys).is_err());
    }
}
