//! The bounds of everything that users own, each with its reason.

/// Passwords hashed at the same time: each takes [`PASSWORD_HASH_MEMORY_KIB`] and one core, and a small
/// machine has other things to do.
pub const PASSWORD_HASHES_CONCURRENT_MAX: usize = 2;

/// Requests that may wait for a password to be hashed; further ones are told to come back later. Each
/// holds a thread of the blocking pool, which also serves everybody's messages and syncs.
pub const PASSWORD_HASHES_WAITING_MAX: usize = 6;

/// Argon2id's memory in KiB. OWASP holds 12 MiB with three passes to be as strong as 19 MiB with two; the
/// smaller one keeps two hashes at once within 24 MiB.
pub const PASSWORD_HASH_MEMORY_KIB: u32 = 12 * 1024;

/// Argon2id's passes over the memory: with 12 MiB about 0.1 s on a Cortex-A72.
pub const PASSWORD_HASH_PASSES: u32 = 3;

/// The longest password, in bytes: more is no more secure, and hashing must stay cheap to refuse.
pub const PASSWORD_BYTES_MAX: usize = 512;

/// The longest device id, in bytes, as other identifiers have it.
pub const DEVICE_ID_BYTES_MAX: usize = 255;

/// The longest name of a device, in bytes; longer ones are cut.
pub const DEVICE_DISPLAY_NAME_BYTES_MAX: usize = 256;

/// Devices of a user that servers are told of with whom they begin to share a room; each is an EDU a server.
pub const DEVICES_INTRODUCED_MAX: usize = 50;

/// Servers that are told so of a user who joins: in rooms with more of them, which are seldom encrypted, a join would
/// cost a row and a request for each.
pub const SERVERS_INTRODUCED_MAX: usize = 200;

/// Devices that one request may delete.
pub const DEVICES_DELETED_AT_ONCE_MAX: usize = 1_000;

/// How long an access token holds whose client can refresh it, unless the operator says otherwise: each refresh is
/// a write.
pub const ACCESS_TOKEN_LIFETIME: std::time::Duration = std::time::Duration::from_secs(3_600);

/// Sessions in memory, about 250 bytes each: as many active devices cost no disk read per request.
pub const SESSIONS_CACHED_MAX: usize = 4_096;

/// Devices seen since the last flush that are kept in memory; further ones are noted after the next flush.
pub const LAST_SEEN_PENDING_MAX: usize = 4_096;

/// A device that was noted as seen this recently, in milliseconds, from the same address is not noted
/// again.
pub const LAST_SEEN_GRANULARITY_MS: u64 = 60_000;

/// How long a login token is valid, in milliseconds (the specification's recommendation).
pub const LOGIN_TOKEN_LIFETIME_MS: u64 = 120_000;

/// Login tokens that are valid at the same time.
pub const LOGIN_TOKENS_MAX: usize = 1_000;

/// How long a session of user-interactive authentication lasts, in milliseconds.
pub const UIAA_SESSION_LIFETIME_MS: u64 = 15 * 60 * 1_000;

/// Sessions of user-interactive authentication at the same time, about 300 bytes each; when there are
/// more, the oldest one ends, so a flood of new ones costs no memory.
pub const UIAA_SESSIONS_MAX: usize = 2_048;

/// How long a nonce for registration with the shared secret is valid, in milliseconds, as in Synapse.
pub const SHARED_SECRET_NONCE_LIFETIME_MS: u64 = 60_000;

/// Used nonces that are remembered: one per registration by the secret's holder within a minute.
pub const SHARED_SECRET_NONCES_USED_MAX: usize = 10_000;

/// The longest name of a profile field, in bytes (specification).
pub const PROFILE_FIELD_NAME_BYTES_MAX: usize = 255;

/// The largest profile, in bytes of JSON (specification: under 64 KiB).
pub const PROFILE_BYTES_MAX: usize = 65_535;

/// The longest display name, in bytes: it is copied into a member event of each room.
pub const DISPLAY_NAME_BYTES_MAX: usize = 1_024;

/// The longest avatar URL, in bytes: as the display name.
pub const AVATAR_URL_BYTES_MAX: usize = 1_024;

/// The longest type of account data, in bytes, as for event types.
pub const ACCOUNT_DATA_TYPE_BYTES_MAX: usize = 255;

