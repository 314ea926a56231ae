//! Filters that clients store, to name them in syncs (client-server API, "Filtering").

use ruma::api::client::filter::FilterDefinition;

use super::{UserError, limits, secrets};
use crate::storage::{Direction, Read, ShortUserId, Storage, StorageError, tables};

/// The service for filters; cheap to clone.
#[derive(Debug, Clone)]
pub struct Filters {
    storage: Storage,
}

impl Filters {
    /// The service.
    pub fn new(storage: Storage) -> Self {
        Self { storage }
    }

    /// Stores a filter and answers its id, which is a number. Clients store the same filter again with
    /// each start: it gets the id that it has.
    pub fn create(&self, user: ShortUserId, filter: &FilterDefinition) -> Result<String, UserError> {
        let too_large =
            || UserError::TooLarge { what: "A filter", max: format!("{} bytes", limits::FILTER_BYTES_MAX) };
        let json = serde_json::to_vec(filter).map_err(|_| too_large())?;
        if json.len() > limits::FILTER_BYTES_MAX {
            return Err(too_large());
        }
        let hash_key = (user, secrets::hash_bytes(&json));
        self.storage.write(|tx| {
            if let Some(id) = tx.get(&tables::FILTER_HASHES, &hash_key)? {
                return Ok(id.to_string());
            }
            let range = tables::FILTERS.prefix(&(user,));
            let newest = tx.scan(&tables::FILTERS, &range, Direction::Backward).next().transpose()?;
            let id = newest.map_or(0, |((_, id), _)| id + 1);
            if let Some(replaced) = id.checked_sub(limits::FILTERS_PER_USER_MAX)
                && let Some(json) = tx.get(&tables::FILTERS, &(user, replaced))?
            {
                tx.delete(&tables::FILTER_HASHES, &(user, secrets::hash_bytes(&json)));
                tx.delete(&tables::FILTERS, &(user, replaced));
            }
            tx.put(&tables::FILTERS, &(user, id), &json);
            tx.put(&tables::FILTER_HASHES, &hash_key, &id);
            Ok(id.to_string())
        })
    }

    /// The filter with this id, if the user has stored one.
    pub fn get(&self, user: ShortUserId, id: &str) -> Result<Option<FilterDefinition>, StorageError> {
        let Ok(id) = id.parse::<u64>() else { return Ok(None) };
        let Some(json) = self.storage.get(&tables::FILTERS, &(user, id))? else { return Ok(None) };
        let filter = serde_json::from_slice(&json);
        Ok(filter.inspect_err(|e| tracing::error!("the stored filter {id} of {user:?} is corrupt: {e}")).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::users::fixture::Fixture;
    use ruma::api::client::filter::RoomFilter;

    fn filter(n: u64) -> FilterDefinition {
        let mut filter = FilterDefinition::with_lazy_loading();
        filter.room.timeline.limit = Some(u32::try_from(n).unwrap().into());
        filter
    }

    #[test]
    fn a_filter_is_stored_once_and_belongs_to_its_user() {
        let server = Fixture::new();
        let (alice, bob) = (server.user("alice"), server.user("bob"));
        let id = server.filters.create(alice.user, &filter(1)).unwrap();
        assert_eq!(server.filters.create(alice.user, &filter(1)).unwrap(), id);
        assert_ne!(server.filters.create(alice.user, &filter(2)).unwrap(), id);
        let stored = server.filters.get(alice.user, &id).unwrap().unwrap();
        assert_eq!(stored.room.timeline.limit, filter(1).room.timeline.limit);
        assert!(!stored.room.state.lazy_load_options.is_disabled());
        assert!(server.filters.get(bob.user, &id).unwrap().is_none());
        for unknown in ["9", "", "x", "-1", "{}"] {
            assert!(server.filters.get(alice.user, unknown).unwrap().is_none(), "{unknown}");
        }
    }

    #[test]
    fn the_oldest_filter_makes_room() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let ids: Vec<_> = (0..=limits::FILTERS_PER_USER_MAX)
            .map(|n| server.filters.create(alice.user, &filter(n)).unwrap())
            .collect();
        assert!(server.filters.get(alice.user, &ids[0]).unwrap().is_none());
        assert!(server.filters.get(alice.user, &ids[1]).unwrap().is_some());
        let again = server.filters.create(alice.user, &filter(0)).unwrap();
        assert!(server.filters.get(alice.user, &again).unwrap().is_some());
    }

    #[test]
    fn a_huge_filter_is_refused() {
        let server = Fixture::new();
        let alice = server.user("alice");
        let room = format!("!{}:example.org", "a".repeat(100));
        let mut filter = FilterDefinition::default();
        filter.room = RoomFilter::default();
        filter.room.not_rooms = vec![ruma::RoomId::parse(room).unwrap(); 1_000];
        assert!(matches!(server.filters.create(alice.user, &filter), Err(UserError::TooLarge { .. })));
    }
}
