//! Who finds whom in the user directory ([user directory]).
//!
//! A user is found by those who share a room with them, and by everybody if they are in a room that anybody may
//! join or read; where the operator says so, all users of this server are found too. The names are an index of
//! `users::user_directory`; whether somebody may be found is decided here, of those alone whose names fit, within
//! bounds of rows. Nothing is written. Main type: [`UserDirectory`].
//!
//! [user directory]: https://spec.matrix.org/v1.19/client-server-api/#user-directory

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, HashSet},
};

use ruma::{OwnedUserId, UserId};

use super::{EventStore, History, RoomError, RoomIndex, RoomStates, Viewer, limits};
use crate::{
    matrix::event::Event,
    storage::{
        Direction, Json, Read, ShortRoomId, ShortUserId, Storage, StorageError,
        records::{DirectoryEntry, Membership},
        tables::{ACCOUNTS, DIRECTORY_USERS, MEMBERSHIPS},
    },
    users::{
        ignored_users,
        user_directory::{having_word, words_of},
        words::{fold, words},
    },
};

/// Searches the user directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct UserDirectory {
    storage: Storage,
    index: RoomIndex,
    events: EventStore,
    states: RoomStates,
    shows_all: bool,
}

/// A user that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundUser {
    /// The user.
    pub user_id: OwnedUserId,
    /// The display name of the profile.
    pub display_name: Option<String>,
    /// The avatar's URL.
    pub avatar_url: Option<String>,
    /// Whether the user's own server should be asked for the profile.
    pub is_stale: bool,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct FoundUsers {
    /// The users, the likeliest first.
    pub users: Vec<FoundUser>,
    /// Whether there are, or may be, more.
    pub limited: bool,
}

/// What a client types, cut up.
#[derive(Debug)]
struct Term {
    /// All of it, folded.
    whole: String,
    /// The words that each found user has, as beginnings of words.
    words: Vec<String>,
    /// The beginning of the server's name, where a user id was typed.
    server: Option<String>,
}

impl Term {
    fn parse(text: &str) -> Self {
        let text = text.trim();
        let id = text.strip_prefix('@').and_then(|id| id.split_once(':'));
        let (named, server) = match id {
            Some((localpart, server)) => (localpart, Some(server.to_ascii_lowercase())),
            None => (text, None),
        };
        let found = words(named).into_iter().map(|word| word.text).take(limits::DIRECTORY_TERM_WORDS_MAX);
        Self { whole: fold(text.trim_start_matches('@')), words: found.collect(), server }
    }

    /// The word to look up: the longest fits the fewest users.
    fn rarest(&self) -> Option<&str> {
        self.words.iter().max_by_key(|word| word.chars().count()).map(String::as_str)
    }

    fn fits(&self, user_id: &UserId, entry: &DirectoryEntry) -> bool {
        let held = words_of(user_id, entry.display_name.as_deref());
        let starts_one = |word: &String| held.iter().any(|held| held.starts_with(word.as_str()));
        self.words.iter().all(starts_one)
            && self.server.as_ref().is_none_or(|server| user_id.server_name().as_str().starts_with(server))
    }

    /// 2 where the term is all of a name, 1 where a name starts with it, 0 for others.
    fn closeness(&self, user_id: &UserId, entry: &DirectoryEntry) -> u8 {
        let id = user_id.as_str().trim_start_matches('@');
        let names = [entry.display_name.as_deref(), Some(user_id.localpart()), Some(id)];
        let closeness = names.into_iter().flatten().map(|name| {
            let name = fold(name);
            if name == self.whole { 2 } else { u8::from(name.starts_with(&self.whole)) }
        });
        closeness.max().unwrap_or(0)
    }
}

/// One search.
struct Search<'a> {
    directory: &'a UserDirectory,
    searcher: &'a Viewer,
    rooms: HashSet<ShortRoomId>,
    ignored: HashSet<OwnedUserId>,
    /// Which rooms anybody may join or read, as far as was looked.
    open: HashMap<ShortRoomId, bool>,
    /// Rows of memberships that may still be read.
    rows_left: usize,
}

impl UserDirectory {
    /// Over the rooms' readers. With `shows_all`, all users of this server are found by each other.
    pub fn new(
        storage: Storage,
        index: RoomIndex,
        events: EventStore,
        states: RoomStates,
        shows_all: bool,
    ) -> Self {
        Self { storage, index, events, states, shows_all }
    }

