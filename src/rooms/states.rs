//! States by root: the state tree over the store's table of nodes.

use std::{convert::Into, sync::Arc};

use super::{RoomError, StoredEvent};
use crate::{
    state::tree::{CachedSource, NodeCache, NodeHash, NodeSource, StateRoot, StateTree, TreeError, Update},
    storage::{Read, ShortEventId, ShortStateKeyId, Storage, StorageError, Transaction, tables::STATE_NODES},
};

/// The table of nodes, as any reader sees it.
#[derive(Debug, Clone, Copy)]
pub struct TableNodes<'r, R>(&'r R);

impl<R: Read> NodeSource for TableNodes<'_, R> {
    type Error = StorageError;

    fn node(&self, hash: &NodeHash) -> Result<Option<Arc<[u8]>>, StorageError> {
        Ok(self.0.get(&STATE_NODES, hash.as_bytes())?.map(Into::into))
    }
}

/// The operations on states.
pub(super) type Tree<'r, R> = StateTree<CachedSource<TableNodes<'r, R>>>;

/// Reads and changes states. Cheap to clone.
#[derive(Clone)]
pub struct RoomStates {
    storage: Storage,
    cache: Arc<NodeCache>,
}

impl std::fmt::Debug for RoomStates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoomStates").finish_non_exhaustive()
    }
}

/// One difference between two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateDifference {
    /// The event type and state key.
    pub key: ShortStateKeyId,
    /// The event before, if any.
    pub before: Option<ShortEventId>,
    /// The event after, if any.
    pub after: Option<ShortEventId>,
}

impl RoomStates {
    /// States of `storage`, with a cache of nodes of at most `cache_bytes`.
    pub fn new(storage: Storage, cache_bytes: usize) -> Self {
        Self { storage, cache: Arc::new(NodeCache::new(cache_bytes)) }
    }

