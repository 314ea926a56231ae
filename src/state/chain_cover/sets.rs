//! Which of several sets.

/// Some of a number of sets that are known by their index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sets {
    words: Vec<u64>,
}

impl Sets {
    /// None of `count`.
    pub(super) fn none(count: usize) -> Self {
        Self { words: vec![0; count.div_ceil(64)] }
    }

    /// All of `count`.
    pub(super) fn all(count: usize) -> Self {
        let mut all = Self::none(count);
        (0..count).for_each(|index| all.insert(index));
        all
    }

    /// Adds the set at `index`, one of those counted.
    pub(super) fn insert(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    /// Adds those of `other`.
    pub(super) fn add(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    /// Whether it has all of `other`.
    pub(super) fn has(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).all(|(word, other)| word & other == *other)
    }
}
