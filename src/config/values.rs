//! The kinds of values that options have: how each is read from TOML and from an environment variable,
//! and written to the example file.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::{Path, PathBuf},
};

use ruma::{OwnedServerName, RoomVersionId, ServerName};
use toml::de::{DeInteger, DeValue};
use tracing_subscriber::EnvFilter;

use super::options::{Bounds, Value};

impl Value for bool {
    fn allowed() -> String {
        "true or false".to_owned()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }
}

/// Reads a TOML integer that is not negative.
fn unsigned(value: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(value.as_str(), value.radix()).ok()
}

impl Value for u64 {
    fn allowed() -> String {
        "a whole number".to_owned()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        unsigned(value.as_integer()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_toml(&self) -> Option<String> {
        Some(self.to_string())
    }

    #[expect(clippy::cast_precision_loss, reason = "bounds are small numbers, far below 2^53")]
    fn is_within(&self, bounds: Bounds) -> bool {
        (*self as f64).is_within(bounds)
    }
}

impl Value for f64 {
    fn allowed() -> String {
        "a number".to_owned()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_toml(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }

    fn is_within(&self, bounds: Bounds) -> bool {
        (bounds.min..=bounds.max).contains(self)
    }
}

impl<T: Value> Value for Option<T> {
    const SECRET: bool = T::SECRET;

    fn allowed() -> String {
        T::allowed()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        T::from_toml(value).map(Some)
    }

    fn from_text(text: &str) -> Option<Self> {
        T::from_text(text).map(Some)
    }

    fn to_toml(&self) -> Option<String> {
        self.as_ref().and_then(T::to_toml)
    }

    fn is_within(&self, bounds: Bounds) -> bool {
        self.as_ref().is_none_or(|value| value.is_within(bounds))
    }
}

/// A list is a TOML array; where there is but one value, the value alone will do. In the environment the
/// values are separated by commas.
impl<T: Value> Value for Vec<T> {
    const SECRET: bool = T::SECRET;

    fn allowed() -> String {
        format!("a list; each {}", T::allowed())
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::Array(values) => values.iter().map(|value| T::from_toml(value.get_ref())).collect(),
            single => Some(vec![T::from_toml(single)?]),
        }
    }

    fn from_text(text: &str) -> Option<Self> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(T::from_text).collect()
    }

    fn to_toml(&self) -> Option<String> {
        let values: Option<Vec<_>> = self.iter().map(T::to_toml).collect();
        Some(format!("[{}]", values?.join(", ")))
    }
}

/// A value that is text in TOML as in the environment.
pub(super) trait TextValue: Sized {
    /// As [`Value::SECRET`].
    const SECRET: bool = false;
    /// As [`Value::allowed`].
    const ALLOWED: &'static str;

    /// Reads the text.
    fn read(text: &str) -> Option<Self>;

    /// Writes the text.
    fn write(&self) -> String;
}

impl<T: TextValue> Value for T {
    const SECRET: bool = <T as TextValue>::SECRET;

    fn allowed() -> String {
        T::ALLOWED.to_owned()
    }

    fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        T::read(value.as_str()?)
    }

    fn from_text(text: &str) -> Option<Self> {
        T::read(text)
    }

    fn to_toml(&self) -> Option<String> {
        Some(quoted(&self.write()))
    }
}

/// `text` as a TOML string.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl TextValue for String {
    const ALLOWED: &'static str = "a text that is not empty";

    fn read(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn write(&self) -> String {
        self.clone()
    }
}

impl TextValue for PathBuf {
    const ALLOWED: &'static str = "the path of a file or folder";

    fn read(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Path::new(text).to_owned())
    }

    fn write(&self) -> String {
        self.display().to_string()
    }
}

impl TextValue for OwnedServerName {
    const ALLOWED: &'static str = "a server name such as \"example.org\" or \"example.org:8448\"";

