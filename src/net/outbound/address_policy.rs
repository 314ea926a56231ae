//! Which addresses may be connected to.
//!
//! Names, redirects and well-known documents come from strangers, who could otherwise make this server ask
//! things inside the operator's network. The check is made on the address that is about to be connected to,
//! so that no name that resolves differently the second time goes round it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use crate::config::AddressRange;

/// IPv4 ranges that are not the public internet (IANA's special-purpose registry, multicast, reserved).
const PRIVATE_V4: [Ipv4Net; 15] = [
    Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 8),
    Ipv4Net::new_assert(Ipv4Addr::new(10, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10),
    Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8),
    Ipv4Net::new_assert(Ipv4Addr::new(169, 254, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(172, 16, 0, 0), 12),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 0, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 88, 99, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(192, 168, 0, 0), 16),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 18, 0, 0), 15),
    Ipv4Net::new_assert(Ipv4Addr::new(198, 51, 100, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(203, 0, 113, 0), 24),
    Ipv4Net::new_assert(Ipv4Addr::new(224, 0, 0, 0), 4),
    Ipv4Net::new_assert(Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// What IPv6 has of the public internet.
const PUBLIC_V6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Ranges within it that are not: protocol assignments with Teredo, documentation, 6to4 (which holds an IPv4
/// address that could be anything), the old 6bone, documentation again.
const PRIVATE_V6: [Ipv6Net; 5] = [
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    Ipv6Net::new_assert(Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    Ipv6Net::new_assert(Ipv6Addr::new(0x3ffe, 0, 0, 0, 0, 0, 0, 0), 16),
    Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// IPv4 behind a translator (RFC 6052): the address in its last four bytes counts.
const TRANSLATED_V4: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Says which addresses may be connected to. The default allows the public internet.
#[derive(Clone, Debug, Default)]
pub struct AddressPolicy {
    allowed: Vec<AddressRange>,
    allows_all: bool,
}

impl AddressPolicy {
    /// The public internet, and the ranges that the operator allows besides.
    pub fn public_and(allowed: &[AddressRange]) -> Self {
        Self { allowed: allowed.to_vec(), allows_all: false }
    }

    /// Everything: for URLs that the operator has configured.
    pub fn everything() -> Self {
        Self { allowed: Vec::new(), allows_all: true }
    }

    /// Whether `address` may be connected to.
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allows_all || is_public(address) || self.allowed.iter().any(|range| range.contains(address))
    }
}

/// Whether an address belongs to the public internet.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !PRIVATE_V4.iter().any(|range| range.contains(&address)),
        IpAddr::V6(address) if TRANSLATED_V4.contains(&address) => {
            let [.., a, b, c, d] = address.octets();
            is_public(IpAddr::V4(Ipv4Addr::new(a, b, c, d)))
        }
        IpAddr::V6(address) => {
            PUBLIC_V6.contains(&address) && !PRIVATE_V6.iter().any(|range| range.contains(&address))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn inner_addresses_are_refused_in_every_notation() {
        let policy = AddressPolicy::public_and(&[]);
        for inner in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2002:7f00:1::",
            "2001:0:7f00:1::",
            "2001:db8::1",
            "100::1",
        ] {
            assert!(!policy.allows(address(inner)), "{inner}");
        }
        for outer in [
            "1.1.1.1",
            "8.8.8.8",
            "172.32.0.1",
            "192.0.1.1",
            "2606:4700::1111",
            "64:ff9b::8.8.8.8",
            "2a00::1",
        ] {
            assert!(policy.allows(address(outer)), "{outer}");
        }
    }

    #[test]
    fn the_operator_allows_more() {
        let policy = AddressPolicy::public_and(&AddressRange::loopback());
        assert!(policy.allows(address("127.0.0.1")) && policy.allows(address("::ffff:127.0.0.1")));
        assert!(!policy.allows(address("10.0.0.1")) && policy.allows(address("8.8.8.8")));
        assert!(AddressPolicy::everything().allows(address("10.0.0.1")));
    }
}
