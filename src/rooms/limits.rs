//! The rooms' bounds, each with its reason.

use std::time::Duration;

/// Room records kept in memory: each is small, and nearly every request needs one.
pub const ROOM_RECORDS_CACHED_MAX: usize = 4_096;

/// Bytes that a cached event is counted with beside its JSON: the parsed fields.
pub const EVENT_CACHE_ENTRY_BYTES: u64 = 512;

/// Events in one page of history: what clients ask for at most, and a Pi can hold for several at once.
pub const PAGE_EVENTS_MAX: usize = 1_000;

/// Bytes of event JSON in one page: 1,000 events of the largest size would be 64 MiB.
pub const PAGE_BYTES_MAX: usize = 4 << 20;

/// Timeline rows read for one page, when a filter or the visibility drops most: bounds a request's time.
pub const PAGE_ROWS_READ_MAX: usize = 5_000;

/// Entries of a request's memo of visibility decisions, before it starts anew.
pub const VISIBILITY_MEMO_ENTRIES_MAX: usize = 4_096;

/// Member events followed back to find when a user was last in a room: bounds the reads for somebody who
/// has been invited and has declined ever again.
pub const MEMBER_EVENTS_FOLLOWED_MAX: usize = 32;

/// Relations followed to find an event's thread: the spec's advice.
pub const THREAD_HOPS_MAX: usize = 3;

/// Receipts of one room read for one answer: more readers than this are of no use to a client.
pub const RECEIPTS_READ_MAX: usize = 5_000;

/// Longest time for which one request marks a user as typing, in milliseconds.
pub const TYPING_MS_MAX: u64 = 120_000;

/// Shortest such time: less would be over before it is told.
pub const TYPING_MS_MIN: u64 = 1_000;

/// Users shown as typing in one room: nobody reads more names.
pub const TYPISTS_PER_ROOM_MAX: usize = 64;

/// Rooms in which typing is remembered; of those where nobody types any more, the oldest go first.
pub const TYPING_ROOMS_MAX: usize = 8_192;

/// Members after whom a room without a name is called: the spec's number.
pub const HEROES: usize = 5;

/// Aliases of one room: no room needs more, and each request for them reads all.
pub const ALIASES_PER_ROOM_MAX: usize = 1_000;

/// Rooms in the directory: a listing reads a row of each.
pub const DIRECTORY_ROOMS_MAX: usize = 10_000;

/// Rooms in one page of the directory.
pub const DIRECTORY_PAGE_MAX: usize = 100;

/// Parsed power levels kept in memory: one a busy room. An entry is at most about as large as an event.
pub const POWER_LEVELS_CACHED_MAX: usize = 256;

/// Events appended by one request, all in one transaction: room creation with its initial state and invites.
/// Each costs a signature, and the transaction keeps other writers waiting.
pub const BATCH_EVENTS_MAX: usize = 500;

/// How long a transaction id is remembered. Clients repeat a request within minutes.
pub const TRANSACTION_ID_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Sends between two removals of old transaction ids.
pub const TRANSACTION_ID_SWEEP_EVERY: u64 = 32;

/// Old transaction ids removed at once: twice as many as are added meanwhile, so that a backlog shrinks.
pub const TRANSACTION_ID_SWEEP_ROWS: usize = 64;

/// Rooms of a restricted room's allow list that are looked at for one join.
pub const ALLOWED_ROOMS_MAX: usize = 100;

/// Local members that are looked at to find one who may let a user into a restricted room.
pub const AUTHORISING_MEMBERS_MAX: usize = 50;

/// Tries to make a room whose id follows from its create event, each with a later time.
pub const ROOM_ID_TRIES_MAX: u64 = 16;

/// Outcomes of state resolutions kept in memory, some 100 bytes each: events on the same ends of a fork ask for
/// the same one.
pub const RESOLUTIONS_CACHED_MAX: usize = 1_024;
/// Bytes of compiled server access control lists kept in memory: most rooms have none, long ones have a few
/// dozen KiB.
pub const SERVER_ACL_CACHE_BYTES: u64 = 1 << 20;