/// The largest content of one entry of account data, in bytes: `m.direct` of a user with 5,000 direct
/// chats takes about 400 KiB.
pub const ACCOUNT_DATA_CONTENT_BYTES_MAX: usize = 512 * 1024;

/// Tags of one room: they are one entry of account data, sent whole with each change.
pub const TAGS_PER_ROOM_MAX: usize = 256;

/// The longest name of a room's tag, in bytes (specification).
pub const TAG_BYTES_MAX: usize = 255;

/// The largest stored filter, in bytes of JSON.
pub const FILTER_BYTES_MAX: usize = 64 * 1024;

/// Filters stored per user; a new one beyond that replaces the oldest one.
pub const FILTERS_PER_USER_MAX: u64 = 256;

/// Types of account data that a user may have in one room, or globally. Sync sends all of them at once.
pub const ACCOUNT_DATA_TYPES_MAX: usize = 512;

/// The content that a user may have in one room, or globally, in bytes: an initial sync holds it in memory.
pub const ACCOUNT_DATA_BYTES_MAX: usize = 4 << 20;

/// How long an OpenID token tells whose it is: an hour, as the specification's example.
pub const OPENID_TOKEN_LIFETIME_MS: u64 = 3_600_000;

/// Expired OpenID tokens that are removed when one is made: more than one, so that they go, and few, so that
/// nobody waits for it.
pub const OPENID_TOKENS_REMOVED_MAX: usize = 16;

/// The longest type of a to-device message, in bytes, as for event types.
pub const TO_DEVICE_TYPE_BYTES_MAX: usize = 255;

/// The largest content of a to-device message, in bytes: as large as an event, which other servers expect.
pub const TO_DEVICE_CONTENT_BYTES_MAX: usize = 64 * 1024;

/// Messages in one request: clients send a room key to some hundreds of devices at a time.
pub const TO_DEVICE_MESSAGES_MAX: usize = 10_000;

/// Messages in one answer, whatever the client asks for (specification: "100 messages is recommended").
pub const TO_DEVICE_DELIVERED_MAX: usize = 100;

/// Bytes of messages in one answer; a single larger one is still delivered.
pub const TO_DEVICE_DELIVERED_BYTES_MAX: usize = 1 << 20;

/// Messages that wait for one device, about 20 MiB: a device that is away for longer than it takes to fill this
/// loses the oldest ones, as clients do with sessions.
pub const TO_DEVICE_QUEUE_MAX: usize = 20_000;

/// Bytes of the messages that wait for one device: as many messages as that are a few KiB each, but not of the
/// largest ones, which would fill a card.
pub const TO_DEVICE_QUEUE_BYTES_MAX: usize = 64 << 20;

/// How many messages are added to any queues before the length of one is looked at: looking costs its length, and
/// the longest queues are those most added to.
pub const TO_DEVICE_TRIM_EVERY: u64 = 256;

/// Rows deleted in one transaction, so that none takes long.
pub const TO_DEVICE_ROWS_AT_ONCE: usize = 1_000;

/// How long a request to send is remembered, in milliseconds: clients repeat for minutes, servers for days.
pub const TO_DEVICE_TRANSACTION_AGE_MS_MAX: u64 = 7 * 24 * 3_600 * 1_000;

/// How many requests are remembered before old ones are looked for.
pub const TO_DEVICE_TRANSACTION_SWEEP_EVERY: u64 = 64;

/// The largest identity keys of a device, and the largest cross-signing key, in bytes: real ones have under one KiB,
/// and keys with post-quantum parts some more.
pub const DEVICE_KEYS_BYTES_MAX: usize = 32 * 1024;

/// The largest one-time or fallback key, in bytes.
pub const KEY_BYTES_MAX: usize = 16 * 1024;

/// The longest name of a one-time or fallback key, in bytes.
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// One-time keys of one device and algorithm: clients keep 50 to 100.
pub const ONE_TIME_KEYS_PER_DEVICE_MAX: usize = 500;

/// One-time keys that were given out and are remembered of each device, so that an upload that is made again does not
/// bring them back: as many as one upload may have.
pub const GIVEN_KEYS_REMEMBERED: u64 = 500;

/// The encrypted private keys of a dehydrated device, in bytes: a hundred one-time keys have 5 KiB.
pub const DEHYDRATED_DATA_BYTES_MAX: usize = 64 * 1024;

