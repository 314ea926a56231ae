//! The one list of all tables: number, name, family, key, value, purpose.
//!
//! A table's number is the first byte of its keys and is never reused. Numbers are given by subject: 0–19
//! the store itself, 20–59 rooms, 60–99 users, 100–129 sync and receipts, 130–159 push, 160–179 federation,
//! 180–189 media, 200–209 application services. A new table needs a line here and, when it changes what an older database holds, a migration.

use std::collections::BTreeMap;

use ruma::{OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedServerName};
use serde_json::value::RawValue;

#[allow(clippy::wildcard_imports, reason = "tables hold every record there is")]
use super::{
    codec::{CodecError, Key},
    engine::Family,
    records::*,
    short_ids::{ShortEventId, ShortRoomId, ShortServerId, ShortUserId, StreamPosition, TimelineKey},
    table::{Table, TableInfo},
    value::{Json, Value},
};

macro_rules! tables {
    ($($(#[doc = $doc:literal])+ $number:literal $name:ident in $family:ident: $key:ty => $value:ty;)*) => {
        $(
            $(#[doc = $doc])+
            pub const $name: Table<$key, $value> = Table::new(TableInfo {
                number: $number,
                name: stringify!($name),
                family: Family::$family,
                purpose: concat!($($doc),+),
            });
        )*

        /// Every table.
        pub const ALL: &[TableInfo] = &[$($name.info),*];

        /// Decodes a row of the table with this number, to find out whether its bytes are whole. `None` when
        /// there is no such table.
        pub fn decode_row(number: u8, key: &[u8], value: &[u8]) -> Option<Result<(), CodecError>> {
            $(
                if number == $number {
                    let row = <$key as Key>::from_bytes(key)
                        .and_then(|_| <$value as Value>::from_value(value))
                        .map(|_| ());
                    return Some(row);
                }
            )*
            None
        }
    };
}

tables! {
    /// The schema version.
    1 SCHEMA in Index: () => u64;
    /// The numbers last handed out: 0 the stream position, 1 and up the short ids by kind.
    2 COUNTERS in Index: u8 => u64;
    /// Kind and identifier to short id.
    3 SHORT_IDS in Index: (u8, String) => u64;
    /// Kind and short id to identifier.
    4 SHORT_ID_TEXTS in Index: (u8, u64) => String;
    /// The name of the server that the database belongs to.
    6 SERVER_NAME in Index: () => OwnedServerName;
    /// State tree nodes by content hash.
    5 STATE_NODES in State: [u8; 16] => Vec<u8>;

    /// What never changes about a room.
    20 ROOMS in Index: ShortRoomId => Json<RoomRecord>;
    /// Where each room's history ends.
    21 ROOM_HEADS in Index: ShortRoomId => RoomHead;
    /// Events as canonical JSON (redacted ones in their redacted form).
    22 EVENT_JSON in Events: ShortEventId => Vec<u8>;
    /// What this server knows of each event.
    23 EVENT_META in Index: ShortEventId => EventMeta;
    /// A room's events in order, with the position at which clients could see each.
    24 TIMELINE in Timeline: (ShortRoomId, TimelineKey) => (ShortEventId, StreamPosition);
    /// Each user's current membership of each room.
    25 MEMBERSHIPS in Timeline: (ShortUserId, ShortRoomId) => MembershipRow;
    /// Each room's members by membership, with the member event.
    26 ROOM_MEMBERS in Timeline: (ShortRoomId, Membership, ShortUserId) => ShortEventId;
    /// The joined members of a room that have an account here.
    27 LOCAL_MEMBERS in Timeline: (ShortRoomId, ShortUserId) => ();
    /// How many members of a room are joined and invited.
    28 MEMBER_COUNTS in Index: ShortRoomId => (u64, u64);
    /// The state shown to a user who is invited to a room or knocks on it: stripped events as JSON.
    29 STRIPPED_STATE in Timeline: (ShortUserId, ShortRoomId) => Json<Vec<Box<RawValue>>>;
    /// Room aliases of this server: the room, and who made the alias.
    30 ALIASES in Index: OwnedRoomAliasId => (ShortRoomId, ShortUserId);
    /// Each room's aliases of this server.
    31 ROOM_ALIASES in Timeline: (ShortRoomId, OwnedRoomAliasId) => ();
    /// Rooms listed in the public directory.
    32 PUBLIC_ROOMS in Timeline: ShortRoomId => ();
    /// Transaction ids of sent events (as the hash of the request's path and id), so that a repeated request
    /// answers with the first one's event.
    33 TRANSACTION_IDS in Users: (ShortUserId, OwnedDeviceId, [u8; 32]) => ShortEventId;
    /// The device and transaction id an event was sent with.
    34 EVENT_TRANSACTIONS in Users: ShortEventId => (OwnedDeviceId, String);
    /// The rows of TRANSACTION_IDS by the time (milliseconds since 1970) and event they were made for.
    35 TRANSACTION_ID_AGES in Users: (u64, ShortEventId) => (ShortUserId, OwnedDeviceId, [u8; 32]);
    /// This server's signing keys, oldest first: secret seed and key version.
    36 SIGNING_KEYS in Index: u64 => Vec<u8>;
    /// Each state event's place in the chain-cover index: chain and sequence (see `state/chain_cover`).
    206 CHAIN_PLACES in Index: ShortEventId => ChainPlaceRow;
    /// Who is at a place of the chain-cover index (chain, sequence), and what it links to.
    207 CHAIN_ENTRIES in Timeline: (u64, u64) => ChainEntryRow;
    /// The links by target: target chain and sequence, chain of the origin; its sequence.
    208 CHAIN_BACKLINKS in Timeline: (u64, u64, u64) => ChainSequence;
    /// A room's current state right before a live timeline event, where it was not the state that the event
    /// itself follows: the room had forked.
    41 FORKED_STATES in Timeline: (ShortRoomId, TimelineKey) => [u8; 16];
    /// PDUs of other servers that wait to be worked off, by room and order of arrival: who sent each, and
    /// its text.
    42 INBOUND_PDUS in Events: (OwnedRoomId, u64) => InboundPduRow;
    /// Redactions that have not taken effect, by the event that they are about: it has not arrived, or they
    /// may not redact it.
    43 IDLE_REDACTIONS in Timeline: (ShortEventId, ShortEventId) => ();
    /// Events that a room's history names and this server has not got, with the event that names each: where
    /// history can be fetched from other servers.
    44 MISSING_EVENTS in Timeline: (ShortRoomId, ShortEventId) => ShortEventId;
    /// The words by which users are found in the directory.
    45 DIRECTORY_WORDS in Timeline: (String, ShortUserId) => ();
    /// The users whom the directory knows, with what they are called and look like.
    46 DIRECTORY_USERS in Users: ShortUserId => Json<DirectoryEntry>;
    /// What relates to an event: the event, the place and id of what relates to it, directly or indirectly.
    47 RELATIONS in Timeline: (ShortEventId, TimelineKey, ShortEventId) => RelationRow;
    /// What is told of an event's relations wherever the event is shown.
    48 RELATION_SUMMARIES in Timeline: ShortEventId => RelationSummary;
    /// How many events each user has in a thread, by its root.
    49 THREAD_PARTICIPANTS in Timeline: (ShortEventId, ShortUserId) => u64;
    /// A room's threads by the place of their newest event: the root.
    50 THREADS in Timeline: (ShortRoomId, TimelineKey) => ShortEventId;
    /// Reactions by event, user, and a hash of what type and key they have.
    51 ANNOTATIONS in Timeline: (ShortEventId, ShortUserId, [u8; 16]) => ShortEventId;
    /// A room's events by their `origin_server_ts` (milliseconds since 1970) and place.
    52 EVENT_TIMES in Timeline: (ShortRoomId, u64, TimelineKey) => ShortEventId;
    /// What users have reported of events, rooms and users, in order.
    53 REPORTS in Users: u64 => Json<ReportRecord>;
    /// The events of each room that have a term in what they say.
    54 SEARCH_POSTINGS in Timeline: (ShortRoomId, String, TimelineKey) => ShortEventId;
    /// Events that are sticky (MSC4354): by room and position, with the time until which they are, in
    /// milliseconds since 1970. Those whose time is over go when others come.
    55 STICKY_EVENTS in Stream: (ShortRoomId, StreamPosition) => (ShortEventId, u64);
    /// From which key on a room's events are in SEARCH_POSTINGS; without a row none but those since the row's time.
    56 SEARCH_INDEXED in Index: ShortRoomId => TimelineKey;
    /// How each user follows threads, or that they do no more, by the root.
    57 THREAD_SUBSCRIPTIONS in Users: (ShortUserId, ShortEventId) => ThreadSubscriptionRow;
    /// The newest change of each of them, in order.
    58 THREAD_SUBSCRIPTION_CHANGES in Stream: (ShortUserId, StreamPosition) => ShortEventId;

    /// The accounts of this server.
    60 ACCOUNTS in Users: ShortUserId => Json<AccountRecord>;
    /// Each local user's devices.
    61 DEVICES in Users: (ShortUserId, OwnedDeviceId) => Json<DeviceRecord>;
    /// SHA-256 of each valid access token, and whose device it belongs to.
    62 ACCESS_TOKENS in Users: [u8; 32] => (ShortUserId, OwnedDeviceId);
    /// SHA-256 of the access token of each device that is logged in.
    63 DEVICE_TOKENS in Users: (ShortUserId, OwnedDeviceId) => [u8; 32];
    /// When and from where each device was last seen.
    64 DEVICES_LAST_SEEN in Users: (ShortUserId, OwnedDeviceId) => Json<LastSeenRecord>;
    /// Local users' profiles: field name to value.
    65 PROFILES in Users: ShortUserId => Json<BTreeMap<String, serde_json::Value>>;
    /// Account data by user, room (0 for global) and type.
    66 ACCOUNT_DATA in Users: (ShortUserId, ShortRoomId, String) => AccountDataRow;
    /// The newest change of each entry of a user's account data, in order: its room (0 for global) and type.
    67 ACCOUNT_DATA_CHANGES in Stream: (ShortUserId, StreamPosition) => (ShortRoomId, String);
    /// Filters that clients have stored, as JSON.
    68 FILTERS in Users: (ShortUserId, u64) => Vec<u8>;
    /// SHA-256 of each stored filter, so that the same filter is stored once.
    69 FILTER_HASHES in Users: (ShortUserId, [u8; 32]) => u64;

    /// Messages that wait for a device, in order, as JSON.
    70 TO_DEVICE in Stream: (ShortUserId, OwnedDeviceId, StreamPosition) => Vec<u8>;
    /// Requests that have sent to-device messages (as the hash of type and transaction id), and when
    /// (milliseconds since 1970), so that a repeated one sends nothing. Those of other servers have no device.
    71 TO_DEVICE_TRANSACTIONS in Users: (ShortUserId, OwnedDeviceId, [u8; 32]) => u64;
    /// The rows of TO_DEVICE_TRANSACTIONS by time.
    72 TO_DEVICE_TRANSACTION_AGES in Users: (u64, ShortUserId, OwnedDeviceId, [u8; 32]) => ();
    /// The identity keys of local users' devices: JSON as uploaded, without `unsigned`.
    73 DEVICE_KEYS in Users: (ShortUserId, OwnedDeviceId) => Vec<u8>;
    /// One-time keys nobody has claimed, by algorithm, in the order of their uploads: JSON as uploaded.
    74 ONE_TIME_KEYS in Users: (ShortUserId, OwnedDeviceId, String, u64, String) => Vec<u8>;
    /// How many one-time keys each device has, and its fallback keys.
    75 KEY_STOCKS in Users: (ShortUserId, OwnedDeviceId) => Json<KeyStock>;
    /// The newest change of each user's device list or cross-signing keys, in order.
    76 DEVICE_LIST_CHANGES in Stream: StreamPosition => ShortUserId;
    /// The position of each user's row in DEVICE_LIST_CHANGES.
    77 DEVICE_LIST_POSITIONS in Index: ShortUserId => StreamPosition;
    /// Cross-signing keys by kind (1 master, 2 self-signing, 3 user-signing), of remote users the first two
    /// kinds: JSON as uploaded.
    78 CROSS_SIGNING_KEYS in Users: (ShortUserId, u8) => Vec<u8>;
    /// Signatures uploaded later on: whose key, its device id or public part, who signed, with which key.
    79 KEY_SIGNATURES in Users: (ShortUserId, String, ShortUserId, String) => String;
    /// The versions of each user's key backup, deleted ones too.
    80 BACKUP_VERSIONS in Users: (ShortUserId, u64) => Json<BackupRecord>;
    /// The keys of each backup by room and session: JSON as uploaded.
    81 BACKED_UP_KEYS in Users: (ShortUserId, u64, OwnedRoomId, String) => Vec<u8>;
    /// The newest update of each local user's devices that other servers were told, by its number.
    82 DEVICE_LIST_UPDATES in Users: ShortUserId => StreamPosition;
    /// The devices of other servers' users, as their servers told.
    83 REMOTE_DEVICE_LISTS in Users: ShortUserId => Json<RemoteDeviceList>;
    /// Until when (milliseconds since 1970) each access token holds that does not hold for good, by its SHA-256.
    85 TOKEN_EXPIRIES in Users: [u8; 32] => u64;
    /// SHA-256 of each valid refresh token, and whose device it belongs to.
    86 REFRESH_TOKENS in Users: [u8; 32] => (ShortUserId, OwnedDeviceId);
    /// The refresh tokens of each device that has some.
    87 DEVICE_REFRESH_TOKENS in Users: (ShortUserId, OwnedDeviceId) => Json<RefreshRecord>;
    /// Each user's dehydrated device (MSC3814).
    84 DEHYDRATED_DEVICES in Users: ShortUserId => Json<DehydratedDeviceRecord>;

    /// Events that are sent later (MSC4140), by their random id; for a time also those that were sent or not.
    88 DELAYED_EVENTS in Users: [u8; 16] => Json<DelayedEventRecord>;
    /// When each of them that is scheduled is due (milliseconds since 1970).
    89 DELAYED_DUE in Users: (u64, [u8; 16]) => ();
    /// Each user's: the scheduled ones (0) by the time at which they are due, the others (1) by that at which it
    /// was decided.
    90 DELAYED_OF_USER in Users: (ShortUserId, u8, u64, [u8; 16]) => ();
    /// Requests that have scheduled them, as the hash of path and transaction id.
    91 DELAYED_TRANSACTIONS in Users: (ShortUserId, OwnedDeviceId, [u8; 32]) => [u8; 16];

    /// Rooms that nobody of this server may join.
    92 BLOCKED_ROOMS in Users: OwnedRoomId => Json<RoomBlockRecord>;
    /// Rooms that are being deleted, with the deletion.
    93 ROOMS_BEING_DELETED in Users: OwnedRoomId => [u8; 16];
    /// Deletions of rooms, by their random id.
    94 ROOM_DELETIONS in Users: [u8; 16] => Json<RoomDeletionRecord>;
    /// Tokens with which people may register.
    95 REGISTRATION_TOKENS in Users: String => Json<RegistrationTokenRecord>;
    /// The room in which each user gets this server's notices.
    96 NOTICE_ROOMS in Users: ShortUserId => Json<OwnedRoomId>;

    /// Each room's newest change, ordered by position.
    100 ROOM_CHANGES in Stream: StreamPosition => ShortRoomId;
    /// The position of each room's row in ROOM_CHANGES.
    101 ROOM_CHANGE_POSITIONS in Index: ShortRoomId => StreamPosition;
    /// Each change of a local user's own membership, in order.
    102 OWN_MEMBERSHIP_CHANGES in Stream: (ShortUserId, StreamPosition) => ShortRoomId;
    /// Each room's receipts in the order in which they were last moved.
    103 RECEIPTS in Stream: (ShortRoomId, StreamPosition) => ReceiptRow;
    /// The position of each receipt's row in RECEIPTS, by user, kind and thread.
    104 RECEIPT_POSITIONS in Timeline: (ShortRoomId, ShortUserId, ReceiptKind, String) => StreamPosition;
    /// How far each local user has read a room regardless of threads, by receipts of either kind.
    105 READ_UP_TO in Timeline: (ShortUserId, ShortRoomId) => TimelineKey;
    /// When something last happened in each room, as lists of rooms are ordered by it.
    106 ROOM_ACTIVITY in Index: ShortRoomId => RoomActivity;

    /// One-time keys that were given out lately, as hashes, numbered in their order.
    113 GIVEN_KEYS in Users: (ShortUserId, OwnedDeviceId, u64) => [u8; 32];

    /// What each user has not read of a room, as far as it was counted.
    130 UNREAD in Users: (ShortUserId, ShortRoomId) => UnreadRow;

    /// Other servers that could not be reached, and when they are tried again.
    160 DESTINATION_FAILURES in Index: OwnedServerName => Json<DestinationFailures>;
    /// Other servers' signing keys, as far as they were ever seen.
    161 SERVER_KEYS in Index: OwnedServerName => Json<ServerKeysRecord>;
    /// The newest document of keys of each other server, as it signed it.
    162 KEY_DOCUMENTS in Index: OwnedServerName => Json<KeyDocumentRecord>;
    /// OpenID tokens by the time (milliseconds since 1970) until which they hold, and their SHA-256: whose they are.
    163 OPENID_TOKENS in Users: (u64, [u8; 32]) => ShortUserId;

    /// The servers in each room: how many joined members each has, and since which position it has had one.
    165 ROOM_SERVERS in Timeline: (ShortRoomId, ShortServerId) => (u64, StreamPosition);
    /// The rooms that each server is in.
    166 SERVER_ROOMS in Timeline: (ShortServerId, ShortRoomId) => ();
    /// Servers that left a room, by the position of the event that made them leave, with the position since
    /// which they had been in it. Kept while an event may have to be sent that is not newer.
    167 SERVER_DEPARTURES in Timeline: (StreamPosition, ShortRoomId, ShortServerId) => StreamPosition;
    /// Each local user's pushers, by application and push key.
    131 PUSHERS in Users: (ShortUserId, String, String) => Json<PusherRecord>;
    /// Whose pushers have an application and push key.
    132 PUSHER_USERS in Users: (String, String, ShortUserId) => ();
    /// What each pusher still has to send, by the pusher's number and the event's position.
    133 PUSH_QUEUE in Users: (u64, StreamPosition) => Json<QueuedPush>;
    /// Up to where events have been tried on the rules of users with pushers.
    134 PUSH_SCANNED in Index: () => StreamPosition;

    /// Files that were uploaded here or fetched from other servers, by the parts of their `mxc://` address.
    180 MEDIA in Users: (OwnedServerName, String) => Json<MediaRecord>;
    /// Files on disk by the hash of their bytes: how many rows (media, thumbnails) refer to each, and its length.
    181 MEDIA_FILES in Users: FileHash => (u64, u64);
    /// What each user has uploaded, by time (milliseconds since 1970) and media id, with its length in bytes.
    182 MEDIA_OF_USER in Users: (ShortUserId, u64, String) => u64;
    /// How many files each user has uploaded, and their bytes.
    183 MEDIA_USAGE in Users: ShortUserId => (u64, u64);
    /// Media ids of this server that wait for their upload: whose, and until when (milliseconds since 1970).
    184 PENDING_UPLOADS in Users: String => (ShortUserId, u64);
    /// Each user's media ids that wait for their upload, and until when (milliseconds since 1970).
    185 PENDING_UPLOADS_OF_USER in Users: (ShortUserId, String) => u64;
    /// Thumbnails by the file they show, width, height and kind.
    186 THUMBNAILS in Users: (FileHash, u32, u32, u8) => Json<ThumbnailRecord>;
    /// When media of other servers was last asked for, in milliseconds since 1970, give or take a day.
    187 REMOTE_MEDIA_USED in Users: (OwnedServerName, String) => u64;
    /// Previews of links by the SHA-256 of the link.
    188 URL_PREVIEWS in Users: [u8; 32] => Json<UrlPreviewRecord>;
    /// Files that nothing refers to any more and that are still to be removed from disk.
    189 DOOMED_FILES in Users: FileHash => ();
    /// The number of each application service that was ever registered, by its id.
    200 APPSERVICE_NUMBERS in Users: String => u64;
    /// How far the stream of changes has been handed out to application services.
    201 APPSERVICES_ROUTED in Users: () => StreamPosition;
    /// What waits to be sent to each application service, in order, by the service's number.
    202 APPSERVICE_QUEUE in Stream: (u64, u64) => Json<QueuedForAppservice>;
    /// How far each application service's queue has come, by its number.
    203 APPSERVICE_DELIVERIES in Users: u64 => Json<AppserviceDelivery>;
    /// Devices of application services' users that got a message (the position is its own in TO_DEVICE) or whose
    /// one-time keys changed, until that is handed out.
    204 APPSERVICE_DEVICE_NEWS in Stream: StreamPosition => (ShortUserId, OwnedDeviceId);
    /// Events that other servers are to be sent, by number (of the stream of positions), until all that are there
    /// have them.
    168 OUTBOX in Stream: StreamPosition => ShortEventId;
    /// The newest event of each room that other servers are, or were, to be sent, with its number in the outbox.
    169 ROOM_NEWEST_SENT in Index: ShortRoomId => (StreamPosition, ShortEventId);
    /// How far each server has been sent what it should get.
    170 DESTINATIONS in Index: ShortServerId => Json<DestinationRow>;
    /// Rooms that a server which is behind was made to leave: the event by which it happened, and its number.
    171 ROOMS_LOST in Timeline: (ShortServerId, ShortRoomId) => (StreamPosition, ShortEventId);
    /// EDUs that wait for a server and must reach it, as JSON, in order.
    172 OUTGOING_EDUS in Stream: (ShortServerId, StreamPosition) => Vec<u8>;
    /// How many of them wait for each server.
    173 OUTGOING_EDU_COUNTS in Index: ShortServerId => u64;
    /// The answers to the last transactions of each server, by SHA-256 of the id: each event, with what was wrong.
    174 INCOMING_TRANSACTIONS in Stream: (ShortServerId, [u8; 32]) => Json<BTreeMap<OwnedEventId, Option<String>>>;
    /// The order in which they came.
    175 INCOMING_TRANSACTION_ORDER in Stream: (ShortServerId, u64) => [u8; 32];
}

#[cfg(test)]
mod tests {
    use super::ALL;
    use std::collections::HashSet;

    #[test]
    fn numbers_are_given_once() {
        let numbers: HashSet<_> = ALL.iter().map(|table| table.number).collect();
        assert_eq!(numbers.len(), ALL.len());
        assert!(ALL.iter().all(|table| table.number != u8::MAX), "255 has no successor to bound a scan");
    }
}
