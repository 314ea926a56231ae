//! One HTTP answer, read whole, with the assertions that nearly every test makes on it.

use serde_json::Value;
use ureq::http::HeaderMap;

/// A server's answer to one request.
pub struct Answer {
    /// What was asked, for messages: method and path.
    pub request: String,
    /// The HTTP status.
    pub status: u16,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub text: String,
}

impl Answer {
    /// The body as JSON; fails the test when it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text)
            .unwrap_or_else(|error| panic!("{self}: the body is not JSON: {error}"))
    }

    /// The JSON body of an answer that must be a success (status 200).
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!(self.status == 200, "expected success: {self}");
        self.json()
    }

    /// Fails the test unless this is the error with that status and errcode, and a text for people.
    #[track_caller]
    pub fn error(&self, status: u16, errcode: &str) -> Value {
        assert!(self.status == status, "expected {status} {errcode}: {self}");
        let body = self.json();
        assert!(body["errcode"] == errcode, "expected {status} {errcode}: {self}");
        assert!(body["error"].is_string(), "an error has a text in `error`: {self}");
        body
    }

    /// The `errcode`, when the body is a Matrix error.
    pub fn errcode(&self) -> Option<String> {
        serde_json::from_str::<Value>(&self.text).ok()?["errcode"].as_str().map(str::to_owned)
    }

    /// The value of a header, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let start: String = self.text.chars().take(1_000).collect();
        write!(f, "{} answered {} {start}", self.request, self.status)
    }
}

/// A server's answer of any bytes.
pub struct BinaryAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The answer's headers.
    pub headers: HeaderMap,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl BinaryAnswer {
    /// The value of a header, or the empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; fails the test when it is not JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&self.bytes);
            panic!("{} {text:.200}: the body is not JSON: {error}", self.status)
        })
    }

    /// Fails the test unless this is the error with that status and errcode.
    #[track_caller]
    pub fn error(&self, status: u16, errcode: &str) {
        let text = String::from_utf8_lossy(&self.bytes);
        assert!(self.status == status, "expected {status} {errcode}: {} {text:.200}", self.status);
        assert_eq!(self.json()["errcode"], errcode);
    }
}
