//! The index behind the user directory: whom this server knows by name, and the words that each is found by.
//!
//! It holds this server's users by the name of their profile, and other servers' users who have joined a room
//! here. A name that such a user shows in one room only must not be found by those who are not in it, so a
//! member event that differs from what is known changes nothing here: it marks the entry as stale, and the
//! user's own server is asked ([`stale`](DirectoryEntry::is_stale)). Who may find whom is not decided here: see
//! `rooms::UserDirectory`. Each change costs the words of one name. Main type: [`DirectoryEntry`].

use std::collections::BTreeSet;

use ruma::UserId;
use serde::{Deserialize, Serialize};

use super::{
    Profile, limits,
    words::{Script, cut, words},
};
use crate::storage::{
    ChangeScope, Direction, Json, Read, ShortUserId, Storage, StorageError, StreamPosition, Transaction,
    records::DirectoryEntry,
    tables::{ACCOUNTS, DIRECTORY_USERS, DIRECTORY_WORDS},
};

/// What a member event says of its user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownProfile {
    /// The display name.
    #[serde(default)]
    pub displayname: Option<String>,
    /// The avatar's URL.
    #[serde(default)]
    pub avatar_url: Option<String>,
}

impl ShownProfile {
    /// Name and avatar of a profile.
    pub fn of(profile: &Profile) -> Self {
        Self {
            displayname: profile.display_name().map(str::to_owned),
            avatar_url: profile.avatar_url().map(ToString::to_string),
        }
    }

    /// Cut to what the directory keeps: other servers' names may be of any length.
    fn bounded(self) -> Self {
        let bounded = |text: Option<String>, bytes_max: usize| {
            text.filter(|text| !text.is_empty()).map(|text| cut(&text, bytes_max).to_owned())
        };
        Self {
            displayname: bounded(self.displayname, limits::DISPLAY_NAME_BYTES_MAX),
            avatar_url: bounded(self.avatar_url, limits::AVATAR_URL_BYTES_MAX),
        }
    }
}

/// The words by which a user is found: those of the name and of the local part of the id. A run of a script
/// without spaces is found from each of its characters on.
pub fn words_of(user_id: &UserId, display_name: Option<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // The id first: it must be found whatever the name is.
    let texts = [user_id.localpart()].into_iter().chain(display_name);
    for word in texts.flat_map(words) {
        let starts: Vec<usize> = match word.script {
            Script::Spaced => vec![0],
            Script::Unspaced => word.text.char_indices().map(|(start, _)| start).collect(),
        };
        for start in starts {
            if found.len() >= limits::DIRECTORY_WORDS_MAX {
                return found;
            }
            let rest = word.text.get(start..).unwrap_or_default();
            found.insert(cut(rest, limits::DIRECTORY_WORD_BYTES_MAX).to_owned());
        }
    }
    found
}

/// Puts a user into the directory, or brings the entry up to date.
pub fn put(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    user_id: &UserId,
    shown: ShownProfile,
) -> Result<(), StorageError> {
    let shown = shown.bounded();
    let words = words_of(user_id, shown.displayname.as_deref());
    remove_words(tx, user, user_id, Some(&words))?;
    for word in words {
        tx.put(&DIRECTORY_WORDS, &(word, user), &());
    }
    let entry =
        DirectoryEntry { display_name: shown.displayname, avatar_url: shown.avatar_url, is_stale: false };
    tx.put(&DIRECTORY_USERS, &user, &Json(entry));
    Ok(())
}

/// Brings the entry of a user up to date, if there is one.
pub fn update(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    user_id: &UserId,
    shown: ShownProfile,
) -> Result<(), StorageError> {
    if tx.contains(&DIRECTORY_USERS, &user)? { put(tx, user, user_id, shown) } else { Ok(()) }
}

/// Puts the accounts in that are not there: they are older than the directory. A few accounts a transaction;
/// returns how many there were.
pub fn add_missing(storage: &Storage) -> Result<usize, StorageError> {
    let mut missing = Vec::new();
    let range = ACCOUNTS.all();
    for row in storage.scan(&ACCOUNTS, &range, Direction::Forward) {
        let (user, Json(account)) = row?;
        if !account.is_deactivated && !storage.contains(&DIRECTORY_USERS, &user)? {
            missing.push(user);
        }
    }
    for users in missing.chunks(limits::DIRECTORY_ADDED_AT_ONCE) {
        storage.write(|tx| users.iter().try_for_each(|user| add_account(tx, *user)))?;
    }
    Ok(missing.len())
}

fn add_account(tx: &mut Transaction<'_>, user: ShortUserId) -> Result<(), StorageError> {
    let is_active = tx.get(&ACCOUNTS, &user)?.is_some_and(|Json(account)| !account.is_deactivated);
    if is_active && !tx.contains(&DIRECTORY_USERS, &user)? {
        let (user_id, profile) = (tx.user_id(user)?, Profile::read(tx, user)?);
        put(tx, user, &user_id, ShownProfile::of(&profile))?;
    }
    Ok(())
}

/// Takes a user out of the directory.
pub fn remove(tx: &mut Transaction<'_>, user: ShortUserId, user_id: &UserId) -> Result<(), StorageError> {
    remove_words(tx, user, user_id, None)?;
    tx.delete(&DIRECTORY_USERS, &user);
    Ok(())
}

