//! Tokens with which people may register, as administrators make them: with a number of uses and an end.
//!
//! A use is counted when somebody has gone through all stages; whoever has shown a token and is on the way holds a
//! use of it meanwhile (`pending`, kept by [`Uiaa`](super::Uiaa)). The main type is [`RegistrationTokens`].

use super::{Clock, UserError, limits, secrets};
use crate::storage::{
    Direction, Json, Read, Storage, StorageError, records::RegistrationTokenRecord,
    tables::REGISTRATION_TOKENS,
};

/// Keeps the tokens. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RegistrationTokens {
    storage: Storage,
    clock: Clock,
}

/// A token to be made.
#[derive(Debug, Clone, Default)]
pub struct NewRegistrationToken {
    /// The token; `None` for a random one.
    pub token: Option<String>,
    /// How many characters a random one has.
    pub length: usize,
    /// How often it may be used; `None` for as often as one likes.
    pub uses_allowed: Option<u64>,
    /// Until when it holds, in milliseconds since 1970; `None` for good.
    pub expires_at_ms: Option<u64>,
}

/// What is to be changed of a token; `None` leaves it as it is.
#[derive(Debug, Clone, Copy, Default)]
pub struct RegistrationTokenChange {
    /// Another number of uses.
    pub uses_allowed: Option<Option<u64>>,
    /// Another end.
    pub expires_at_ms: Option<Option<u64>>,
}

impl RegistrationTokens {
    /// The service.
    pub fn new(storage: Storage, clock: Clock) -> Self {
        Self { storage, clock }
    }

    /// All tokens, in the order of their texts.
    pub fn all(&self) -> Result<Vec<(String, RegistrationTokenRecord)>, StorageError> {
        let rows = self.storage.scan(&REGISTRATION_TOKENS, &REGISTRATION_TOKENS.all(), Direction::Forward);
        rows.map(|row| row.map(|(token, Json(record))| (token, record))).collect()
    }

    /// A token.
    pub fn get(&self, token: &str) -> Result<Option<RegistrationTokenRecord>, StorageError> {
        Ok(self.storage.get(&REGISTRATION_TOKENS, &token.to_owned())?.map(|Json(record)| record))
    }

    /// Whether somebody may register with a token of which so many uses are under way.
    pub fn is_valid(&self, record: &RegistrationTokenRecord, pending: u64) -> bool {
        let is_left =
            record.uses_allowed.is_none_or(|allowed| record.completed.saturating_add(pending) < allowed);
        is_left && record.expires_at_ms.is_none_or(|end| self.clock.now_ms() < end)
    }

    /// Makes a token; refuses one that exists, or whose text is not allowed.
    pub fn create(&self, new: NewRegistrationToken) -> Result<(String, RegistrationTokenRecord), UserError> {
        let token = match new.token {
            Some(token) => token,
            None => random_token(new.length)?,
        };
        check_text(&token)?;
        self.check_end(new.expires_at_ms)?;
        let record = RegistrationTokenRecord {
            uses_allowed: new.uses_allowed,
            completed: 0,
            expires_at_ms: new.expires_at_ms,
        };
        self.storage.write(|rows| {
            if rows.contains(&REGISTRATION_TOKENS, &token)? {
                return Err(UserError::InvalidToken("This token exists already"));
            }
            let all = rows.scan(&REGISTRATION_TOKENS, &REGISTRATION_TOKENS.all(), Direction::Forward);
            if all.count() >= limits::REGISTRATION_TOKENS_MAX {
                return Err(UserError::InvalidToken("There are as many tokens as there may be"));
            }
            rows.put(&REGISTRATION_TOKENS, &token, &Json(record.clone()));
            Ok(())
        })?;
        Ok((token, record))
    }

    /// Changes a token; `None` if there is no such token.
    pub fn change(
        &self,
        token: &str,
        change: RegistrationTokenChange,
    ) -> Result<Option<RegistrationTokenRecord>, UserError> {
        self.check_end(change.expires_at_ms.flatten())?;
        self.storage.write(|rows| {
            let key = token.to_owned();
            let Some(Json(mut record)) = rows.get(&REGISTRATION_TOKENS, &key)? else { return Ok(None) };
            record.uses_allowed = change.uses_allowed.unwrap_or(record.uses_allowed);
            record.expires_at_ms = change.expires_at_ms.unwrap_or(record.expires_at_ms);
            rows.put(&REGISTRATION_TOKENS, &key, &Json(record.clone()));
            Ok(Some(record))
        })
    }