/// Events of an auth chain that is told to another server: that of a room of 100,000 members has about as many.
pub const AUTH_CHAIN_EVENTS_MAX: usize = 400_000;

/// Events answered to a server that asks for history: as many as others answer.
pub const BACKFILL_EVENTS_MAX: usize = 100;

/// Events answered to a server that asks for what it missed: as many as others answer.
pub const MISSING_EVENTS_MAX: usize = 20;

/// Events that such a server may name on either side: rooms have few forward extremities.
pub const MISSING_EVENTS_NAMED_MAX: usize = 100;

/// Invited members of a room that are looked at to find one of a certain server.
pub const INVITED_LOOKED_AT_MAX: usize = 2_000;

/// Forward extremities above which this server joins them by an event of its own: each event that follows but
/// one of many costs a resolution over all.
pub const EXTREMITIES_UNJOINED_MAX: usize = 10;

/// Forward extremities that a room keeps where no local member may join them. Each event that forks the room
/// reads the states after all.
pub const EXTREMITIES_MAX: usize = 64;

/// Local members that are tried to find one who may send the event that joins a room's ends.
pub const JOINING_MEMBERS_TRIED_MAX: usize = 20;

/// Soft-failed and rejected events that are followed back from a new event, to find the ends behind them.
pub const UNACCEPTED_EVENTS_FOLLOWED_MAX: usize = 100;

/// Redactions that arrived before their target and are tried when it comes.
pub const IDLE_REDACTIONS_TRIED_MAX: usize = 16;

/// Entries of a state that are set in one step when a whole state is built or becomes the current one: a
/// transaction of some 200 KiB.
pub const STATE_CHANGES_PER_STEP: usize = 500;

/// Events known only by reference that are written in one transaction.
pub const OUTLIERS_PER_STEP: usize = 200;

/// Events taken in at once of those that another server answers to a request for history.
pub const BACKFILLED_EVENTS_MAX: usize = 500;

/// Steps of relations that are followed to find what relates to an event indirectly: the spec's advice.
pub const RELATION_DEPTH_MAX: u8 = 3;

/// The longest `rel_type` that makes a relation, in bytes: it stands in each row.
pub const REL_TYPE_BYTES_MAX: usize = 255;

/// Rows that are looked at when an event in the middle of relations comes or goes: bounds the transaction.
pub const RELATIONS_MOVED_MAX: usize = 1_000;

/// Newest edits of an event that are remembered with it: as many may be redacted one after the other before
/// older ones are forgotten.
pub const EDITS_SUMMED_MAX: usize = 8;

/// References that are told with an event, the oldest first.
pub const REFERENCES_TOLD_MAX: usize = 100;

/// Relations that a request answers when it asks for no number.
pub const RELATIONS_PAGE_DEFAULT: usize = 30;

/// Relations or threads in one page.
pub const RELATIONS_PAGE_MAX: usize = 100;

/// Ignored users whose events are taken off the count of a thread: each costs a read wherever its root is
/// shown.
pub const IGNORED_USERS_COUNTED_MAX: usize = 50;

/// Rooms in one page of a space's hierarchy; each costs about ten point reads.
pub const HIERARCHY_PAGE_MAX: usize = 50;

/// Levels of spaces below a space that are walked: the token of a page names a room a level.
pub const HIERARCHY_DEPTH_MAX: usize = 16;

/// Rooms visited for one page of a hierarchy, shown or not.
pub const HIERARCHY_ROOMS_VISITED_MAX: usize = 500;

/// Rooms of other servers that are asked for, for one page of a hierarchy.
pub const HIERARCHY_ROOMS_ASKED_MAX: usize = 50;

/// Rooms of which a walk remembers what other servers told along with their space; some 500 bytes each.
pub const HIERARCHY_ROOMS_TOLD_MAX: usize = 2_000;

/// Bytes of a page's token: [`HIERARCHY_DEPTH_MAX`] rooms' ids, of which each has 255 bytes at most.
pub const HIERARCHY_TOKEN_BYTES_MAX: usize = 8 * 1024;

