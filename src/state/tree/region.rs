//! The part of the key space below a node. Pure arithmetic on keys read as 32 digits of two bits.

/// Children that an inner node can have: one per value of a digit.
pub(super) const FAN_OUT: usize = 1 << DIGIT_BITS;

/// Bits of one digit; [`super`] says why two.
const DIGIT_BITS: u32 = 2;

/// Digits of a key.
const KEY_DIGITS: u8 = 32;

/// All keys that begin with the same `depth` digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Region {
    /// The lowest key: the shared digits, then zeros.
    first: u64,
    /// How many digits are shared, 0 to 32.
    depth: u8,
}

impl Region {
    /// The whole key space.
    pub const WHOLE: Self = Self { first: 0, depth: 0 };

    /// The smallest region that holds both keys.
    pub(super) fn spanning(a: u64, b: u64) -> Self {
        let shared_digits = (a ^ b).leading_zeros() / DIGIT_BITS;
        // At most 32, so the conversion keeps the value.
        Self::around(a, u8::try_from(shared_digits).unwrap_or(KEY_DIGITS))
    }

    /// The region of `depth` digits (at most 32) that holds `key`.
    pub(super) fn around(key: u64, depth: u8) -> Self {
        Self { first: key & !low_mask(depth), depth }
    }

    /// The lowest key of the region.
    pub fn first(self) -> u64 {
        self.first
    }

    /// The highest key of the region.
    pub fn last(self) -> u64 {
        self.first | low_mask(self.depth)
    }

    /// How many leading digits the keys share, 0 (every key) to 32 (one key).
    pub fn depth(self) -> u8 {
        self.depth
    }

    /// Whether `key` begins with the region's digits.
    pub fn contains(self, key: u64) -> bool {
        key & !low_mask(self.depth) == self.first
    }

    /// Whether every key of `other` is in this region.
    pub fn covers(self, other: Self) -> bool {
        other.depth >= self.depth && self.contains(other.first)
    }

    /// The digit of `key` that follows the shared ones, 0 to 3. For a region of one key, 0.
    pub(super) fn digit(self, key: u64) -> usize {
        if self.depth >= KEY_DIGITS {
            return 0;
        }
        let shift = u64::BITS - DIGIT_BITS * (u32::from(self.depth) + 1);
        // Masked to two bits, so the conversion keeps the value.
        usize::try_from((key >> shift) & (FAN_OUT as u64 - 1)).unwrap_or(0)
    }

    /// The part of this region whose next digit is `digit` (below [`FAN_OUT`]); a region of one key has no
    /// parts and answers itself.
    pub(super) fn child(self, digit: usize) -> Self {
        if self.depth >= KEY_DIGITS {
            return self;
        }
        let shift = u64::BITS - DIGIT_BITS * (u32::from(self.depth) + 1);
        Self { first: self.first | ((digit as u64) << shift), depth: self.depth + 1 }
    }

    /// Cuts `items`, which are in key order, into those before, inside and after the region.
    pub(super) fn split<T>(self, items: &[T], key: impl Fn(&T) -> u64) -> (&[T], &[T], &[T]) {
        let start = items.partition_point(|item| key(item) < self.first);
        let (before, rest) = items.split_at(start);
        let end = rest.partition_point(|item| key(item) <= self.last());
        let (inside, after) = rest.split_at(end);
        (before, inside, after)
    }
}

/// The bits of a key below its first `depth` digits.
fn low_mask(depth: u8) -> u64 {
    u64::MAX.checked_shr(DIGIT_BITS * u32::from(depth)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_spans_two_keys_exactly() {
        let region = Region::spanning(0b1000, 0b1011);
        assert_eq!((region.first(), region.last(), region.depth()), (0b1000, 0b1011, 31));
        assert_eq!(Region::spanning(7, 7), Region::around(7, 32));
        assert_eq!(Region::spanning(0, u64::MAX), Region::WHOLE);
    }

    #[test]
    fn children_part_a_region_without_gap() {
        for region in [Region::WHOLE, Region::around(0x1234_5678, 9), Region::around(u64::MAX, 31)] {
            let mut next = Some(region.first());
            for digit in 0..FAN_OUT {
                let child = region.child(digit);
                assert_eq!(Some(child.first()), next);
                assert!(region.covers(child) && !child.covers(region));
                assert_eq!(region.digit(child.last()), digit);
                next = child.last().checked_add(1);
            }
            assert_eq!(next, region.last().checked_add(1));
        }
    }

    #[test]
    fn split_keeps_order_and_every_item() {
        let keys = [0, 3, 4, 7, 8, u64::MAX];
        let (before, inside, after) = Region::around(4, 31).split(&keys, |key| *key);
        assert_eq!((before, inside, after), (&[0, 3][..], &[4, 7][..], &[8, u64::MAX][..]));
    }
}
