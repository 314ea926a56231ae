//! The user directory: each user's words lead to them, and nothing else does; local users have the name of their
//! profile.

use super::{Checker, Report};
use crate::{
    storage::{
        Direction, Json, Read, StorageError,
        tables::{ACCOUNTS, DIRECTORY_USERS, DIRECTORY_WORDS},
    },
    users::{Profile, user_directory::words_of},
};

impl Checker<'_> {
    /// Checks all of it.
    pub(super) fn check_directory(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&DIRECTORY_USERS, &DIRECTORY_USERS.all(), Direction::Forward) {
            let (user, Json(entry)) = row?;
            let Ok(user_id) = self.storage.user_id(user) else {
                report.problem(format!("the directory has {user:?}, which stands for no user"));
                continue;
            };
            for word in words_of(&user_id, entry.display_name.as_deref()) {
                let found = self.storage.contains(&DIRECTORY_WORDS, &(word.clone(), user))?;
                report.expect(found, || format!("the directory does not find {user_id} by `{word}`"));
            }
            if self.storage.contains(&ACCOUNTS, &user)? {
                let profile = Profile::read(self.storage, user)?;
                report.expect(profile.display_name() == entry.display_name.as_deref(), || {
                    format!("the directory has another name of {user_id} than their profile")
                });
            }
        }
        for row in self.storage.scan(&DIRECTORY_WORDS, &DIRECTORY_WORDS.all(), Direction::Forward) {
            let ((word, user), ()) = row?;
            let entry = self.storage.get(&DIRECTORY_USERS, &user)?;
            let held = match (entry, self.storage.user_id(user)) {
                (Some(Json(entry)), Ok(user_id)) => {
                    words_of(&user_id, entry.display_name.as_deref()).contains(&word)
                }
                _ => false,
            };
            report.expect(held, || format!("the directory finds {user:?} by `{word}`, which is not theirs"));
        }
        Ok(())
    }
}
