//! `mxc://` addresses (client-server API, "Matrix Content (mxc://) URIs").

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ruma::{OwnedServerName, ServerName};

use super::{MediaError, limits};
use crate::users::secrets;

/// Which media: a server and a media id of it. The media id holds nothing but letters, digits, `_` and `-`,
/// as the specification asks for safety.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MediaAddress {
    /// The server whose user has uploaded it.
    pub server_name: OwnedServerName,
    /// The media id.
    pub media_id: String,
}

impl MediaAddress {
    /// From the parts of a request's path; what cannot be a media id is not found.
    pub fn new(server_name: OwnedServerName, media_id: String) -> Result<Self, MediaError> {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        let length = media_id.len();
        if length == 0 || length > limits::MEDIA_ID_BYTES_MAX || !media_id.bytes().all(is_allowed) {
            return Err(MediaError::NotFound);
        }
        Ok(Self { server_name, media_id })
    }

    /// A new one of this server, not used before.
    pub(super) fn random(server_name: &ServerName) -> Result<Self, MediaError> {
        let bytes = secrets::random_bytes::<{ limits::MEDIA_ID_RANDOM_BYTES }>();
        let bytes = bytes.map_err(|_| MediaError::NoRandomness)?;
        Ok(Self { server_name: server_name.to_owned(), media_id: URL_SAFE_NO_PAD.encode(bytes) })
    }

    /// The key of its row.
    pub(super) fn key(&self) -> (OwnedServerName, String) {
        (self.server_name.clone(), self.media_id.clone())
    }
}

impl std::fmt::Display for MediaAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mxc://{}/{}", self.server_name, self.media_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ruma::server_name;

    #[test]
    fn nothing_leads_out_of_the_folder() {
        let address = |id: &str| MediaAddress::new(server_name!("example.org").to_owned(), id.to_owned());
        for bad in ["", "..", "a/b", "a.b", "%2e", "ü", "a b", "a\0", &"a".repeat(256)] {
            assert!(address(bad).is_err(), "{bad:?}");
        }
        assert!(address("Abc_-09").is_ok());
        let random = MediaAddress::random(server_name!("example.org")).unwrap();
        assert_eq!(address(&random.media_id).unwrap(), random);
    }
}
