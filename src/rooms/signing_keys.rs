//! This server's signing keys: made at the first start, kept in the store, the newest one used for signing.

use std::sync::Arc;

use ring::rand::{SecureRandom, SystemRandom};

use super::RoomError;
use crate::{
    matrix::signing::{KEY_BYTES, SigningKey},
    storage::{Direction, Read, Storage, tables::SIGNING_KEYS},
};

/// Random bytes in a key's version: enough that no two keys of a server share one.
const VERSION_BYTES: usize = 4;

/// The keys. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SigningKeys {
    active: Arc<SigningKey>,
}

impl SigningKeys {
    /// Reads the keys, or makes the first one.
    pub fn load_or_generate(storage: &Storage) -> Result<Self, RoomError> {
        let active = storage.write(|transaction| {
            let newest = transaction.scan(&SIGNING_KEYS, &SIGNING_KEYS.all(), Direction::Backward).next();
            if let Some(newest) = newest {
                return Ok(SigningKey::from_bytes(&newest?.1)?);
            }
            let key = generate()?;
            transaction.put(&SIGNING_KEYS, &1, &key.to_bytes());
            tracing::info!(key_id = key.key_id(), "made this server's signing key");
            Ok::<_, RoomError>(key)
        })?;
        Ok(Self { active: Arc::new(active) })
    }

    /// The key that new events and requests are signed with.
    pub fn active(&self) -> &SigningKey {
        &self.active
    }
}

fn generate() -> Result<SigningKey, RoomError> {
    let random = SystemRandom::new();
    let (mut seed, mut version) = ([0; KEY_BYTES], [0; VERSION_BYTES]);
    random.fill(&mut seed).map_err(|_| RoomError::NoRandomness)?;
    random.fill(&mut version).map_err(|_| RoomError::NoRandomness)?;
    Ok(SigningKey::from_seed(seed, &format!("{:08x}", u32::from_be_bytes(version)))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once() {
        let storage = Storage::in_memory().unwrap();
        let first = SigningKeys::load_or_generate(&storage).unwrap();
        let again = SigningKeys::load_or_generate(&storage).unwrap();
        assert_eq!(first.active().to_bytes(), again.active().to_bytes());

        let other = SigningKeys::load_or_generate(&Storage::in_memory().unwrap()).unwrap();
        assert_ne!(first.active().to_bytes(), other.active().to_bytes());
    }

    #[test]
    fn a_damaged_key_is_an_error_and_not_replaced() {
        let storage = Storage::in_memory().unwrap();
        storage
            .write(|transaction| {
                transaction.put(&SIGNING_KEYS, &1, &vec![1, 2, 3]);
                Ok::<_, RoomError>(())
            })
            .unwrap();
        assert!(matches!(SigningKeys::load_or_generate(&storage), Err(RoomError::SigningKey(_))));
    }
}