    /// Removes a token; false if there is no such token.
    pub fn remove(&self, token: &str) -> Result<bool, StorageError> {
        self.storage.write(|rows| {
            let key = token.to_owned();
            let is_there = rows.contains(&REGISTRATION_TOKENS, &key)?;
            rows.delete(&REGISTRATION_TOKENS, &key);
            Ok(is_there)
        })
    }

    /// Counts a use; false if the token holds no more.
    pub(super) fn use_once(&self, token: &str) -> Result<bool, StorageError> {
        self.storage.write(|rows| {
            let key = token.to_owned();
            let Some(Json(mut record)) = rows.get(&REGISTRATION_TOKENS, &key)? else { return Ok(false) };
            if !self.is_valid(&record, 0) {
                return Ok(false);
            }
            record.completed += 1;
            rows.put(&REGISTRATION_TOKENS, &key, &Json(record));
            Ok(true)
        })
    }

    fn check_end(&self, end_ms: Option<u64>) -> Result<(), UserError> {
        if end_ms.is_some_and(|end| end <= self.clock.now_ms()) {
            return Err(UserError::InvalidToken("The token must not have ended already"));
        }
        Ok(())
    }
}

/// The characters and length that a token may have (client-server API, "Token-authenticated registration").
fn check_text(token: &str) -> Result<(), UserError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
    if token.is_empty()
        || token.len() > limits::REGISTRATION_TOKEN_BYTES_MAX
        || !token.bytes().all(is_allowed)
    {
        return Err(UserError::InvalidToken(
            "A token has up to 64 characters of A-Z, a-z, 0-9, `.`, `_`, `~` and `-`",
        ));
    }
    Ok(())
}

fn random_token(length: usize) -> Result<String, UserError> {
    if length == 0 || length > limits::REGISTRATION_TOKEN_BYTES_MAX {
        return Err(UserError::InvalidToken("A token has between 1 and 64 characters"));
    }
    let mut text = String::new();
    while text.len() < length {
        text.push_str(&secrets::random_secret()?);
    }
    text.truncate(length);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> (RegistrationTokens, crate::users::ManualClock) {
        let (clock, manual) = Clock::manual(1_000);
        (RegistrationTokens::new(Storage::in_memory().unwrap(), clock), manual)
    }

    #[test]
    fn a_token_is_used_up_and_ends() {
        let (tokens, clock) = tokens();
        let new = NewRegistrationToken {
            token: Some("abc".to_owned()),
            uses_allowed: Some(2),
            expires_at_ms: Some(5_000),
            ..NewRegistrationToken::default()
        };
        let (token, record) = tokens.create(new.clone()).unwrap();
        assert!(tokens.is_valid(&record, 1) && !tokens.is_valid(&record, 2), "those under way count");
        assert!(tokens.create(new).is_err(), "it exists");
        assert!(tokens.use_once(&token).unwrap() && tokens.use_once(&token).unwrap());
        assert!(!tokens.use_once(&token).unwrap());
        let more = RegistrationTokenChange { uses_allowed: Some(None), ..RegistrationTokenChange::default() };
        assert_eq!(tokens.change(&token, more).unwrap().unwrap().completed, 2);
        assert!(tokens.use_once(&token).unwrap());
        clock.advance_ms(4_000);
        assert!(!tokens.use_once(&token).unwrap(), "it has ended");
        assert!(tokens.remove(&token).unwrap() && !tokens.remove(&token).unwrap());
    }

    #[test]
    fn tokens_are_checked() {
        let (tokens, _) = tokens();
        let create = |token: Option<&str>, length, expires_at_ms| {
            let token = token.map(str::to_owned);
            tokens.create(NewRegistrationToken { token, length, uses_allowed: None, expires_at_ms })
        };
        let long = "a".repeat(65);
        for wrong in ["", "a b", "ä", long.as_str()] {
            assert!(create(Some(wrong), 0, None).is_err(), "{wrong:?}");
        }
        assert!(create(None, 0, None).is_err() && create(None, 65, None).is_err());
        assert!(create(Some("old"), 0, Some(1_000)).is_err());
        assert_eq!(create(None, 16, None).unwrap().0.len(), 16);
        assert_eq!(create(None, 64, None).unwrap().0.len(), 64);
    }
}
