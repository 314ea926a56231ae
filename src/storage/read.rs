//! Typed reading, the same from the newest state, a snapshot or inside a transaction.

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedServerName, OwnedUserId, RoomId, ServerName, UserId};

use super::{
    codec::{CodecError, Key},
    engine::{Direction, Family, RowIterator},
    error::StorageError,
    short_ids::{
        ShortEventId, ShortIdKind, ShortRoomId, ShortServerId, ShortStateKeyId, ShortUserId,
        state_key_from_text, state_key_text,
    },
    table::{KeyRange, Table},
    tables,
    value::Value,
};

/// The decoded rows of a range.
pub type TypedRows<'a, K, V> = Box<dyn Iterator<Item = Result<(K, V), StorageError>> + 'a>;

/// Reads rows.
pub trait Read {
    /// The bytes behind a key.
    fn raw_get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, StorageError>;

    /// The bytes behind several keys, in their order.
    fn raw_multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, StorageError>;

    /// The rows of a range, as of now.
    fn raw_scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_>;

    /// The number for an identifier's text, if it has one.
    fn short_id(&self, kind: ShortIdKind, text: &str) -> Result<Option<u64>, StorageError> {
        self.get(&tables::SHORT_IDS, &(kind as u8, text.to_owned()))
    }

    /// The identifier's text behind a number, if it was given.
    fn short_id_text(&self, kind: ShortIdKind, short: u64) -> Result<Option<String>, StorageError> {
        self.get(&tables::SHORT_ID_TEXTS, &(kind as u8, short))
    }

    /// The value of a key.
    fn get<K: Key, V: Value>(&self, table: &Table<K, V>, key: &K) -> Result<Option<V>, StorageError> {
        self.raw_get(table.info.family, &table.key_bytes(key))?
            .map(|bytes| V::from_value(&bytes).map_err(|e| corrupt(table, e)))
            .transpose()
    }

    /// The values of several keys, in their order.
    fn get_many<K: Key, V: Value>(
        &self,
        table: &Table<K, V>,
        keys: &[K],
    ) -> Result<Vec<Option<V>>, StorageError> {
        let keys: Vec<_> = keys.iter().map(|key| table.key_bytes(key)).collect();
        self.raw_multi_get(table.info.family, &keys)?
            .into_iter()
            .map(|bytes| bytes.map(|bytes| V::from_value(&bytes).map_err(|e| corrupt(table, e))).transpose())
            .collect()
    }

    /// True when the key has a row.
    fn contains<K: Key, V: Value>(&self, table: &Table<K, V>, key: &K) -> Result<bool, StorageError> {
        Ok(self.raw_get(table.info.family, &table.key_bytes(key))?.is_some())
    }