    fn read(text: &str) -> Option<Self> {
        ServerName::parse(text).ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A pattern of server names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPattern(String);

impl ServerPattern {
    /// Whether a server's name, or its name without port, matches. Case does not count.
    pub fn matches(&self, server: &ServerName) -> bool {
        let pattern = self.0.as_bytes();
        let name = server.as_str().to_ascii_lowercase();
        let host = server.host().to_ascii_lowercase();
        matches_glob(pattern, name.as_bytes()) || matches_glob(pattern, host.as_bytes())
    }
}

/// Whether `text` matches a pattern with `*` and `?`, in time proportional to the product of their lengths.
fn matches_glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where to go on after a mismatch: behind the last `*`, which takes one more byte.
    let mut retry: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                retry = Some((at, from));
            }
            Some(wanted) if *wanted == b'?' || Some(wanted) == text.get(from) => {
                at += 1;
                from += 1;
            }
            _ => match &mut retry {
                Some((behind, taken)) => {
                    *taken += 1;
                    (at, from) = (*behind, *taken);
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
}

impl TextValue for ServerPattern {
    const ALLOWED: &'static str = "a server name, in which \"*\" stands for any characters and \"?\" for one";

    fn read(text: &str) -> Option<Self> {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]*?".contains(&byte);
        (!text.is_empty() && text.bytes().all(is_right)).then(|| Self(text.to_ascii_lowercase()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

impl TextValue for RoomVersionId {
    const ALLOWED: &'static str = "a stable room version, \"1\" to \"12\"";

    fn read(text: &str) -> Option<Self> {
        let number: u8 = text.parse().ok()?;
        if !(1..=12).contains(&number) {
            return None;
        }
        RoomVersionId::try_from(number.to_string()).ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// Where the server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListenAddress {
    /// A TCP address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl TextValue for ListenAddress {
    const ALLOWED: &'static str =
        "an address with port (\"127.0.0.1:6167\", \"[::]:6167\") or a Unix socket (\"unix:/path\")";

    fn read(text: &str) -> Option<Self> {
        match text.strip_prefix("unix:") {
            Some("") => None,
            Some(path) => Some(Self::Unix(PathBuf::from(path))),
            None => text.parse().ok().map(Self::Tcp),
        }
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

impl TextValue for SocketAddr {
    const ALLOWED: &'static str = "an address with port (\"0.0.0.0:8448\", \"[::]:8448\")";

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

/// A range of addresses, as `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressRange {
    base: IpAddr,
    prefix_bits: u8,
}

impl AddressRange {
    /// The addresses of the machine itself.
    pub fn loopback() -> Vec<Self> {
        let v4 = Self { base: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix_bits: 8 };
        let v6 = Self { base: IpAddr::V6(Ipv6Addr::LOCALHOST), prefix_bits: 128 };
        vec![v4, v6]
    }

    /// Whether `address` is in the range. An IPv4 address that is written as IPv6 counts as IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix_bits.min(32));
                let high = |address: Ipv4Addr| u32::from(address).checked_shr(shift).unwrap_or(0);
                high(base) == high(address)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix_bits.min(128));
                let high = |address: Ipv6Addr| u128::from(address).checked_shr(shift).unwrap_or(0);
                high(base) == high(address)
            }
            _ => false,
        }
    }
}

impl TextValue for AddressRange {
    const ALLOWED: &'static str = "an address (\"192.0.2.1\") or range (\"192.0.2.0/24\", \"fd00::/8\")";

    fn read(text: &str) -> Option<Self> {
        let (base, prefix) = match text.split_once('/') {
            Some((base, prefix)) => (base, Some(prefix)),
            None => (text, None),
        };
        let base: IpAddr = base.parse().ok()?;
        let bits_max = if base.is_ipv4() { 32 } else { 128 };
        let prefix_bits = prefix.map_or(Some(bits_max), |prefix| prefix.parse().ok())?;
        (prefix_bits <= bits_max).then_some(Self { base, prefix_bits })
    }

    fn write(&self) -> String {
        format!("{}/{}", self.base, self.prefix_bits)
    }
}

/// The permission bits of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMode(u32);

impl FileMode {
    /// The mode with these bits; only the nine permission bits count.
    pub const fn new(bits: u32) -> Self {
        Self(bits & 0o777)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl TextValue for FileMode {
    const ALLOWED: &'static str = "permissions in octal such as \"660\"";

    fn read(text: &str) -> Option<Self> {
        let bits = u32::from_str_radix(text, 8).ok()?;
        (bits <= 0o777).then_some(Self(bits))
    }

    fn write(&self) -> String {
        format!("{:o}", self.0)
    }
}

/// The URL at which clients reach the server, without a slash at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextValue for BaseUrl {
    const ALLOWED: &'static str = "an http or https URL such as \"https://matrix.example.org\"";

    fn read(text: &str) -> Option<Self> {
        let uri: http::Uri = text.parse().ok()?;
        let scheme_is_right = matches!(uri.scheme_str(), Some("http" | "https"));
        let is_right =
            scheme_is_right && uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none();
        is_right.then(|| Self(text.trim_end_matches('/').to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// A secret, which neither the log nor a message shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The secret itself: for comparing and signing, never for the log.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl TextValue for Secret {
    const SECRET: bool = true;
    const ALLOWED: &'static str = "a text that is not empty";

    fn read(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// A registration token: a [`Secret`] of the characters and the length that the specification allows
/// (client-server API, "Token-authenticated registration").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationToken(Secret);

impl RegistrationToken {
    /// The token itself: for comparing, never for the log.
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl TextValue for RegistrationToken {
    const SECRET: bool = true;
    const ALLOWED: &'static str = "1 to 64 characters among A-Z, a-z, 0-9, \".\", \"_\", \"~\" and \"-\"";

    fn read(text: &str) -> Option<Self> {
        let is_right = |byte: u8| byte.is_ascii_alphanumeric() || b"._~-".contains(&byte);
        let fits = (1..=64).contains(&text.len()) && text.bytes().all(is_right);
        fits.then(|| Self(Secret(text.to_owned())))
    }

    fn write(&self) -> String {
        self.0.write()
    }
}

/// What is logged; checked when it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// Everything from "info" up.
    pub fn info() -> Self {
        Self("info".to_owned())
    }

    /// The filter's directives.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TextValue for LogFilter {
    const ALLOWED: &'static str = "a level (error, warn, info, debug, trace) or a list such as \
                                   \"info,conduit::rooms=debug\"";

    fn read(text: &str) -> Option<Self> {
        // A lone word that is no level would be taken for a module's name, and log nothing.
        let names_a_level = text.split(',').any(|part| {
            let level = part.rsplit('=').next().unwrap_or_default().trim();
            ["off", "error", "warn", "info", "debug", "trace"].contains(&level)
        });
        let is_right = names_a_level && EnvFilter::builder().parse(text).is_ok();
        is_right.then(|| Self(text.to_owned()))
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// An enum whose variants are written as words.
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident { $( $(#[$variant_meta:meta])* $variant:ident = $word:literal, )* }
        allowed $allowed:literal
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $( $(#[$variant_meta])* $variant, )* }

        impl TextValue for $name {
            const ALLOWED: &'static str = $allowed;

            fn read(text: &str) -> Option<Self> {
                match text { $( $word => Some(Self::$variant), )* _ => None }
            }

            fn write(&self) -> String {
                match self { $( Self::$variant => $word.to_owned(), )* }
            }
        }
    };
}

words! {
    /// What an answered request survives.
    pub enum Durability {
        /// A power cut: an answer waits until the disk has it.
        PowerLoss = "power-loss",
        /// A crash of the process, not of the machine.
        Process = "process",
    }
    allowed "\"power-loss\" or \"process\""
}

words! {
    /// Whether it is told who is online.
    pub enum PresenceMode {
        /// Here and to other servers.
        On = "on",
        /// To this server's users only.
        Local = "local",
        /// Not at all.
        Off = "off",
    }
    allowed "\"on\", \"local\" or \"off\""
}

words! {
    /// The form of the log's lines.
    pub enum LogFormat {
        /// For people.
        Pretty = "pretty",
        /// For programs, one object a line.
        Json = "json",
    }
    allowed "\"pretty\" or \"json\""
}