/// Rooms of one space that are looked at.
pub const SPACE_CHILDREN_MAX: usize = 2_000;

/// Bans, or links of a space, that an upgrade carries into the successor: each set is one batch of events.
pub const STATE_CARRIED_MAX: usize = 400;

/// Events that are passed on the way to the one nearest to a time, as the reader may not see them.
pub const EVENT_TIMES_READ_MAX: usize = 1_000;

/// The longest reason of a report that is kept, in bytes.
pub const REPORT_REASON_BYTES_MAX: usize = 4_096;

/// Reports that are kept for the administrators; the oldest go first. A flood must not fill the disk.
pub const REPORTS_KEPT_MAX: u64 = 10_000;

/// Rooms in one page of those that two users share.
pub const MUTUAL_ROOMS_PAGE_MAX: usize = 100;

/// A user's rooms that are looked at for those shared with another user: a read each.
pub const MUTUAL_ROOMS_READ_MAX: usize = 10_000;
/// Servers of a room that are told to one that joins or asks for an alias: the largest rooms have a few thousand.
pub const SERVERS_TOLD_MAX: usize = 10_000;

/// Users that one search of the directory answers, as Synapse has it.
pub const DIRECTORY_RESULTS_MAX: usize = 50;

/// Words of a searched name that are looked at.
pub const DIRECTORY_TERM_WORDS_MAX: usize = 8;

/// Rows of the directory's index that one search reads: the beginnings of common names fit thousands.
pub const DIRECTORY_ROWS_READ_MAX: usize = 5_000;

/// Memberships of users with fitting names that one search reads, to tell who may be found: about 50 ms.
pub const DIRECTORY_MEMBERSHIPS_READ_MAX: usize = 20_000;

/// Memberships of one such user that are read.
pub const DIRECTORY_ROOMS_OF_USER_MAX: usize = 500;

/// Rooms of the searcher in which others are looked for.
pub const DIRECTORY_OWN_ROOMS_MAX: usize = 10_000;

/// Locks for deciding what becomes of delayed events, each for those whose id falls to it.
pub const DELAYED_LOCKS: usize = 64;

/// The device that delayed events count as sent with: no client's, so `unsigned` tells none of them that it was the
/// one.
pub const DELAYED_DEVICE: &str = "";

/// How long, in milliseconds, sending delayed events pauses when the store fails.
pub const DELAYED_RETRY_MS: u64 = 5_000;

/// Events that a user may have scheduled at once: each may be 64 KiB, and all may be due at the same moment.
pub const DELAYED_SCHEDULED_MAX: usize = 100;

/// A user's delayed events that are remembered after they were sent, refused or cancelled.
pub const DELAYED_DECIDED_MAX: usize = 100;

/// For how long, in milliseconds: the proposal's seven days.
pub const DELAYED_DECIDED_AGE_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// Local members that are looked at to find the most powerful one.
pub const LOCAL_MEMBERS_LOOKED_AT_MAX: usize = 2_000;

/// How long the deletion of rooms pauses when the store fails.
pub const DELETION_PAUSE: std::time::Duration = std::time::Duration::from_secs(60);

/// How long deletions are remembered after they ended.
pub const DELETIONS_KEPT: std::time::Duration = std::time::Duration::from_secs(7 * 24 * 3_600);

/// How long the deletion of a room waits, at most, until other servers have been sent what still waits for them of
/// it: a server that does not answer must not keep it for ever.
pub const DELETION_WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// Rows of one table that are removed with a room in one transaction: some milliseconds, as others wait.
pub const ROWS_PURGED_PER_STEP: usize = 1_000;

/// Members that are removed with a room in one transaction, with some rows each.
pub const MEMBERS_PURGED_PER_STEP: usize = 200;

/// Events that are removed with a room in one transaction, with some dozen rows each.
pub const EVENTS_PURGED_PER_STEP: usize = 100;

/// Events of all rooms that are looked at for one transaction.
pub const EVENTS_LOOKED_AT_PER_STEP: usize = 5_000;

