//! Account data: what a user's clients keep here for each other, global or for one room.
//!
//! Each change takes a stream position; an entry has one row in the order of changes, its newest, so a
//! sync reads what changed and no more. An entry that is deleted (MSC3391) leaves one that is empty, for syncs to tell;
//! whoever asks for it, or starts anew, is told that there is none.

use ruma::RoomId;
use serde_json::value::RawValue;

use super::{UserError, limits};
use crate::storage::{
    ChangeScope, Direction, KeyRange, Read, ShortRoomId, ShortUserId, Storage, StorageError, StreamPosition,
    Transaction, records::AccountDataRow, tables,
};

/// Stands for "global" in keys, where a room's short id is; rooms are numbered from 1.
const GLOBAL: ShortRoomId = ShortRoomId(0);

/// Types that only this server sets, through endpoints of their own.
const SERVER_MANAGED_TYPES: [&str; 2] = ["m.fully_read", "m.push_rules"];

/// One entry of a user's account data.
#[derive(Debug, Clone)]
pub struct AccountDataEntry {
    /// The room that it is for; `None` for global.
    pub room: Option<ShortRoomId>,
    /// The type.
    pub event_type: String,
    /// The content, a JSON object.
    pub content: Box<RawValue>,
}

/// The service for account data; cheap to clone. Reading for syncs and writing for other services are
/// functions over their snapshot or transaction.
#[derive(Debug, Clone)]
pub struct AccountData {
    storage: Storage,
}

impl AccountData {
    /// The service.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Sets an entry by a client's wish: not of a type that the server manages, of bounded size, and an
    /// object. An empty one deletes the entry.
    pub fn set(
        &self,
        user: ShortUserId,
        room: Option<&RoomId>,
        event_type: &str,
        content: &RawValue,
    ) -> Result<(), UserError> {
        if SERVER_MANAGED_TYPES.contains(&event_type) {
            return Err(UserError::ServerManagedAccountData(event_type.to_owned()));
        }
        self.storage.write(|tx| {
            let room = known_room(tx, room)?;
            check(event_type, content)?;
            if is_empty(content) {
                return Ok(Self::delete_in(tx, user, room, event_type)?);
            }
            check_space(tx, (user, room.unwrap_or(GLOBAL)), event_type, content)?;
            Self::put(tx, user, room, event_type, content)
        })
    }

    /// Deletes an entry by a client's wish; it need not be there.
    pub fn delete(
        &self,
        user: ShortUserId,
        room: Option<&RoomId>,
        event_type: &str,
    ) -> Result<(), UserError> {
        if SERVER_MANAGED_TYPES.contains(&event_type) {
            return Err(UserError::ServerManagedAccountData(event_type.to_owned()));
        }
        self.storage.write(|tx| {
            let room = known_room(tx, room)?;
            Ok(Self::delete_in(tx, user, room, event_type)?)
        })
    }

    /// As [`delete`](Self::delete), inside a transaction and of any type.
    pub fn delete_in(
        tx: &mut Transaction<'_>,
        user: ShortUserId,
        room: Option<ShortRoomId>,
        event_type: &str,
    ) -> Result<(), StorageError> {
        let held = Self::read(tx, user, room, event_type)?;
        if held.is_none_or(|content| is_empty(&content)) {
            return Ok(());
        }
        forget_deleted(tx, (user, room.unwrap_or(GLOBAL)))?;
        let Ok(empty) = RawValue::from_string("{}".to_owned()) else { return Ok(()) };
        write_row(tx, user, room.unwrap_or(GLOBAL), event_type, &empty)
    }

    /// The content of an entry.
    pub fn get(
        &self,
        user: ShortUserId,
        room: Option<&RoomId>,
        event_type: &str,
    ) -> Result<Option<Box<RawValue>>, UserError> {
        let room = match room {
            Some(room) => match self.storage.short_room_id(room)? {
                Some(room) => Some(room),
                None => return Ok(None),
            },
            None => None,
        };
        let content = Self::read(&self.storage, user, room, event_type)?;
        Ok(content.filter(|content| !is_empty(content)))
    }

    /// Changes an entry of a room, read and written in one transaction.
    pub(super) fn update_in_room(
        &self,
        user: ShortUserId,
        room: &RoomId,
        event_type: &str,
        change: impl FnOnce(Option<&RawValue>) -> Result<Option<Box<RawValue>>, UserError>,
    ) -> Result<(), UserError> {
        self.storage.write(|tx| {
            let room = known_room(tx, Some(room))?;
            let before = Self::read(tx, user, room, event_type)?;
            match change(before.as_deref())? {
                Some(content) => Self::put(tx, user, room, event_type, &content),
                None => Ok(()),
            }
        })
    }

