//! The bounds of this layer, each with its reason.

/// Callers that a rate limit tells apart, per kind of action. A fifth of a million entries of some 40
/// bytes would already be a tenth of the smallest memory budget; this many are a few hundred KiB.
pub const RATE_LIMIT_CALLERS_MAX: usize = 8_192;

/// Counts that callers share who come when the table is full. A power of two.
pub const RATE_LIMIT_SHARED_SLOTS: u64 = 1_024;

/// Checks between two clean-ups of a table. A clean-up visits each entry, so it costs each check a
/// handful of visits; the table can grow by this many above its bound in between.
pub const RATE_LIMIT_CHECKS_PER_CLEANUP: u32 = 1_024;

/// Addresses in `X-Forwarded-For` that are looked at, from the right. Nobody chains that many proxies.
pub const FORWARDED_HOPS_MAX: usize = 16;

/// Bits of an IPv6 address that tell clients apart: a provider gives each customer a whole /64.
pub const IPV6_CLIENT_PREFIX_BITS: u32 = 64;

/// Users with a limit of their own whose counts are kept: administrators give them one by one.
pub const RATE_LIMIT_OWN_MAX: usize = 1_000;
