//! An engine in memory, for tests.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{PoisonError, RwLock},
};

use super::engine::{Direction, Engine, EngineError, Family, Row, RowIterator, RowReader, RowWrite};

type Rows = BTreeMap<(Family, Vec<u8>), Vec<u8>>;

/// Keeps everything in one sorted map. A scan copies its range, and a snapshot copies everything: right for
/// tests, where data is small.
#[derive(Debug, Default)]
pub struct MemoryEngine {
    rows: RwLock<Rows>,
}

impl MemoryEngine {
    fn with<T>(&self, read: impl FnOnce(&Rows) -> T) -> T {
        read(&self.rows.read().unwrap_or_else(PoisonError::into_inner))
    }
}

fn scan(rows: &Rows, family: Family, lower: &[u8], upper: Option<&[u8]>, direction: Direction) -> Vec<Row> {
    if upper.is_some_and(|upper| upper <= lower) {
        return Vec::new();
    }
    let found = rows
        .range((Bound::Included((family, lower.to_vec())), Bound::Unbounded))
        .take_while(|((of, key), _)| *of == family && upper.is_none_or(|upper| key.as_slice() < upper))
        .map(|((_, key), value)| (key.as_slice().into(), value.as_slice().into()));
    let mut found: Vec<Row> = found.collect();
    if direction == Direction::Backward {
        found.reverse();
    }
    found
}

impl RowReader for MemoryEngine {
    fn get(&self, family: Family, key: &[u8]) -> Result<Option<Vec<u8>>, EngineError> {
        Ok(self.with(|rows| rows.get(&(family, key.to_vec())).cloned()))
    }

    fn multi_get(&self, family: Family, keys: &[Vec<u8>]) -> Result<Vec<Option<Vec<u8>>>, EngineError> {
        Ok(self.with(|rows| keys.iter().map(|key| rows.get(&(family, key.clone())).cloned()).collect()))
    }

    fn scan(
        &self,
        family: Family,
        lower: &[u8],
        upper: Option<&[u8]>,
        direction: Direction,
    ) -> RowIterator<'_> {
        Box::new(self.with(|rows| scan(rows, family, lower, upper, direction)).into_iter().map(Ok))
    }
}

impl Engine for MemoryEngine {
    fn write(&self, batch: &mut dyn Iterator<Item = RowWrite<'_>>) -> Result<(), EngineError> {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for RowWrite { family, key, value } in batch {
            match value {
                Some(value) => rows.insert((family, key.to_vec()), value.to_vec()),
                None => rows.remove(&(family, key.to_vec())),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), EngineError> {
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn RowReader + '_> {
        Box::new(Self { rows: RwLock::new(self.with(Rows::clone)) })
    }
}