    /// Sets an entry inside a transaction, of any type, and announces it to the user's devices.
    pub fn put(
        tx: &mut Transaction<'_>,
        user: ShortUserId,
        room: Option<ShortRoomId>,
        event_type: &str,
        content: &RawValue,
    ) -> Result<(), UserError> {
        check(event_type, content)?;
        Ok(write_row(tx, user, room.unwrap_or(GLOBAL), event_type, content)?)
    }

    /// The content of an entry as `reader` sees it.
    pub fn read(
        reader: &impl Read,
        user: ShortUserId,
        room: Option<ShortRoomId>,
        event_type: &str,
    ) -> Result<Option<Box<RawValue>>, StorageError> {
        let key = (user, room.unwrap_or(GLOBAL), event_type.to_owned());
        Ok(reader.get(&tables::ACCOUNT_DATA, &key)?.map(|row| row.content))
    }

    /// All entries whose newest change came after `since` and not after `until`, in order of change.
    pub fn changed_since(
        reader: &impl Read,
        user: ShortUserId,
        since: StreamPosition,
        until: StreamPosition,
    ) -> Result<Vec<AccountDataEntry>, StorageError> {
        let after = |position: StreamPosition| (user, StreamPosition(position.0.saturating_add(1)));
        let range = tables::ACCOUNT_DATA_CHANGES.between(&after(since), &after(until));
        let changes = reader.scan(&tables::ACCOUNT_DATA_CHANGES, &range, Direction::Forward);
        let keys = changes.map(|row| row.map(|(_, (room, event_type))| (user, room, event_type)));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let rows = reader.get_many(&tables::ACCOUNT_DATA, &keys)?;
        Ok(keys.into_iter().zip(rows).filter_map(|(key, row)| Some(entry(key, row?))).collect())
    }

    /// A user's global entries.
    pub fn global(reader: &impl Read, user: ShortUserId) -> Result<Vec<AccountDataEntry>, StorageError> {
        Self::of_room_key(reader, user, GLOBAL)
    }

    /// A user's entries for one room.
    pub fn in_room(
        reader: &impl Read,
        user: ShortUserId,
        room: ShortRoomId,
    ) -> Result<Vec<AccountDataEntry>, StorageError> {
        Self::of_room_key(reader, user, room)
    }

    fn of_room_key(
        reader: &impl Read,
        user: ShortUserId,
        room: ShortRoomId,
    ) -> Result<Vec<AccountDataEntry>, StorageError> {
        let range = tables::ACCOUNT_DATA.prefix(&(user, room));
        entries(reader, &range)
    }

    /// All entries of a user, global ones first, then room by room.
    pub fn all(reader: &impl Read, user: ShortUserId) -> Result<Vec<AccountDataEntry>, StorageError> {
        entries(reader, &tables::ACCOUNT_DATA.prefix(&(user,)))
    }
}

fn write_row(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    room: ShortRoomId,
    event_type: &str,
    content: &RawValue,
) -> Result<(), StorageError> {
    let key = (user, room, event_type.to_owned());
    if let Some(before) = tx.get(&tables::ACCOUNT_DATA, &key)? {
        tx.delete(&tables::ACCOUNT_DATA_CHANGES, &(user, before.position));
    }
    let position = tx.next_position();
    tx.put(&tables::ACCOUNT_DATA, &key, &AccountDataRow { position, content: content.to_owned() });
    tx.put(&tables::ACCOUNT_DATA_CHANGES, &(user, position), &(room, event_type.to_owned()));
    tx.announce(ChangeScope::User(user), position);
    Ok(())
}

/// The entries of a range that are not deleted.
fn entries(reader: &impl Read, range: &KeyRange) -> Result<Vec<AccountDataEntry>, StorageError> {
    let rows = reader.scan(&tables::ACCOUNT_DATA, range, Direction::Forward);
    let rows = rows.filter(|row| row.as_ref().map_or(true, |(_, row)| !is_empty(&row.content)));
    rows.map(|row| row.map(|(key, row)| entry(key, row))).collect()
}

/// Whether an entry is deleted.
fn is_empty(content: &RawValue) -> bool {
    content.get().trim_start().strip_prefix('{').is_some_and(|rest| rest.trim_start().starts_with('}'))
}

/// Forgets deleted entries where there are many: devices that were away meanwhile keep them.
fn forget_deleted(tx: &mut Transaction<'_>, place: (ShortUserId, ShortRoomId)) -> Result<(), StorageError> {
    let mut deleted = Vec::new();
    for row in tx.scan(&tables::ACCOUNT_DATA, &tables::ACCOUNT_DATA.prefix(&place), Direction::Forward) {
        let (key, row) = row?;
        if is_empty(&row.content) {
            deleted.push((row.position, key));
        }
    }
    deleted.sort_unstable_by_key(|(position, _)| *position);
    let too_many = (deleted.len() + 1).saturating_sub(limits::ACCOUNT_DATA_DELETED_MAX);
    for (position, key) in deleted.into_iter().take(too_many) {
        tx.delete(&tables::ACCOUNT_DATA_CHANGES, &(place.0, position));
        tx.delete(&tables::ACCOUNT_DATA, &key);
    }
    Ok(())
}

