//! The rows of the chain-cover index (`state/chain_cover`). One is written with every state event, so numbers take
//! as few bytes as they need (LEB128, seven bits a byte, the lowest first).

use crate::storage::{
    codec::CodecError,
    short_ids::{ShortEventId, ShortStateKeyId},
    value::Value,
};

/// An event's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainPlaceRow {
    /// The chain.
    pub chain: u64,
    /// The event's place in it, from 1.
    pub sequence: u64,
}

/// A sequence number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainSequence(pub u64);

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChainEntryRow {
    /// The event.
    pub event: ShortEventId,
    /// Its type and state key.
    pub state_key: ShortStateKeyId,
    /// Its auth depth.
    pub depth: u64,
    /// Whether the chain that begins here is reserved to the event's key.
    pub is_reserved: bool,
    /// What it links to.
    pub links: Vec<ChainLinkRow>,
}

/// A link to an event of another chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainLinkRow {
    /// That chain.
    pub chain: u64,
    /// The event's place in it.
    pub sequence: u64,
    /// The event's auth depth.
    pub depth: u64,
}

impl Value for ChainPlaceRow {
    fn to_value(&self) -> Vec<u8> {
        numbers([self.chain, self.sequence])
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let row = Self { chain: take(&mut bytes)?, sequence: take(&mut bytes)? };
        finished(bytes).map(|()| row)
    }
}

impl Value for ChainSequence {
    fn to_value(&self) -> Vec<u8> {
        numbers([self.0])
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let row = Self(take(&mut bytes)?);
        finished(bytes).map(|()| row)
    }
}

impl Value for ChainEntryRow {
    fn to_value(&self) -> Vec<u8> {
        let mut out = vec![u8::from(self.is_reserved)];
        [self.event.0, self.state_key.0, self.depth].into_iter().for_each(|number| put(&mut out, number));
        for link in &self.links {
            // Nearly as deep as the event, mostly.
            let above = self.depth.wrapping_sub(link.depth);
            [link.chain, link.sequence, above].into_iter().for_each(|number| put(&mut out, number));
        }
        out
    }

    fn from_value(bytes: &[u8]) -> Result<Self, CodecError> {
        let (is_reserved, mut bytes) = match bytes.split_first() {
            Some((0, rest)) => (false, rest),
            Some((1, rest)) => (true, rest),
            Some((other, _)) => return Err(CodecError::invalid("boolean", other)),
            None => return Err(CodecError::Short),
        };
        let event = ShortEventId(take(&mut bytes)?);
        let state_key = ShortStateKeyId(take(&mut bytes)?);
        let depth = take(&mut bytes)?;
        let mut links = Vec::new();
        while !bytes.is_empty() {
            let (chain, sequence) = (take(&mut bytes)?, take(&mut bytes)?);
            links.push(ChainLinkRow { chain, sequence, depth: depth.wrapping_sub(take(&mut bytes)?) });
        }
        Ok(Self { event, state_key, depth, is_reserved, links })
    }
}

fn numbers<const N: usize>(numbers: [u64; N]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    numbers.into_iter().for_each(|number| put(&mut out, number));
    out
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    loop {
        let [low, ..] = number.to_le_bytes();
        number >>= 7;
        if number == 0 {
            out.push(low & 0x7f);
            return;
        }
        out.push(low | 0x80);
    }
}

fn take(input: &mut &[u8]) -> Result<u64, CodecError> {
    let mut number = 0_u64;
    for shift in (0..u64::BITS).step_by(7) {
        let (byte, rest) = input.split_first().ok_or(CodecError::Short)?;
        *input = rest;
        let bits = u64::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(CodecError::invalid("number", "more than 64 bits"))
}

fn finished(bytes: &[u8]) -> Result<(), CodecError> {
    if bytes.is_empty() { Ok(()) } else { Err(CodecError::Trailing(bytes.len())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn links() -> impl Strategy<Value = Vec<ChainLinkRow>> {
        let link = any::<(u64, u64, u64)>().prop_map(|(chain, sequence, depth)| ChainLinkRow {
            chain,
            sequence,
            depth,
        });
        prop::collection::vec(link, 0..5)
    }

    proptest! {
        #[test]
        fn rows_round_trip(numbers: (u64, u64, u64), shift in 0_u32..64, is_reserved: bool, links in links()) {
            let (event, state_key, depth) = (numbers.0 >> shift, numbers.1 >> shift, numbers.2 >> shift);
            let place = ChainPlaceRow { chain: event, sequence: depth };
            prop_assert_eq!(ChainPlaceRow::from_value(&place.to_value()), Ok(place));
            let sequence = ChainSequence(depth);
            prop_assert_eq!(ChainSequence::from_value(&sequence.to_value()), Ok(sequence));
            let (event, state_key) = (ShortEventId(event), ShortStateKeyId(state_key));
            let row = ChainEntryRow { event, state_key, depth, is_reserved, links };
            prop_assert_eq!(ChainEntryRow::from_value(&row.to_value()), Ok(row));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = ChainPlaceRow::from_value(&bytes);
            let _ = ChainSequence::from_value(&bytes);
            let _ = ChainEntryRow::from_value(&bytes);
        }
    }

    #[test]
    fn an_ordinary_row_is_small() {
        let link = |chain| ChainLinkRow { chain, sequence: 500, depth: 1_004 };
        let row = ChainEntryRow {
            event: ShortEventId(200_000),
            state_key: ShortStateKeyId(200_000),
            depth: 1_005,
            is_reserved: false,
            links: vec![link(5), link(8_000)],
        };
        assert_eq!(row.to_value().len(), 18);
    }
}