    /// The users whose names have all words of `term`, as beginnings of words, and whom the searcher may find:
    /// at most `limit` (kept under [`limits::DIRECTORY_RESULTS_MAX`]).
    pub fn search(&self, searcher: &Viewer, term: &str, limit: usize) -> Result<FoundUsers, RoomError> {
        let term = Term::parse(term);
        let Some(rarest) = term.rarest() else { return Ok(FoundUsers::default()) };
        let limit = limit.min(limits::DIRECTORY_RESULTS_MAX);
        let mut search = Search {
            directory: self,
            searcher,
            rooms: self.joined_rooms(searcher.user)?,
            ignored: ignored_users(&self.storage, searcher.user, &searcher.user_id)?,
            open: HashMap::new(),
            rows_left: limits::DIRECTORY_MEMBERSHIPS_READ_MAX,
        };
        let mut ranked = BTreeMap::new();
        let mut limited = false;
        let mut looked_at = HashSet::new();
        for (rows, user) in having_word(&self.storage, rarest).enumerate() {
            if rows >= limits::DIRECTORY_ROWS_READ_MAX || search.rows_left == 0 {
                limited = true;
                break;
            }
            let user = user?;
            if !looked_at.insert(user) {
                continue;
            }
            let Some((found, shares)) = search.candidate(user, &term)? else { continue };
            let closeness = term.closeness(&found.0, &found.1);
            let has_profile = found.1.display_name.is_some() || found.1.avatar_url.is_some();
            let rank = Reverse((closeness == 2, shares, closeness, has_profile));
            ranked.insert((rank, found.0), found.1);
            if ranked.len() > limit {
                limited = true;
                ranked.pop_last();
            }
        }
        let users = ranked.into_iter().map(|((_, user_id), entry)| FoundUser {
            user_id,
            display_name: entry.display_name,
            avatar_url: entry.avatar_url,
            is_stale: entry.is_stale,
        });
        Ok(FoundUsers { users: users.collect(), limited })
    }

    fn joined_rooms(&self, user: ShortUserId) -> Result<HashSet<ShortRoomId>, StorageError> {
        let joined = |row: Result<(ShortRoomId, _), StorageError>| {
            row.map(|(room, row): (_, crate::storage::records::MembershipRow)| {
                (row.membership == Membership::Join).then_some(room)
            })
            .transpose()
        };
        self.index.rooms_of(user).filter_map(joined).take(limits::DIRECTORY_OWN_ROOMS_MAX).collect()
    }

    /// Whether anybody may join or read a room, as far as this server knows: it must be in it.
    fn is_open(&self, room: ShortRoomId) -> Result<bool, RoomError> {
        if !self.index.has_local_member(room)? {
            return Ok(false);
        }
        let state = self.index.current_state(room)?;
        let says = |event_type: &str, open: fn(&Event) -> bool| {
            let Some(short) = self.states.get(state, event_type, "")? else { return Ok(false) };
            Ok::<_, RoomError>(self.events.get(short)?.is_some_and(|stored| open(&stored.event)))
        };
        Ok(says("m.room.join_rules", |event| {
            event.content_field::<String>("join_rule").as_deref() == Some("public")
        })? || says("m.room.history_visibility", |event| History::of(event) == History::WorldReadable)?)
    }
}