fn entry((_, room, event_type): (ShortUserId, ShortRoomId, String), row: AccountDataRow) -> AccountDataEntry {
    AccountDataEntry { room: (room != GLOBAL).then_some(room), event_type, content: row.content }
}

fn known_room(reader: &impl Read, room: Option<&RoomId>) -> Result<Option<ShortRoomId>, UserError> {
    let Some(room) = room else { return Ok(None) };
    reader.short_room_id(room)?.map(Some).ok_or(UserError::UnknownRoom)
}

/// Refuses what would let a user keep too much in one room, or globally.
fn check_space(
    reader: &impl Read,
    place: (ShortUserId, ShortRoomId),
    event_type: &str,
    content: &RawValue,
) -> Result<(), UserError> {
    let too_large = |max| Err(UserError::TooLarge { what: "A room's account data, or the global one,", max });
    let (mut types, mut bytes) = (1, content.get().len());
    let range = tables::ACCOUNT_DATA.prefix(&place);
    for row in reader.scan(&tables::ACCOUNT_DATA, &range, Direction::Forward) {
        let ((.., other), row) = row?;
        if other != event_type && !is_empty(&row.content) {
            types += 1;
            bytes += row.content.get().len();
        }
    }
    if types > limits::ACCOUNT_DATA_TYPES_MAX {
        return too_large(format!("{} types", limits::ACCOUNT_DATA_TYPES_MAX));
    }
    if bytes > limits::ACCOUNT_DATA_BYTES_MAX {
        return too_large(format!("{} bytes", limits::ACCOUNT_DATA_BYTES_MAX));
    }
    Ok(())
}

