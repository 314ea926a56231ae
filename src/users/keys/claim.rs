//! `POST /keys/claim`: handing one-time keys out, each once.

use std::collections::BTreeMap;

use ruma::{OwnedDeviceId, OwnedUserId};
use serde_json::value::RawValue;

use super::{EncryptionKeys, given};
use crate::{
    storage::{Direction, Json, Read, ShortUserId, StorageError, Transaction, records::KeyStock, tables},
    users::{UserError, limits},
};

/// Wanted algorithms by user and device.
pub type KeyClaims = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, String>>;

/// Keys by user, device and name (`algorithm:id`).
pub type ClaimedKeys = BTreeMap<OwnedUserId, BTreeMap<OwnedDeviceId, BTreeMap<String, Box<RawValue>>>>;

/// What a device has left: how many one-time keys by algorithm, and the algorithms of unused fallback keys.
pub type Stock = (BTreeMap<String, u64>, Vec<String>);

/// What one device gives.
type Given = BTreeMap<String, Box<RawValue>>;

impl EncryptionKeys {
    /// Claims keys of local users' devices: the one-time key uploaded first, or else the fallback key. A
    /// one-time key is deleted in the transaction that this answers from, and the answer must not leave before
    /// that is durable. Users of other servers, and devices without keys, are left out.
    pub fn claim(&self, claims: &KeyClaims) -> Result<ClaimedKeys, UserError> {
        if claims.values().map(BTreeMap::len).sum::<usize>() > limits::KEY_CLAIMS_MAX {
            let max = format!("{} claims", limits::KEY_CLAIMS_MAX);
            return Err(UserError::TooLarge { what: "A request", max });
        }
        self.storage.write(|tx| {
            let mut claimed = ClaimedKeys::new();
            for (user_id, of_devices) in claims.iter().filter(|(user_id, _)| self.is_local(user_id)) {
                let Some(user) = tx.short_user_id(user_id)? else { continue };
                for (device_id, algorithm) in of_devices {
                    let Some(key) = claim_one(tx, user, device_id, algorithm)? else { continue };
                    self.stock_changed(tx, user_id, (user, device_id.clone()));
                    claimed.entry(user_id.clone()).or_default().insert(device_id.clone(), key);
                }
            }
            Ok(claimed)
        })
    }

    /// [`stock`](Self::stock) by ids; `None` for a user that was never heard of.
    pub fn stock_of(
        &self,
        user_id: &ruma::UserId,
        device_id: &ruma::DeviceId,
    ) -> Result<Option<Stock>, StorageError> {
        let user = self.storage.short_user_id(user_id)?;
        user.map(|user| self.stock(user, device_id)).transpose()
    }

    /// What a device has left: its one-time keys by algorithm, and the algorithms of the fallback keys that
    /// were not given out yet.
    pub fn stock(&self, user: ShortUserId, device_id: &ruma::DeviceId) -> Result<Stock, StorageError> {
        let stock = self.storage.get(&tables::KEY_STOCKS, &(user, device_id.to_owned()))?;
        let Json(stock) = stock.unwrap_or(Json(KeyStock::default()));
        let fallback_keys = stock.fallback_keys.into_iter();
        let unused = fallback_keys.filter(|(_, key)| !key.used).map(|(algorithm, _)| algorithm).collect();
        Ok((stock.one_time_keys, unused))
    }
}

fn claim_one(
    tx: &mut Transaction<'_>,
    user: ShortUserId,
    device_id: &OwnedDeviceId,
    algorithm: &str,
) -> Result<Option<Given>, StorageError> {
    let device = (user, device_id.clone());
    let Some(Json(mut stock)) = tx.get(&tables::KEY_STOCKS, &device)? else { return Ok(None) };
    if let Some(given) = take_first(tx, &device, algorithm)? {
        if let Some(count) = stock.one_time_keys.get_mut(algorithm) {
            *count = count.saturating_sub(1);
        }
        tx.put(&tables::KEY_STOCKS, &device, &Json(stock));
        return Ok(Some(given));
    }
    let Some(fallback) = stock.fallback_keys.get_mut(algorithm) else { return Ok(None) };
    let given = Given::from([(format!("{algorithm}:{}", fallback.key_id), fallback.key.clone())]);
    if !fallback.used {
        fallback.used = true;
        tx.put(&tables::KEY_STOCKS, &device, &Json(stock));
    }
    Ok(Some(given))
}

/// Takes the one-time key that was uploaded first.
fn take_first(
    tx: &mut Transaction<'_>,
    (user, device_id): &(ShortUserId, OwnedDeviceId),
    algorithm: &str,
) -> Result<Option<Given>, StorageError> {
    let table = &tables::ONE_TIME_KEYS;
    let range = table.prefix(&(*user, device_id.clone(), algorithm.to_owned()));
    loop {
        let Some((at, text)) = tx.scan(table, &range, Direction::Forward).next().transpose()? else {
            return Ok(None);
        };
        tx.delete(table, &at);
        given::note(tx, &(*user, device_id.clone()), &given::hash(algorithm, &at.4, &text))?;
        match serde_json::from_slice::<Box<RawValue>>(&text) {
            Ok(key) => return Ok(Some(Given::from([(format!("{algorithm}:{}", at.4), key)]))),
            Err(e) => tracing::error!(%device_id, "a corrupt one-time key is dropped: {e}"),
        }
    }
}
