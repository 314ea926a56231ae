//! Keys as bytes whose order is the order of the keys.
//!
//! Numbers are fixed-width big-endian, signed ones with the sign bit turned. Text ends with `00 00` and a
//! zero byte inside it becomes `00 FF`, so that a text is never a prefix of another's encoding and tuples
//! need no separators.

use ruma::{
    OwnedDeviceId, OwnedEventId, OwnedRoomAliasId, OwnedRoomId, OwnedServerName, OwnedTransactionId,
    OwnedUserId,
};

/// What is wrong with a row's bytes.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum CodecError {
    /// The bytes end early.
    #[error("the bytes end early")]
    Short,
    /// There are bytes left.
    #[error("{0} bytes are left over")]
    Trailing(usize),
    /// A part is not a valid value of its type.
    #[error("not a valid {what}: {why}")]
    Invalid {
        /// The type, for people.
        what: &'static str,
        /// The reason.
        why: String,
    },
}

impl CodecError {
    pub(crate) fn invalid(what: &'static str, why: impl ToString) -> Self {
        Self::Invalid { what, why: why.to_string() }
    }
}

/// A key, or a part of one.
pub trait Key: Sized {
    /// Appends the bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// Takes this part's bytes off the front of `input`.
    fn decode(input: &mut &[u8]) -> Result<Self, CodecError>;

    /// The bytes of this key alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        self.encode(&mut out);
        out
    }

    /// Decodes a whole key.
    fn from_bytes(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let key = Self::decode(&mut bytes)?;
        if bytes.is_empty() { Ok(key) } else { Err(CodecError::Trailing(bytes.len())) }
    }
}

/// The leading parts of a key `K`: a scan over a prefix visits just the keys that start with it.
pub trait KeyPrefix<K>: Key {}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N], CodecError> {
    let (head, rest) = input.split_first_chunk::<N>().ok_or(CodecError::Short)?;
    *input = rest;
    Ok(*head)
}

macro_rules! integer_keys {
    ($($t:ty),*) => {$(
        impl Key for $t {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_be_bytes());
            }
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                Ok(<$t>::from_be_bytes(take(input)?))
            }
        }
    )*};
}
integer_keys!(u8, u16, u32, u64);

impl Key for i64 {
    fn encode(&self, out: &mut Vec<u8>) {
        (self.cast_unsigned() ^ (1 << 63)).encode(out);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok((u64::decode(input)? ^ (1 << 63)).cast_signed())
    }
}

impl Key for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        match u8::decode(input)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(CodecError::invalid("boolean", other)),
        }
    }
}

impl<const N: usize> Key for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        take(input)
    }
}

impl Key for () {
    fn encode(&self, _out: &mut Vec<u8>) {}

    fn decode(_input: &mut &[u8]) -> Result<Self, CodecError> {
        Ok(())
    }
}

fn encode_text(bytes: &[u8], out: &mut Vec<u8>) {
    for &byte in bytes {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

fn decode_text(input: &mut &[u8]) -> Result<Vec<u8>, CodecError> {
    let mut text = Vec::new();
    let mut at = 0;
    loop {
        match (input.get(at), input.get(at + 1)) {
            (Some(0), Some(0)) => {
                *input = input.get(at + 2..).unwrap_or_default();
                return Ok(text);
            }
            (Some(0), Some(0xff)) => {
                text.push(0);
                at += 2;
            }
            (Some(0), Some(other)) => return Err(CodecError::invalid("text escape", other)),
            (Some(&byte), Some(_)) => {
                text.push(byte);
                at += 1;
            }
            _ => return Err(CodecError::Short),
        }
    }
}

impl Key for String {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self.as_bytes(), out);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        Self::from_utf8(decode_text(input)?).map_err(|e| CodecError::invalid("UTF-8 text", e))
    }
}

impl Key for Vec<u8> {
    fn encode(&self, out: &mut Vec<u8>) {
        encode_text(self, out);
    }

    fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
        decode_text(input)
    }
}

macro_rules! identifier_keys {
    ($($t:ty => $what:literal),* $(,)?) => {$(
        impl Key for $t {
            fn encode(&self, out: &mut Vec<u8>) {
                encode_text(self.as_str().as_bytes(), out);
            }
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                String::decode(input)?.try_into().map_err(|e| CodecError::invalid($what, format!("{e:?}")))
            }
        }
    )*};
}
identifier_keys!(
    OwnedEventId => "event id",
    OwnedRoomId => "room id",
    OwnedUserId => "user id",
    OwnedRoomAliasId => "room alias",
    OwnedServerName => "server name",
    OwnedDeviceId => "device id",
    OwnedTransactionId => "transaction id",
);

macro_rules! tuple_keys {
    ($(($($name:ident),+))*) => {$(
        impl<$($name: Key),+> Key for ($($name,)+) {
            #[allow(non_snake_case)]
            fn encode(&self, out: &mut Vec<u8>) {
                let ($($name,)+) = self;
                $($name.encode(out);)+
            }
            fn decode(input: &mut &[u8]) -> Result<Self, CodecError> {
                Ok(($($name::decode(input)?,)+))
            }
        }
    )*};
}
tuple_keys!((A)(A, B)(A, B, C)(A, B, C, D)(A, B, C, D, E));

impl<K> KeyPrefix<K> for () {}
impl<A: Key, B> KeyPrefix<(A, B)> for (A,) {}
impl<A: Key, B, C> KeyPrefix<(A, B, C)> for (A,) {}
impl<A: Key, B: Key, C> KeyPrefix<(A, B, C)> for (A, B) {}
impl<A: Key, B, C, D> KeyPrefix<(A, B, C, D)> for (A,) {}
impl<A: Key, B: Key, C, D> KeyPrefix<(A, B, C, D)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D> KeyPrefix<(A, B, C, D)> for (A, B, C) {}
impl<A: Key, B: Key, C, D, E> KeyPrefix<(A, B, C, D, E)> for (A, B) {}
impl<A: Key, B: Key, C: Key, D, E> KeyPrefix<(A, B, C, D, E)> for (A, B, C) {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check<K: Key + Ord + Clone + std::fmt::Debug>(a: K, b: K) {
        let (x, y) = (a.to_bytes(), b.to_bytes());
        assert_eq!(K::from_bytes(&x).unwrap(), a);
        assert_eq!(a.cmp(&b), x.cmp(&y), "{a:?} and {b:?}");
    }

    proptest! {
        #[test]
        fn numbers_keep_order(a: (u64, i64, u8), b: (u64, i64, u8)) {
            check(a, b);
        }

        #[test]
        fn texts_in_tuples_keep_order(a: (Vec<u8>, u32, Vec<u8>), b: (Vec<u8>, u32, Vec<u8>)) {
            check(a, b);
        }

        #[test]
        fn strings_with_zero_bytes_keep_order(a in "[\0-b]{0,6}", b in "[\0-b]{0,6}", n: u64) {
            check((a, n), (b, n));
        }

        #[test]
        fn any_bytes_decode_to_a_key_or_an_error(bytes: Vec<u8>) {
            let _ = <(String, u64)>::from_bytes(&bytes);
            let _ = <(Vec<u8>, bool, i64)>::from_bytes(&bytes);
        }
    }
}
