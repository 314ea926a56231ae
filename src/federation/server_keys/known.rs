//! Keys as they are kept: on disk for good, in memory ready for use.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use quick_cache::sync::Cache;
use ruma::OwnedServerName;

use super::{
    super::limits::KEY_CACHE_SERVERS_MAX,
    KeysByServer, ServerKeysError,
    document::{KeyDocument, keep_newest},
    millis,
};
use crate::{
    matrix::signing::VerifyKey,
    storage::{
        Json, Read, Storage, StorageError,
        records::{KeyDocumentRecord, ServerKeyRecord, ServerKeysRecord},
        tables::{KEY_DOCUMENTS, SERVER_KEYS},
    },
};

/// The keys of one server.
#[derive(Debug, Default, Clone)]
pub struct KnownKeys(BTreeMap<String, KnownKey>);

/// A key that is ready for use.
#[derive(Debug, Clone, Copy)]
pub struct KnownKey {
    /// The key.
    pub key: VerifyKey,
    /// Up to when it counts, in milliseconds since 1970.
    pub valid_until: u64,
    /// Whether it is one of the server's old keys.
    pub is_old: bool,
}

impl KnownKeys {
    /// The key, if it is known and counts at `valid_at`.
    pub fn find(&self, key_id: &str, valid_at: u64) -> Option<&KnownKey> {
        self.0.get(key_id).filter(|key| key.valid_until >= valid_at)
    }
}

/// Keys of records; those that are none are left out.
pub fn keys_of(records: &BTreeMap<String, ServerKeyRecord>) -> KnownKeys {
    let known = records.iter().filter_map(|(id, record)| {
        let key = VerifyKey::from_base64(&record.key).ok()?;
        let valid_until = millis(record.valid_until);
        Some((id.clone(), KnownKey { key, valid_until, is_old: record.is_old }))
    });
    KnownKeys(known.collect())
}

/// The keys on disk, with those in use in memory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct KeyStore {
    storage: Storage,
    cache: Arc<Cache<OwnedServerName, Arc<KnownKeys>>>,
}

impl KeyStore {
    /// Keeps keys in `storage`.
    pub fn new(storage: Storage) -> Self {
        Self { storage, cache: Arc::new(Cache::new(KEY_CACHE_SERVERS_MAX)) }
    }

    /// What is known of these servers.
    pub async fn keys(&self, servers: Vec<OwnedServerName>) -> Result<KeysByServer, ServerKeysError> {
        let (mut found, mut unread) = (KeysByServer::new(), Vec::new());
        for server in servers {
            match self.cache.get(&server) {
                Some(keys) => drop(found.insert(server, keys)),
                None => unread.push(server),
            }
        }
        if !unread.is_empty() {
            let storage = self.storage.clone();
            let read = blocking(move || {
                let rows = storage.get_many(&SERVER_KEYS, &unread)?;
                Ok(unread.into_iter().zip(rows).collect::<Vec<_>>())
            })
            .await?;
            for (server, row) in read {
                let Some(Json(record)) = row else { continue };
                let keys = Arc::new(keys_of(&record.keys));
                self.cache.insert(server.clone(), keys.clone());
                found.insert(server, keys);
            }
        }
        Ok(found)
    }

    /// The newest document of each of these servers, as far as one is kept.
    pub async fn documents(
        &self,
        servers: Vec<OwnedServerName>,
    ) -> Result<HashMap<OwnedServerName, KeyDocumentRecord>, ServerKeysError> {
        let storage = self.storage.clone();
        blocking(move || {
            let rows = storage.get_many(&KEY_DOCUMENTS, &servers)?;
            let pairs = servers.into_iter().zip(rows);
            Ok(pairs.filter_map(|(server, row)| Some((server, row?.0))).collect())
        })
        .await
    }

    /// Keeps what documents say, beside what was known before.
    pub async fn keep(&self, documents: Vec<KeyDocument>) -> Result<(), ServerKeysError> {
        let (storage, cache) = (self.storage.clone(), self.cache.clone());
        blocking(move || {
            let merged = storage.write(|rows| {
                let mut merged = Vec::new();
                for document in documents {
                    let before = rows.get(&SERVER_KEYS, &document.server)?.map(|Json(record)| record);
                    let record = merge(before.unwrap_or_default(), &document);
                    rows.put(&SERVER_KEYS, &document.server, &Json(record.clone()));
                    let kept = rows.get(&KEY_DOCUMENTS, &document.server)?;
                    if kept.is_none_or(|Json(kept)| kept.valid_until <= document.record.valid_until) {
                        rows.put(&KEY_DOCUMENTS, &document.server, &Json(document.record));
                    }
                    merged.push((document.server, record));
                }
                Ok::<_, StorageError>(merged)
            })?;
            for (server, record) in merged {
                cache.insert(server, Arc::new(keys_of(&record.keys)));
            }
            Ok(())
        })
        .await
    }
}

/// Adds a document's keys. A key that was seen with a later end keeps it, unless its server says that it is old
/// now; keys that the document does not name any more stay as they were.
fn merge(mut record: ServerKeysRecord, document: &KeyDocument) -> ServerKeysRecord {
    for (id, key) in &document.keys {
        let mut key = key.clone();
        if let Some(before) = record.keys.get(id)
            && before.key == key.key
            && !key.is_old
        {
            key.valid_until = key.valid_until.max(before.valid_until);
        }
        record.keys.insert(id.clone(), key);
    }
    keep_newest(&mut record.keys);
    record
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServerKeysError> + Send + 'static,
) -> Result<T, ServerKeysError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| ServerKeysError::Stopping)?
}
