//! Who makes a request, as the rooms' services know readers.

use super::authentication::Requester;
use crate::rooms::Viewer;

impl From<Requester> for Viewer {
    fn from(requester: Requester) -> Self {
        Self { user: requester.user, user_id: requester.user_id, device_id: Some(requester.device_id) }
    }
}
