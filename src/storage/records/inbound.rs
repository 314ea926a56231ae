//! Rows of what other servers send.

use ruma::OwnedServerName;

use crate::storage::{
    codec::{CodecError, Key},
    value::Value,
};

/// A PDU that waits to be worked off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InboundPduRow {
    /// The server that sent it, not necessarily its sender's.
    pub origin: OwnedServerName,
    /// When it arrived, in milliseconds since 1970.
    pub arrived_ms: u64,
    /// The text, as it was sent.
    pub pdu: Vec<u8>,
}

impl Value for InboundPduRow {
    fn to_value(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.pdu.len() + 64);
        self.origin.encode(&mut out);
        self.arrived_ms.encode(&mut out);
        out.extend_from_slice(&self.pdu);
        out
    }

    fn from_value(mut bytes: &[u8]) -> Result<Self, CodecError> {
        let (origin, arrived_ms) = Key::decode(&mut bytes)?;
        Ok(Self { origin, arrived_ms, pdu: bytes.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn waiting_pdus_round_trip(arrived_ms: u64, pdu: Vec<u8>) {
            let row = InboundPduRow { origin: OwnedServerName::try_from("a.example:8448").unwrap(), arrived_ms, pdu };
            prop_assert_eq!(InboundPduRow::from_value(&row.to_value()).unwrap(), row);
        }
    }
}