/// Algorithms that a device has one-time or fallback keys of.
pub const KEY_ALGORITHMS_MAX: usize = 8;

/// Keys claimed by one request: all devices of a large room.
pub const KEY_CLAIMS_MAX: usize = 10_000;

/// Devices of one user in one answer.
pub const DEVICES_SHOWN_MAX: usize = 1_000;

/// Bytes of all devices that are kept of one remote user: several hundred, as keys with their signatures have one or
/// two KiB. Each update of a device reads and writes them all.
pub const REMOTE_DEVICES_BYTES_MAX: usize = 1 << 20;

/// Signed keys in one request.
pub const SIGNED_OBJECTS_MAX: usize = 1_000;

/// Versions of the key backup that a user has at the same time.
pub const BACKUP_VERSIONS_MAX: usize = 100;

/// The largest `auth_data` of a key backup, in bytes: a public key and some signatures.
pub const BACKUP_AUTH_DATA_BYTES_MAX: usize = 64 * 1024;

/// The largest backed-up key with its session's id, in bytes: a real one has about 700.
pub const BACKED_UP_KEY_BYTES_MAX: usize = 32 * 1024;

/// Keys in one backup: some hundred MiB on disk, ten years of a busy user.
pub const BACKED_UP_KEYS_MAX: u64 = 500_000;

/// Rows of a backup that are removed in one transaction.
pub const BACKUP_ROWS_AT_ONCE: usize = 1_000;

/// EDUs kept for a server that is not there: device lists of some hundred users over weeks. Beyond, the server
/// has to ask for the lists anew anyway.
pub const OUTGOING_EDUS_MAX: u64 = 5_000;

/// How long what a device shows holds after its last sync, in milliseconds: clients sync again at once, or after a
/// short failure.
pub const PRESENCE_LINGER_MS: u64 = 60_000;

/// How long the presence that another server told holds, in milliseconds, as in Synapse.
pub const PRESENCE_REMOTE_MS: u64 = 30 * 60_000;

/// When other servers are told again of a user who is there, in milliseconds: before [`PRESENCE_REMOTE_MS`], which
/// they are likely to hold to as well.
pub const PRESENCE_REPEAT_MS: u64 = 25 * 60_000;

/// After how long without doing anything a device is idle, in milliseconds: what the specification suggests.
pub const PRESENCE_IDLE_MS: u64 = 5 * 60_000;

/// Users whose presence is remembered: some 400 bytes each, and a message of up to
/// [`STATUS_MESSAGE_BYTES_MAX`].
pub const PRESENCE_USERS_MAX: usize = 5_000;

/// Devices of one user whose presence is remembered; 40 bytes each.
pub const PRESENCE_DEVICES_MAX: usize = 32;

/// Users whose presence one sync looks at, the newest changes first.
pub const PRESENCE_SHOWN_MAX: usize = 1_000;

/// The longest message about a user's presence, in bytes.
pub const STATUS_MESSAGE_BYTES_MAX: usize = 1_024;

/// Words by which one user is found in the directory; a name has a few, a prank has thousands.
pub const DIRECTORY_WORDS_MAX: usize = 32;

/// The longest word that the directory tells apart, in bytes: what comes after it is not looked at.
pub const DIRECTORY_WORD_BYTES_MAX: usize = 64;

/// Accounts that are put into the directory in one transaction, where they are older than it.
pub const DIRECTORY_ADDED_AT_ONCE: usize = 256;

/// The text of a rendezvous session, in bytes (MSC4108: 4 KB).
pub const RENDEZVOUS_BYTES_MAX: usize = 4_096;

/// How long a rendezvous session lives: time to confirm on two devices and to pass what a login asks for (MSC4108:
/// at least 120 and at most 300 seconds).
pub const RENDEZVOUS_LIFETIME_MS: u64 = 300_000;

/// Rendezvous sessions at a time: at most one MiB. Each address may begin as many as it may try to log in.
pub const RENDEZVOUS_MAX: usize = 256;

/// Tokens for registration: administrators make them, and all are listed at once.
pub const REGISTRATION_TOKENS_MAX: usize = 1_000;

/// The longest token for registration, in bytes (specification).
pub const REGISTRATION_TOKEN_BYTES_MAX: usize = 64;

/// Deleted entries of account data of one user in one place that are kept for devices to learn of.
pub const ACCOUNT_DATA_DELETED_MAX: usize = 100;
