//! The bounds of federation, each with its reason.

use std::time::Duration;

/// The time for an ordinary request to another server, its whole answer included.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes of an ordinary answer: 50 PDUs of 64 KiB have 3.2 MiB, a list of 30,000 event ids some 2 MiB.
pub const ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The time for an answer that holds the state of a room: the other server may have to gather it first.
pub const STATE_TIME_MAX: Duration = Duration::from_secs(600);

/// Bytes of an answer that holds the state of a room: 100,000 members and their auth chain.
pub const STATE_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bodies from this length are signed and verified off the runtime's threads: below, the work takes less than
/// the change of threads is worth.
pub const SIGNED_INLINE_BYTES_MAX: usize = 32 * 1024;

/// Bytes of another server's text that goes into an error and the log.
pub const ERROR_TEXT_BYTES_MAX: usize = 300;

/// Bytes of a `.well-known/matrix/server` document; real ones have 50.
pub const WELL_KNOWN_BYTES_MAX: u64 = 50 * 1024;

/// The time for it.
pub const WELL_KNOWN_TIME_MAX: Duration = Duration::from_secs(15);

/// Redirects followed on the way to it.
pub const WELL_KNOWN_REDIRECTS_MAX: usize = 5;

/// Servers whose delegation is remembered; some 200 bytes each.
pub const DELEGATIONS_MAX: usize = 16_384;

/// Delegations looked up or waiting for it at a time.
pub const DELEGATIONS_WAITING_MAX: usize = 8_192;

/// How long a delegation holds where its server does not say (recommended by the specification).
pub const DELEGATION_TIME_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// How long it holds at most, whatever its server says (recommended by the specification).
pub const DELEGATION_TIME_MAX: Duration = Duration::from_secs(48 * 3600);

/// How long it holds at least: a server that forbids caching must not cost a lookup a request.
pub const DELEGATION_TIME_MIN: Duration = Duration::from_secs(300);

/// How long an old delegation is used while its server can't be asked.
pub const DELEGATION_STALE_TIME_MAX: Duration = Duration::from_secs(48 * 3600);

/// How long it is remembered that there is none: this much, doubled for each time in a row.
pub const NO_DELEGATION_TIME_MIN: Duration = Duration::from_secs(120);

/// The same where the host gave no answer: shorter than the pause after which a server that failed is tried again,
/// so that one that was just starting is not looked for in the wrong place.
pub const DELEGATION_RETRY_TIME_MIN: Duration = Duration::from_secs(8);

/// The greatest time of that kind (recommended by the specification).
pub const NO_DELEGATION_TIME_MAX: Duration = Duration::from_secs(3600);

/// The pause after a server failed for the first time; it triples with each failure.
pub const BACKOFF_MIN: Duration = Duration::from_secs(10);

/// Kinds of question that rest because their servers have had too many of them; some 150 bytes each. What is not
/// remembered is asked, and refused again.
pub const THROTTLED_MAX: usize = 2_000;

/// How long such a question rests where the server does not say.
pub const THROTTLED_TIME_DEFAULT: Duration = Duration::from_secs(10);

/// The shortest and the longest rest that a server can ask for.
pub const THROTTLED_TIME_MIN: Duration = Duration::from_secs(1);
/// See [`THROTTLED_TIME_MIN`].
pub const THROTTLED_TIME_MAX: Duration = Duration::from_secs(600);

/// The greatest pause: a server that comes back tells by asking us, or is asked once a day.
pub const BACKOFF_MAX: Duration = Duration::from_secs(24 * 3600);

/// Failing servers that are remembered. Names come from strangers, so there must be an end; more than all
/// servers there are.
pub const FAILING_DESTINATIONS_MAX: usize = 20_000;

/// Bytes of a server's document of keys; real ones have below 1 KiB, with decades of old keys perhaps ten.
pub const KEY_DOCUMENT_BYTES_MAX: u64 = 64 * 1024;

/// Keys of one server that are kept.
pub const KEYS_PER_SERVER_MAX: usize = 64;

/// The time for a server's document of keys.
pub const KEY_FETCH_TIME_MAX: Duration = Duration::from_secs(20);

/// Servers asked for keys at a time, directly.
pub const KEY_FETCHES_MAX: usize = 32;

/// Servers whose keys may be waited for; further requests fail.
pub const KEY_FETCHES_WAITING_MAX: usize = 8_192;

/// Servers whose keys a notary is asked for in one request.
pub const NOTARY_SERVERS_MAX: usize = 100;

/// Bytes of a notary's answer.
pub const NOTARY_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Servers that one request may ask us, as a notary, for.
pub const NOTARY_QUERY_SERVERS_MAX: usize = 100;

/// How long a server is not asked for its keys again after it was: a request that names a key that is not
/// there must not make us ask once for every such request.
pub const KEY_REFETCH_PAUSE: Duration = Duration::from_secs(60);

/// The same where it gave no answer: it may just be starting, and what it sends us meanwhile is refused.
pub const KEY_RETRY_PAUSE: Duration = Duration::from_secs(5);

/// Servers whose keys are held in memory, some 300 bytes each.
pub const KEY_CACHE_SERVERS_MAX: usize = 4_096;

