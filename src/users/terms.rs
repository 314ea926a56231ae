//! The operator's terms, which people accept when they register (client-server API, "Terms of service at
//! registration").

use serde_json::json;

/// Where the terms stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The address of the page.
    pub url: String,
    /// What clients call them.
    pub name: String,
    /// Their version.
    pub version: String,
}

impl Terms {
    /// The parameters of the stage, as JSON.
    pub fn params(&self) -> String {
        let policy = json!({ "version": self.version, "en": { "name": self.name, "url": self.url } });
        json!({ "m.login.terms": { "policies": { "terms_of_service": policy } } }).to_string()
    }
}