fn check(event_type: &str, content: &RawValue) -> Result<(), UserError> {
    let too_large = |what, max: usize| Err(UserError::TooLarge { what, max: format!("{max} bytes") });
    if event_type.len() > limits::ACCOUNT_DATA_TYPE_BYTES_MAX {
        return too_large("The type of account data", limits::ACCOUNT_DATA_TYPE_BYTES_MAX);
    }
    if content.get().len() > limits::ACCOUNT_DATA_CONTENT_BYTES_MAX {
        return too_large("The content of account data", limits::ACCOUNT_DATA_CONTENT_BYTES_MAX);
    }
    if content.get().trim_start().starts_with('{') { Ok(()) } else { Err(UserError::AccountDataNotAnObject) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::Fixture;
    use ruma::room_id;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn shown(entries: &[AccountDataEntry]) -> Vec<(Option<u64>, &str, &str)> {
        let room = |entry: &AccountDataEntry| entry.room.map(|room| room.0);
        entries.iter().map(|entry| (room(entry), entry.event_type.as_str(), entry.content.get())).collect()
    }

    #[test]
    fn entries_are_kept_apart_by_room_type_and_user() {
        let server = Fixture::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        let room = room_id!("!r:example.org");
        let short = server.storage.write(|tx| tx.intern_room(room)).unwrap();
        let data = &server.account_data;
        data.set(alice.user, None, "org.a", &json(r#"{"n":1}"#)).unwrap();
        data.set(alice.user, Some(room), "org.a", &json(r#"{"n":2}"#)).unwrap();
        data.set(bob.user, None, "org.a", &json(r#"{"n":3}"#)).unwrap();

        let get = |user, room| data.get(user, room, "org.a").unwrap().map(|content| content.get().to_owned());
        assert_eq!(get(alice.user, None).unwrap(), r#"{"n":1}"#);
        assert_eq!(get(alice.user, Some(room)).unwrap(), r#"{"n":2}"#);
        assert_eq!(get(bob.user, Some(room)), None);
        assert_eq!(get(alice.user, Some(room_id!("!other:example.org"))), None);

        let storage = &server.storage;
        assert_eq!(
            shown(&AccountData::all(storage, alice.user).unwrap()),
            [(None, "org.a", r#"{"n":1}"#), (Some(short.0), "org.a", r#"{"n":2}"#)]
        );
        assert_eq!(AccountData::global(storage, alice.user).unwrap().len(), 1);
        assert_eq!(AccountData::in_room(storage, alice.user, short).unwrap().len(), 1);
    }

    #[test]
    fn a_sync_sees_each_changed_entry_once_with_its_newest_content() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let set = |event_type: &str, content: &str| {
            server.account_data.set(alice.user, None, event_type, &json(content)).unwrap();
            server.storage.write(|tx| Ok::<_, StorageError>(tx.next_position().0 - 1)).unwrap()
        };
        let first = StreamPosition(set("org.a", r#"{"n":1}"#));
        set("org.b", r#"{"n":2}"#);
        let last = StreamPosition(set("org.a", r#"{"n":3}"#));
        let since =
            |since, until| AccountData::changed_since(&server.storage, alice.user, since, until).unwrap();
        let both = since(StreamPosition(0), last);
        assert_eq!(shown(&both), [(None, "org.b", r#"{"n":2}"#), (None, "org.a", r#"{"n":3}"#)]);
        assert_eq!(since(first, last).len(), 2);
        assert_eq!(since(last, StreamPosition(u64::MAX - 1)).len(), 0);
        assert_eq!(since(first, first).len(), 0);
    }

    #[test]
    fn deleted_entries_are_told_to_syncs_alone() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let data = &server.account_data;
        data.set(alice.user, None, "org.a", &json(r#"{"n":1}"#)).unwrap();
        data.set(alice.user, None, "org.b", &json(r#"{"n":2}"#)).unwrap();
        data.delete(alice.user, None, "org.a").unwrap();
        data.set(alice.user, None, "org.b", &json(" { } ")).unwrap();
        data.delete(alice.user, None, "org.never").unwrap();
        assert!(data.get(alice.user, None, "org.a").unwrap().is_none());
        assert!(AccountData::all(&server.storage, alice.user).unwrap().is_empty());
        let last = StreamPosition(u64::MAX - 1);
        let told = AccountData::changed_since(&server.storage, alice.user, StreamPosition(0), last).unwrap();
        assert_eq!(shown(&told), [(None, "org.a", "{}"), (None, "org.b", "{}")]);
        let managed = data.delete(alice.user, None, "m.push_rules");
        assert!(matches!(managed, Err(UserError::ServerManagedAccountData(_))));

        for number in 0..limits::ACCOUNT_DATA_DELETED_MAX {
            data.set(alice.user, None, &format!("org.c{number}"), &json(r#"{"n":1}"#)).unwrap();
            data.delete(alice.user, None, &format!("org.c{number}")).unwrap();
        }
        let told = AccountData::changed_since(&server.storage, alice.user, StreamPosition(0), last).unwrap();
        assert_eq!(told.len(), limits::ACCOUNT_DATA_DELETED_MAX);
    }

    #[test]
    fn what_clients_may_not_set_is_refused() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let set = |event_type: &str, content: &str| {
            server.account_data.set(alice.user, None, event_type, &json(content))
        };
        for managed in SERVER_MANAGED_TYPES {
            assert!(matches!(set(managed, "{}"), Err(UserError::ServerManagedAccountData(_))));
        }
        for wrong in ["[]", "1", "null", "\"{}\""] {
            assert!(matches!(set("org.a", wrong), Err(UserError::AccountDataNotAnObject)), "{wrong}");
        }
        let large = format!(r#"{{"a":"{}"}}"#, "a".repeat(limits::ACCOUNT_DATA_CONTENT_BYTES_MAX));
        assert!(matches!(set("org.a", &large), Err(UserError::TooLarge { .. })));
        assert!(matches!(set(&"a".repeat(256), "{}"), Err(UserError::TooLarge { .. })));
        let unknown = Some(room_id!("!unknown:example.org"));
        let refused = server.account_data.set(alice.user, unknown, "org.a", &json("{}"));
        assert!(matches!(refused, Err(UserError::UnknownRoom)));
        assert!(AccountData::all(&server.storage, alice.user).unwrap().is_empty());
    }

    #[test]
    fn what_one_user_keeps_in_one_place_is_bounded() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let set = |event_type: &str, content: &str| {
            server.account_data.set(alice.user, None, event_type, &json(content))
        };
        for number in 0..limits::ACCOUNT_DATA_TYPES_MAX {
            set(&format!("org.a{number}"), r#"{"n":1}"#).unwrap();
        }
        assert!(matches!(set("org.b", r#"{"n":1}"#), Err(UserError::TooLarge { .. })));
        let large = format!(r#"{{"a":"{}"}}"#, "a".repeat(limits::ACCOUNT_DATA_CONTENT_BYTES_MAX - 8));
        let places = limits::ACCOUNT_DATA_BYTES_MAX / large.len() - 1;
        for number in 0..places {
            set(&format!("org.a{number}"), &large).unwrap();
        }
        let next = format!("org.a{places}");
        assert!(matches!(set(&next, &large), Err(UserError::TooLarge { .. })));
        set("org.a0", r#"{"smaller":true}"#).unwrap();
        set(&next, &large).unwrap();
    }
}