    /// The rows of a range. A row that can't be decoded is logged and skipped, so that one bad row never
    /// hides the others; a failing engine ends the scan with its error.
    fn scan<'a, K: Key + 'a, V: Value + 'a>(
        &'a self,
        table: &Table<K, V>,
        range: &KeyRange,
        direction: Direction,
    ) -> TypedRows<'a, K, V> {
        let info = table.info;
        let rows = self.raw_scan(info.family, &range.lower, range.upper.as_deref(), direction);
        Box::new(rows.filter_map(move |row| {
            let (key, value) = match row {
                Ok(row) => row,
                Err(e) => return Some(Err(e.into())),
            };
            let decoded = key
                .get(1..)
                .ok_or(CodecError::Short)
                .and_then(|key| Ok((K::from_bytes(key)?, V::from_value(&value)?)));
            decoded
                .inspect_err(|e| tracing::error!(table = info.name, ?key, "a corrupt row is skipped: {e}"))
                .ok()
                .map(Ok)
        }))
    }

    /// The short id of a room, if this server knows the room.
    fn short_room_id(&self, room: &RoomId) -> Result<Option<ShortRoomId>, StorageError> {
        Ok(self.short_id(ShortIdKind::Room, room.as_str())?.map(ShortRoomId))
    }

    /// The short id of an event, if this server has seen the event or a reference to it.
    fn short_event_id(&self, event: &EventId) -> Result<Option<ShortEventId>, StorageError> {
        Ok(self.short_id(ShortIdKind::Event, event.as_str())?.map(ShortEventId))
    }

    /// The short id of a user, if this server has seen the user.
    fn short_user_id(&self, user: &UserId) -> Result<Option<ShortUserId>, StorageError> {
        Ok(self.short_id(ShortIdKind::User, user.as_str())?.map(ShortUserId))
    }

    /// The short id of a server, if this server has heard of it.
    fn short_server_id(&self, server: &ServerName) -> Result<Option<ShortServerId>, StorageError> {
        Ok(self.short_id(ShortIdKind::Server, server.as_str())?.map(ShortServerId))
    }

    /// The short id of an event type and state key, if any room has had it.
    fn short_state_key_id(
        &self,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<ShortStateKeyId>, StorageError> {
        if event_type == "m.room.member" {
            let user = self.short_id(ShortIdKind::User, state_key)?;
            return Ok(user.map(|user| ShortStateKeyId::member(ShortUserId(user))));
        }
        let text = state_key_text(event_type, state_key);
        Ok(self.short_id(ShortIdKind::StateKey, &text)?.map(ShortStateKeyId))
    }

    /// The room behind a short id.
    fn room_id(&self, room: ShortRoomId) -> Result<OwnedRoomId, StorageError> {
        let text = known(self.short_id_text(ShortIdKind::Room, room.0)?, room)?;
        OwnedRoomId::try_from(text).map_err(|e| short_id_corrupt("room id", e))
    }

    /// The event id behind a short id.
    fn event_id(&self, event: ShortEventId) -> Result<OwnedEventId, StorageError> {
        let text = known(self.short_id_text(ShortIdKind::Event, event.0)?, event)?;
        OwnedEventId::try_from(text).map_err(|e| short_id_corrupt("event id", e))
    }

    /// The user behind a short id.
    fn user_id(&self, user: ShortUserId) -> Result<OwnedUserId, StorageError> {
        let text = known(self.short_id_text(ShortIdKind::User, user.0)?, user)?;
        OwnedUserId::try_from(text).map_err(|e| short_id_corrupt("user id", e))
    }

    /// The server behind a short id.
    fn server_name(&self, server: ShortServerId) -> Result<OwnedServerName, StorageError> {
        let text = known(self.short_id_text(ShortIdKind::Server, server.0)?, server)?;
        OwnedServerName::try_from(text).map_err(|e| short_id_corrupt("server name", e))
    }

    /// The event type and state key behind a short id.
    fn state_key(&self, key: ShortStateKeyId) -> Result<(String, String), StorageError> {
        if let Some(user) = key.as_member() {
            let text = known(self.short_id_text(ShortIdKind::User, user.0)?, user)?;
            return Ok(("m.room.member".to_owned(), text));
        }
        let text = known(self.short_id_text(ShortIdKind::StateKey, key.0)?, key)?;
        state_key_from_text(&text).map_err(|e| corrupt(&tables::SHORT_ID_TEXTS, e))
    }
}

fn corrupt<K, V>(table: &Table<K, V>, source: CodecError) -> StorageError {
    StorageError::Corrupt { table: table.info.name, source }
}

fn short_id_corrupt(what: &'static str, why: ruma::IdParseError) -> StorageError {
    corrupt(&tables::SHORT_ID_TEXTS, CodecError::invalid(what, why))
}

fn known(text: Option<String>, short: impl std::fmt::Debug) -> Result<String, StorageError> {
    text.ok_or_else(|| StorageError::Missing {
        table: tables::SHORT_ID_TEXTS.info.name,
        key: format!("{short:?}"),
    })
}
