//! Bounds on application services.

/// Application services on one server: a family's or club's server has a handful, a bridge host some dozens.
pub const APPSERVICES_MAX: usize = 256;

/// Bytes of a registration file: real ones have some hundreds, long lists of namespaces some thousands.
pub const REGISTRATION_FILE_BYTES_MAX: u64 = 256 * 1024;

/// Bytes of one text (id, token, local part) of a registration.
pub const REGISTRATION_TEXT_BYTES_MAX: usize = 1024;

/// Patterns of one kind in one registration.
pub const NAMESPACES_MAX: usize = 128;

/// Memory of one compiled pattern.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

/// Memory of the patterns of one kind of all application services, compiled together.
pub const REGEX_SET_BYTES_MAX: usize = 64 << 20;
