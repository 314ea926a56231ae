//! Numbers in as few bytes as they need: LEB128, shortest form only, so that a number has one encoding.

use super::Corruption;

/// Appends `value` in 1 to 10 bytes.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Takes one number off the front of `input`.
pub(super) fn take(input: &mut &[u8]) -> Result<u64, Corruption> {
    let mut value = 0u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (&byte, rest) = input.split_first().ok_or(Corruption::Truncated)?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            return Err(Corruption::BadVarint);
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            // A zero last byte adds nothing: a shorter form exists.
            return if byte == 0 && shift > 0 { Err(Corruption::BadVarint) } else { Ok(value) };
        }
    }
    Err(Corruption::BadVarint)
}

/// A difference modulo 2^64 such that small steps either way become small numbers.
pub(super) fn zigzag(from: u64, to: u64) -> u64 {
    let step = to.wrapping_sub(from);
    (step << 1) ^ (if step >> 63 == 1 { u64::MAX } else { 0 })
}

/// The number that [`zigzag`] of `from` and it gave `coded`.
pub(super) fn unzigzag(from: u64, coded: u64) -> u64 {
    let step = (coded >> 1) ^ (if coded & 1 == 1 { u64::MAX } else { 0 });
    from.wrapping_add(step)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_has_one_encoding(value: u64, shift in 0u32..64) {
            let value = value >> shift;
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut input = bytes.as_slice();
            prop_assert_eq!(take(&mut input), Ok(value));
            prop_assert!(input.is_empty());

            // The same number, one byte longer.
            if let Some(last) = bytes.last_mut() { *last |= 0x80; }
            bytes.push(0);
            prop_assert_eq!(take(&mut bytes.as_slice()), Err(Corruption::BadVarint));
        }

        #[test]
        fn zigzag_round_trips(from: u64, to: u64) {
            prop_assert_eq!(unzigzag(from, zigzag(from, to)), to);
        }
    }

    #[test]
    fn small_steps_are_small() {
        assert_eq!([zigzag(5, 5), zigzag(5, 4), zigzag(5, 6), zigzag(5, 3)], [0, 1, 2, 3]);
    }

    #[test]
    fn more_than_64_bits_are_refused() {
        let mut ten = [0xff_u8; 10];
        ten[9] = 0x02;
        assert_eq!(take(&mut &ten[..]), Err(Corruption::BadVarint));
        ten[9] = 0x01;
        assert_eq!(take(&mut &ten[..]), Ok(u64::MAX));
        assert_eq!(take(&mut &[0xff_u8; 11][..]), Err(Corruption::BadVarint));
        assert_eq!(take(&mut &[0x80_u8][..]), Err(Corruption::Truncated));
    }
}