    /// The operations on states over any reader.
    pub(super) fn tree<'r, R: Read>(&self, reader: &'r R) -> Tree<'r, R> {
        StateTree::new(CachedSource::new(self.cache.clone(), TableNodes(reader)))
    }

    /// The event that holds a key in a state.
    pub fn get(
        &self,
        root: StateRoot,
        event_type: &str,
        state_key: &str,
    ) -> Result<Option<ShortEventId>, RoomError> {
        match self.storage.short_state_key_id(event_type, state_key)? {
            Some(key) => self.get_short(root, key),
            None => Ok(None),
        }
    }

    /// The event that holds a key in a state.
    pub fn get_short(
        &self,
        root: StateRoot,
        key: ShortStateKeyId,
    ) -> Result<Option<ShortEventId>, RoomError> {
        Ok(self.tree(&self.storage).get(root, key.0)?.map(ShortEventId))
    }

    /// How many entries a state has.
    pub fn len(&self, root: StateRoot) -> Result<u64, RoomError> {
        Ok(self.tree(&self.storage).len(root)?)
    }

    /// The events that hold several keys, in their order.
    pub fn get_many(
        &self,
        root: StateRoot,
        keys: &[ShortStateKeyId],
    ) -> Result<Vec<Option<ShortEventId>>, RoomError> {
        let keys: Vec<u64> = keys.iter().map(|key| key.0).collect();
        let found = self.tree(&self.storage).get_many(root, &keys)?;
        Ok(found.into_iter().map(|event| event.map(ShortEventId)).collect())
    }

    /// All of a state but its members: what a room's cost must not grow with.
    pub fn without_members(
        &self,
        root: StateRoot,
    ) -> Result<Vec<(ShortStateKeyId, ShortEventId)>, RoomError> {
        self.range(root, ..ShortStateKeyId::FIRST_MEMBER.0)
    }

    /// A state's members. Walks them all: only for requests that ask for all members.
    pub fn members(&self, root: StateRoot) -> Result<Vec<(ShortStateKeyId, ShortEventId)>, RoomError> {
        self.range(root, ShortStateKeyId::FIRST_MEMBER.0..)
    }

    /// The member events of a state, of which at most `most` are read.
    pub fn first_members(
        &self,
        root: StateRoot,
        most: usize,
    ) -> Result<Vec<(ShortStateKeyId, ShortEventId)>, RoomError> {
        let tree = self.tree(&self.storage);
        let members = tree.range(root, ShortStateKeyId::FIRST_MEMBER.0..).take(most);
        members
            .map(|entry| Ok(entry.map(|(key, event)| (ShortStateKeyId(key), ShortEventId(event)))?))
            .collect()
    }

    fn range(
        &self,
        root: StateRoot,
        keys: impl std::ops::RangeBounds<u64>,
    ) -> Result<Vec<(ShortStateKeyId, ShortEventId)>, RoomError> {
        let tree = self.tree(&self.storage);
        tree.range(root, keys)
            .map(|entry| Ok(entry.map(|(key, event)| (ShortStateKeyId(key), ShortEventId(event)))?))
            .collect()
    }

    /// What differs between two states; costs the difference.
    pub fn diff(&self, before: StateRoot, after: StateRoot) -> Result<Vec<StateDifference>, RoomError> {
        let tree = self.tree(&self.storage);
        tree.diff(before, after)
            .map(|entry| {
                let (key, before, after) = entry?;
                Ok(StateDifference {
                    key: ShortStateKeyId(key),
                    before: before.map(ShortEventId),
                    after: after.map(ShortEventId),
                })
            })
            .collect()
    }

    /// The root that the state with one key set has. Nothing is written.
    pub fn root_with(
        &self,
        root: StateRoot,
        key: ShortStateKeyId,
        event: ShortEventId,
    ) -> Result<StateRoot, RoomError> {
        Ok(self.tree(&self.storage).set(root, key.0, event.0)?.root)
    }

    /// The state after a stored event whose state before is known. Its nodes are in the store, unless the event
    /// is rejected, as then it changes nothing.
    pub fn after(&self, stored: &StoredEvent) -> Result<StateRoot, RoomError> {
        let before = StateRoot::from_bytes(stored.meta.state_before);
        let Some(state_key) = stored.event.state_key().filter(|_| !stored.meta.status.is_rejected()) else {
            return Ok(before);
        };
        match self.storage.short_state_key_id(stored.event.event_type(), state_key)? {
            Some(key) => self.root_with(before, key, stored.short),
            None => Ok(before),
        }
    }

    /// Checks one stored node, and what it says of those below it.
    pub fn verify_node(&self, hash: NodeHash) -> Result<(), RoomError> {
        self.tree(&self.storage).verify_node(hash)?;
        Ok(())
    }

    /// Checks every node of a state.
    pub fn verify(&self, root: StateRoot) -> Result<(), RoomError> {
        self.tree(&self.storage).verify(root)?;
        Ok(())
    }

    /// The state with one key set; its new nodes go into the transaction.
    pub fn set(
        &self,
        transaction: &mut Transaction<'_>,
        root: StateRoot,
        key: ShortStateKeyId,
        event: ShortEventId,
    ) -> Result<StateRoot, TreeError<StorageError>> {
        let update = self.tree(transaction).set(root, key.0, event.0)?;
        Self::put_nodes(transaction, &update);
        Ok(update.root)
    }

    /// The state with several keys set or removed; its new nodes go into the transaction.
    pub fn update(
        &self,
        transaction: &mut Transaction<'_>,
        root: StateRoot,
        changes: &[(ShortStateKeyId, Option<ShortEventId>)],
    ) -> Result<StateRoot, TreeError<StorageError>> {
        let changes: Vec<_> =
            changes.iter().map(|(key, event)| (key.0, event.map(|event| event.0))).collect();
        let update = self.tree(transaction).update(root, &changes)?;
        Self::put_nodes(transaction, &update);
        Ok(update.root)
    }

    /// Puts the nodes of an update into a transaction.
    pub fn put_nodes(transaction: &mut Transaction<'_>, update: &Update) {
        for (hash, bytes) in &update.nodes {
            transaction.put(&STATE_NODES, hash.as_bytes(), bytes);
        }
    }

    /// Stores the nodes of an update at once. They are addressed by content, so nothing refers to them wrongly
    /// if nothing ever refers to them.
    pub fn store(&self, update: &Update) -> Result<(), StorageError> {
        if update.nodes.is_empty() {
            return Ok(());
        }
        self.storage.write(|transaction| {
            Self::put_nodes(transaction, update);
            Ok(())
        })
    }
}