/// How far in the future the validity of a key may lie, whatever its server says (specification:
/// `valid_until_ts`).
pub const KEY_VALIDITY_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// For how long our own document of keys may be cached by others.
pub const OWN_KEYS_VALIDITY: Duration = Duration::from_secs(24 * 3600);

/// Events that one task verifies in a row.
pub const VERIFY_CHUNK_EVENTS: usize = 64;

/// Threads that verify events at a time; a Pi has four cores.
pub const VERIFY_THREADS_MAX: usize = 4;

/// `Authorization` headers of a request that are looked at: one for each of a server's signing keys.
pub const AUTHORIZATION_HEADERS_MAX: usize = 4;

/// Media of other servers that is fetched at the same time; each takes a connection and a file.
pub const MEDIA_FETCHES_MAX: usize = 64;

/// How long fetching a file of another server may take: 50 MiB at 90 KiB a second.
pub const MEDIA_TIME_MAX: Duration = Duration::from_secs(600);

/// How long another server is asked to wait for an upload.
pub const MEDIA_UPLOAD_WAIT_TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes around a file in the body in which servers send it, at most.
pub const MEDIA_FRAME_BYTES_MAX: u64 = 64 * 1024;

/// Redirects followed to where another server keeps a file.
pub const MEDIA_REDIRECTS_MAX: usize = 3;

/// Servers that are asked for keys at a time.
pub const KEY_QUERIES_CONCURRENT_MAX: usize = 16;

/// An outage that began so recently is waited out by who needs keys: a server that is started anew is back by then.
/// One that lasts longer holds nobody up.
pub const KEY_OUTAGE_WAITED_OUT: Duration = Duration::from_secs(60);

/// The pause before such a server is asked again.
pub const KEYS_ASKED_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// How long a server is asked for keys, whatever the client wants: its user waits to send a message.
pub const KEY_QUERY_TIME_MAX: Duration = Duration::from_secs(30);

/// Users of one server whose device lists are asked for one by one, which keeps them good through later updates; more
/// are asked for together.
pub const DEVICE_LISTS_ASKED_SINGLY_MAX: usize = 4;
/// Servers that are asked in turn to let a user into a room: each may take its time.
pub const JOIN_CANDIDATES_MAX: usize = 20;

/// The time for a template of a membership, and for the signature on an invite: the other server looks up a few
/// events.
pub const MAKE_TIME_MAX: Duration = Duration::from_secs(40);

/// How long a client is kept waiting for a membership through other servers, which goes on after that. Proxies
/// give up after 60 seconds.
pub const JOIN_WAITED_FOR: Duration = Duration::from_secs(55);

/// Events of the state that comes with an invite or a knock: real servers send about ten.
pub const SHOWN_STATE_EVENTS_MAX: usize = 50;

/// Servers of another server's alias that are passed on: more are of no use to who wants to join.
pub const ALIAS_SERVERS_MAX: usize = 100;

/// Users whose entries in the directory wait to be brought up to date; further ones are when somebody finds them.
pub const STALE_PROFILES_WAITING_MAX: usize = 4_096;

/// Users of other servers whose profiles are asked for at a time.
pub const PROFILES_ASKED_MAX: usize = 32;

/// The time for a profile: somebody looks at an empty card.
pub const PROFILE_TIME_MAX: Duration = Duration::from_secs(20);

/// Bytes of an answer with a profile; the specification has 64 KiB for the profile itself.
pub const PROFILE_BYTES_MAX: u64 = 128 * 1024;

/// How long a profile is good without being asked for again.
pub const PROFILE_GOOD_FOR: Duration = Duration::from_secs(60);

/// Profiles that are remembered, with at most [`PROFILE_KNOWN_BYTES_MAX`] each: 2 MiB.
pub const PROFILES_KNOWN_MAX: usize = 512;

/// Bytes of a profile that is remembered.
pub const PROFILE_KNOWN_BYTES_MAX: usize = 4096;

/// Servers that are asked in turn about a room that this one is not in.
pub const SPACE_SERVERS_ASKED_MAX: usize = 3;

/// The time for one of them: a client waits for all.
pub const SPACE_TIME_MAX: Duration = Duration::from_secs(15);

/// Bytes of what one of them tells of a space: some 2,000 links.
pub const SPACE_BYTES_MAX: u64 = 2 * 1024 * 1024;

/// How long a client waits for a page of a space's rooms; what is not known by then comes with the next page.
pub const SPACE_PAGE_TIME_MAX: Duration = Duration::from_secs(40);

/// Spaces that are asked for at a time.
pub const SPACES_ASKED_MAX: usize = 32;

/// How long what was told of a space is good without being asked for again.
pub const SPACE_GOOD_FOR: Duration = Duration::from_secs(300);

/// Spaces that are remembered, with at most [`SPACE_KNOWN_BYTES_MAX`] each: 8 MiB if all were that large.
pub const SPACES_KNOWN_MAX: usize = 128;

/// Bytes of links and rooms of a space that is remembered.
pub const SPACE_KNOWN_BYTES_MAX: usize = 64 * 1024;