/// How often it is looked whether that is so.
pub const DELETION_WAIT_STEP: std::time::Duration = std::time::Duration::from_millis(50);

/// Events of a room whose length stands for that of all, when its size is estimated.
pub const EVENTS_SAMPLED: usize = 100;

/// Terms by which one event is found: a long message has some hundred words that differ, and each is a row.
pub const SEARCH_TERMS_PER_EVENT_MAX: usize = 400;

/// The longest term that is told apart, in bytes: words of that length are rare, hashes and keys are not searched.
pub const SEARCH_TERM_BYTES_MAX: usize = 48;

/// Words of a search that are looked at.
pub const SEARCH_QUERY_WORDS_MAX: usize = 16;

/// Terms and beginnings of terms that a search looks up in each room; what is beyond is compared with the events.
pub const SEARCH_LOOKUPS_MAX: usize = 24;

/// Terms of a room that one beginning stands for, in the order of the alphabet: the word itself comes first.
pub const SEARCH_PREFIX_TERMS_MAX: usize = 32;

/// Up to how many terms of a beginning the index is asked whether an event has one; beyond, reading the event is
/// cheaper.
pub const SEARCH_TERMS_ASKED_MAX: usize = 4;

/// Rows of a term that are counted in a room to find the rarest word: what has more is common.
pub const SEARCH_RARITY_ROWS: usize = 16;

/// Rows of a term that are read of a room first; each time after twice as many, up to [`SEARCH_BATCH_ROWS`]. Who
/// searches thousands of rooms is shown the newest of few.
pub const SEARCH_FIRST_BATCH_ROWS: usize = 4;

/// Rows of a term that are read at once.
pub const SEARCH_BATCH_ROWS: usize = 64;

/// Rows of the index that one search reads; about 100 ms on a small machine.
pub const SEARCH_ROWS_READ_MAX: usize = 20_000;

/// Events that one search compares with what is searched, fitting or not; about 200 ms on a small machine.
pub const SEARCH_EVENTS_READ_MAX: usize = 5_000;

/// Up to where results are counted, beyond those that are shown.
pub const SEARCH_COUNTED_MAX: usize = 500;

/// Fitting events, the newest, of which the best are shown first.
pub const SEARCH_RANKED_MAX: usize = 1_000;

/// Results that pages of one search come to; whoever has seen so many looks for something else.
pub const SEARCH_PAGED_MAX: usize = 4_000;

/// Results in one page when the client asks for no number.
pub const SEARCH_RESULTS_DEFAULT: usize = 10;

/// Results in one page: each may come with its surroundings.
pub const SEARCH_RESULTS_MAX: usize = 100;

/// Events before, and events after, a result that are shown with it.
pub const SEARCH_CONTEXT_MAX: usize = 20;

/// Words that a page names for clients to mark.
pub const SEARCH_HIGHLIGHTS_MAX: usize = 50;

/// Rooms that one search looks into: some point reads each.
pub const SEARCH_ROOMS_MAX: usize = 10_000;

/// Rooms before a room that is searched, each of which was replaced by the next, that are searched with it.
pub const SEARCH_PREDECESSORS_MAX: usize = 10;

/// Old events that are added to the index in one transaction: some milliseconds.
pub const SEARCH_BACKLOG_EVENTS: usize = 100;

/// How long requests have the store for themselves between two such transactions.
pub const SEARCH_BACKLOG_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);

/// Members of a room whose whole state is told with results; of larger rooms only those who sent the results are.
pub const SEARCH_MEMBERS_MAX: usize = 5_000;

/// Changes of threads that a user follows in one page, as MSC4308 has it by default.
pub const SUBSCRIPTIONS_PAGE_MAX: usize = 100;

/// Sticky events of one room that one answer tells: a call of some hundred people.
pub const STICKY_TOLD_MAX: usize = 1_000;

/// Rows of sticky events whose time is over that go when another comes.
pub const STICKY_REMOVED_AT_ONCE: usize = 50;