/// Another server's user is joined to a room and shows this name and avatar there: the first time that is all
/// that is known; later, what differs makes the entry stale, and is told by [`ChangeScope::StaleProfile`].
pub fn note_remote_member(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    user_id: &UserId,
    shown: ShownProfile,
    position: StreamPosition,
) -> Result<(), StorageError> {
    let Some(Json(known)) = tx.get(&DIRECTORY_USERS, &user)? else {
        return put(tx, user, user_id, shown);
    };
    let shown = shown.bounded();
    if known.is_stale || (known.display_name == shown.displayname && known.avatar_url == shown.avatar_url) {
        return Ok(());
    }
    tx.put(&DIRECTORY_USERS, &user, &Json(DirectoryEntry { is_stale: true, ..known }));
    tx.announce(ChangeScope::StaleProfile(user), position);
    Ok(())
}

/// The users who have a word that starts with `prefix`, which is folded; whose word it is whole come first. A
/// user comes once for each such word.
pub fn having_word<'r>(
    reader: &'r impl Read,
    prefix: &str,
) -> impl Iterator<Item = Result<ShortUserId, StorageError>> + 'r {
    let prefix = cut(prefix, limits::DIRECTORY_WORD_BYTES_MAX);
    let (from, until) = (prefix.to_owned(), format!("{prefix}{}", char::MAX));
    let range = DIRECTORY_WORDS.between(&(from, ShortUserId(0)), &(until, ShortUserId(0)));
    let rows = reader.scan(&DIRECTORY_WORDS, &range, Direction::Forward);
    rows.map(|row| row.map(|((_, user), ())| user))
}

fn remove_words(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    user_id: &UserId,
    keep: Option<&BTreeSet<String>>,
) -> Result<(), StorageError> {
    let Some(Json(before)) = tx.get(&DIRECTORY_USERS, &user)? else { return Ok(()) };
    for word in words_of(user_id, before.display_name.as_deref()) {
        if keep.is_none_or(|keep| !keep.contains(&word)) {
            tx.delete(&DIRECTORY_WORDS, &(word, user));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::Fixture;
    use ruma::user_id;
    use serde_json::json;

    fn found(storage: &Storage, prefix: &str) -> Vec<ShortUserId> {
        having_word(storage, prefix).collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn accounts_are_found_by_the_name_that_they_have_now() {
        let server = Fixture::new();
        let alice = server.user("alice-1");
        assert_eq!(found(&server.storage, "ali"), [alice.user]);
        server.profiles.set(alice.user, "displayname", json!("Zoë Ångström")).unwrap();
        assert_eq!(found(&server.storage, "zoe"), [alice.user]);
        assert_eq!(found(&server.storage, "ang"), [alice.user]);
        server.profiles.set(alice.user, "displayname", json!("Yara")).unwrap();
        assert_eq!(found(&server.storage, "zoe"), []);
        assert_eq!(found(&server.storage, "alice"), [alice.user]);
        server.accounts.deactivate(&alice.user_id, false).unwrap();
        for word in ["yara", "alice", "1", ""] {
            assert_eq!(found(&server.storage, word), [], "{word}");
        }
    }

    #[test]
    fn accounts_that_are_older_than_the_directory_are_added() {
        let server = Fixture::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        server.profiles.set(alice.user, "displayname", json!("Zoë")).unwrap();
        server.accounts.deactivate(&bob.user_id, false).unwrap();
        server.storage.write(|tx| remove(tx, alice.user, &alice.user_id)).unwrap();
        assert_eq!(found(&server.storage, "zoe"), []);
        assert_eq!(add_missing(&server.storage).unwrap(), 1);
        assert_eq!(found(&server.storage, "zoe"), [alice.user]);
        assert_eq!(found(&server.storage, "bob"), []);
        assert_eq!(add_missing(&server.storage).unwrap(), 0);
    }

    #[test]
    fn names_in_scripts_without_spaces_are_found_from_any_character() {
        let words = words_of(user_id!("@taro:example.org"), Some("山田太郎"));
        assert!(["山田太郎", "太郎", "taro"].iter().all(|word| words.contains(*word)));
    }

    #[test]
    fn a_long_name_has_few_words() {
        let name: String =
            (0..500).map(|number| format!("word{number} ")).collect::<String>() + &"字".repeat(1_000);
        let words = words_of(user_id!("@a:example.org"), Some(&name));
        assert_eq!(words.len(), limits::DIRECTORY_WORDS_MAX);
        assert!(words.iter().all(|word| word.len() <= limits::DIRECTORY_WORD_BYTES_MAX));
    }

    #[test]
    fn what_a_remote_user_shows_later_makes_the_entry_stale_and_no_more() {
        let server = Fixture::new();
        let bob = user_id!("@bob:elsewhere.org");
        let show = |name: &str| {
            let shown = ShownProfile { displayname: Some(name.to_owned()), avatar_url: None };
            server
                .storage
                .write(|tx| {
                    let user = tx.intern_user(bob)?;
                    note_remote_member(tx, user, bob, shown, StreamPosition(1))?;
                    Ok::<_, StorageError>(user)
                })
                .unwrap()
        };
        let user = show("Robert");
        assert_eq!(found(&server.storage, "robert"), [user]);
        show("Nickname");
        assert_eq!(found(&server.storage, "nickname"), []);
        let Json(entry) = server.storage.get(&DIRECTORY_USERS, &user).unwrap().unwrap();
        assert!(entry.is_stale);
        assert_eq!(entry.display_name.as_deref(), Some("Robert"));
    }
}