impl Search<'_> {
    /// The user, if the term fits and the searcher may find them, and whether the two share a room.
    #[allow(clippy::type_complexity, reason = "taken apart at once")]
    fn candidate(
        &mut self,
        user: ShortUserId,
        term: &Term,
    ) -> Result<Option<((OwnedUserId, DirectoryEntry), bool)>, RoomError> {
        let storage = &self.directory.storage;
        let Some(Json(entry)) = storage.get(&DIRECTORY_USERS, &user)? else { return Ok(None) };
        let user_id = storage.user_id(user)?;
        if !term.fits(&user_id, &entry) || self.ignored.contains(&user_id) {
            return Ok(None);
        }
        let (shares, is_in_open_room) = self.meets(user)?;
        let is_found = shares
            || is_in_open_room
            || (self.directory.shows_all
                && storage.contains(&ACCOUNTS, &user)?
                && user != self.searcher.user);
        Ok(is_found.then_some(((user_id, entry), shares)))
    }

    /// Whether a user shares a room with the searcher, and whether one of theirs is open to anybody; the second
    /// only where it is not the first. Nobody meets themselves.
    fn meets(&mut self, user: ShortUserId) -> Result<(bool, bool), RoomError> {
        let directory = self.directory;
        let mut is_in_open_room = false;
        let range = MEMBERSHIPS.prefix(&(user,));
        let rows = directory.storage.scan(&MEMBERSHIPS, &range, Direction::Forward);
        for row in rows.take(self.rows_left.min(limits::DIRECTORY_ROOMS_OF_USER_MAX)) {
            let ((_, room), row) = row?;
            self.rows_left -= 1;
            if row.membership != Membership::Join {
                continue;
            }
            if user != self.searcher.user && self.rooms.contains(&room) {
                return Ok((true, is_in_open_room));
            }
            if !is_in_open_room {
                is_in_open_room = self.is_open(room)?;
            }
        }
        Ok((false, is_in_open_room))
    }

    fn is_open(&mut self, room: ShortRoomId) -> Result<bool, RoomError> {
        if let Some(known) = self.open.get(&room) {
            return Ok(*known);
        }
        let is_open = self.directory.is_open(room)?;
        self.open.insert(room, is_open);
        Ok(is_open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        rooms::{creation::NewRoom, testing::RoomsFixture},
        storage::{Read, records::AccountRecord},
        users::user_directory::{self, ShownProfile},
    };
    use ruma::MilliSecondsSinceUnixEpoch;

    struct World {
        rooms: RoomsFixture,
    }

    impl World {
        fn new(users: &[(&str, Option<&str>)]) -> Self {
            let rooms = RoomsFixture::new();
            for (localpart, name) in users {
                let user_id = RoomsFixture::user(localpart);
                let displayname = name.map(str::to_owned);
                let record = AccountRecord {
                    password_hash: None,
                    is_admin: false,
                    is_deactivated: false,
                    is_locked: false,
                    is_suspended: false,
                    created_at: MilliSecondsSinceUnixEpoch(0_u32.into()),
                    appservice: None,
                    is_guest: false,
                    is_erased: false,
                    user_type: None,
                    message_rate: None,
                };
                rooms
                    .storage
                    .write(|tx| {
                        let user = tx.intern_user(&user_id)?;
                        tx.put(&ACCOUNTS, &user, &Json(record));
                        let shown = ShownProfile { displayname, avatar_url: None };
                        user_directory::put(tx, user, &user_id, shown)
                    })
                    .unwrap();
            }
            Self { rooms }
        }

        fn search(&self, searcher: &str, term: &str, shows_all: bool) -> Vec<String> {
            let RoomsFixture { storage, index, events, states, .. } = &self.rooms;
            let directory =
                UserDirectory::new(storage.clone(), index.clone(), events.clone(), states.clone(), shows_all);
            let user_id = RoomsFixture::user(searcher);
            let user = storage.short_user_id(&user_id).unwrap().unwrap();
            let searcher = Viewer { user, user_id, device_id: None };
            let found = directory.search(&searcher, term, 10).unwrap();
            found.users.iter().map(|user| user.user_id.localpart().to_owned()).collect()
        }
    }

    #[test]
    fn those_are_found_who_share_a_room_or_are_in_an_open_one() {
        let world = World::new(&[("alice", None), ("alina", None), ("bob", None), ("alfred", None)]);
        let [alice, alina, bob] = ["alice", "alina", "bob"].map(RoomsFixture::user);
        assert!(world.search("bob", "al", false).is_empty());
        let private = world.rooms.create(NewRoom::by(bob.clone()));
        world.rooms.set_membership(&private, &bob, &alice, "invite").unwrap();
        assert!(world.search("bob", "al", false).is_empty(), "an invite shows nobody");
        world.rooms.join(&private, &alice);
        assert_eq!(world.search("bob", "al", false), ["alice"]);
        assert_eq!(world.search("alice", "bob", false), ["bob"]);
        assert!(world.search("alfred", "al", false).is_empty());
        world.rooms.public_room(&alina);
        assert_eq!(world.search("bob", "al", false), ["alice", "alina"], "who shares a room comes first");
        assert_eq!(world.search("alfred", "al", false), ["alina"]);
        assert_eq!(world.search("alfred", "al", true), ["alice", "alina"], "never oneself");
        assert!(world.search("bob", "bob", false).is_empty());
    }

    #[test]
    fn names_are_found_by_beginnings_of_their_words() {
        let world = World::new(&[
            ("anna-2", Some("Anna Ångström")),
            ("an", Some("Zed")),
            ("hans", Some("Hans Annason")),
            ("searcher", None),
        ]);
        for user in ["anna-2", "an", "hans"] {
            world.rooms.public_room(&RoomsFixture::user(user));
        }
        assert_eq!(world.search("searcher", "an", false), ["an", "anna-2", "hans"]);
        assert_eq!(world.search("searcher", "ANG ann", false), ["anna-2"]);
        assert_eq!(world.search("searcher", "anna ångström", false), ["anna-2"]);
        assert_eq!(world.search("searcher", "@anna-2:example.org", false), ["anna-2"]);
        assert_eq!(world.search("searcher", "@ann", false), ["anna-2", "hans"]);
        for nobody in ["@anna-2:elsewhere.org", "na", "", " ", "@", ":", "anna zed"] {
            assert!(world.search("searcher", nobody, false).is_empty(), "{nobody}");
        }
    }
}
