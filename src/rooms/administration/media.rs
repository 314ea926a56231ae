//! The media that the events of a room name.

use std::collections::BTreeSet;

use ruma::{OwnedMxcUri, RoomId};
use serde_json::Value;

use super::RoomAdministration;
use crate::{
    rooms::RoomError,
    storage::{Direction, Read, tables::TIMELINE},
};

/// Where events name media, in their content: the file, its thumbnail, and both of encrypted ones.
const PLACES: [&str; 5] =
    ["/url", "/file/url", "/info/thumbnail_url", "/info/thumbnail_file/url", "/avatar_url"];

impl RoomAdministration {
    /// The addresses of all media that the room's events name. Reads the whole room.
    pub fn media(&self, room_id: &RoomId) -> Result<Vec<OwnedMxcUri>, RoomError> {
        let room = self.room(room_id)?;
        let mut found = BTreeSet::new();
        for row in self.storage.scan(&TIMELINE, &TIMELINE.prefix(&(room,)), Direction::Forward) {
            let (_, (short, _)) = row?;
            let Some(stored) = self.events.get(short)? else { continue };
            let Ok(content) = stored.event.content::<Value>() else { continue };
            for place in PLACES {
                let address = content.pointer(place).and_then(Value::as_str);
                found.extend(address.filter(|address| address.starts_with("mxc://")).map(OwnedMxcUri::from));
            }
        }
        Ok(found.into_iter().collect())
    }
}
