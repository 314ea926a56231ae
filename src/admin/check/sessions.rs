//! Devices' tokens: each access and refresh token names its device both ways.

use super::{Checker, Report};
use crate::storage::{
    Direction, Json, Read, StorageError,
    tables::{ACCESS_TOKENS, DEVICE_REFRESH_TOKENS, DEVICE_TOKENS, DEVICES, REFRESH_TOKENS, TOKEN_EXPIRIES},
};

impl Checker<'_> {
    /// Tokens and devices name each other.
    pub(super) fn check_sessions(&self, report: &mut Report) -> Result<(), StorageError> {
        self.check_access_tokens(report)?;
        self.check_refresh_tokens(report)
    }

    fn check_access_tokens(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&ACCESS_TOKENS, &ACCESS_TOKENS.all(), Direction::Forward) {
            let (token, key) = row?;
            let newest = self.storage.get(&DEVICE_TOKENS, &key)?;
            let refresh = self.storage.get(&DEVICE_REFRESH_TOKENS, &key)?;
            let before = refresh.and_then(|Json(record)| record.before).map(|(access, _)| access);
            report.expect(newest == Some(token) || before == Some(token), || {
                format!("a token names {:?}'s device {}, which has others", key.0, key.1)
            });
        }
        for row in self.storage.scan(&DEVICE_TOKENS, &DEVICE_TOKENS.all(), Direction::Forward) {
            let (key, token) = row?;
            let back = self.storage.get(&ACCESS_TOKENS, &token)?;
            report.expect(back.as_ref() == Some(&key), || {
                format!("the token of {:?}'s device {} stands for {back:?}", key.0, key.1)
            });
            let exists = self.storage.contains(&DEVICES, &key)?;
            report.expect(exists, || {
                format!("DEVICE_TOKENS has a row of {:?}'s device {}, which is not there", key.0, key.1)
            });
        }
        for row in self.storage.scan(&TOKEN_EXPIRIES, &TOKEN_EXPIRIES.all(), Direction::Forward) {
            let (token, _) = row?;
            let exists = self.storage.contains(&ACCESS_TOKENS, &token)?;
            report.expect(exists, || "TOKEN_EXPIRIES has a row of no access token".to_owned());
        }
        Ok(())
    }

    fn check_refresh_tokens(&self, report: &mut Report) -> Result<(), StorageError> {
        for row in self.storage.scan(&REFRESH_TOKENS, &REFRESH_TOKENS.all(), Direction::Forward) {
            let (token, key) = row?;
            let record = self.storage.get(&DEVICE_REFRESH_TOKENS, &key)?.map(|Json(record)| record);
            let known = record.is_some_and(|record| {
                record.newest == token || record.before.is_some_and(|(_, refresh)| refresh == token)
            });
            report.expect(known, || {
                format!("a refresh token names {:?}'s device {}, which has others", key.0, key.1)
            });
        }
        for row in self.storage.scan(&DEVICE_REFRESH_TOKENS, &DEVICE_REFRESH_TOKENS.all(), Direction::Forward)
        {
            let (key, Json(record)) = row?;
            for token in
                [Some(record.newest), record.before.map(|(_, refresh)| refresh)].into_iter().flatten()
            {
                let back = self.storage.get(&REFRESH_TOKENS, &token)?;
                report.expect(back.as_ref() == Some(&key), || {
                    format!("a refresh token of {:?}'s device {} stands for {back:?}", key.0, key.1)
                });
            }
        }
        Ok(())
    }
}
