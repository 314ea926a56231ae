//! Registration files of application services ([registration]): read from YAML, every field checked, and each
//! problem told with its file, line and field.
//!
//! Never: looks at other registrations; that ids and tokens differ is checked by the folder that holds them.
//!
//! [registration]: https://spec.matrix.org/v1.19/application-service-api/#registration

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{limits, namespaces::Pattern};
use crate::users::secrets::{self, SecretHash};

/// Why a registration was refused.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The folder or a file could not be read.
    #[error("{path}: it can't be read: {source}", path = path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no YAML, or a field is missing or of the wrong type.
    #[error("{path}:{line}: {message}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, with the field where it is known.
        message: String,
    },
    /// A field's value is not allowed.
    #[error("{path}:{line}: `{field}`: {message}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// The field.
        field: String,
        /// What is wrong.
        message: String,
    },
    /// More registrations than this server takes.
    #[error("{path}: there are more than {} registrations", limits::APPSERVICES_MAX, path = path.display())]
    TooMany {
        /// The folder.
        path: PathBuf,
    },
}

/// An application service as its registration describes it.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "the file's own fields")]
pub struct Registration {
    /// Its name, which no other application service here has.
    pub id: String,
    /// Where it listens; `None` if it wants to be sent nothing.
    pub url: Option<String>,
    /// SHA-256 of the token that it shows to this server.
    pub as_token_hash: SecretHash,
    /// The token that this server shows to it.
    pub hs_token: Secret,
    /// The local part of its own user.
    pub sender_localpart: String,
    /// The user ids that are its own, in the order of the file.
    pub users: Vec<Pattern>,
    /// The room aliases that are its own.
    pub aliases: Vec<Pattern>,
    /// The rooms that it looks after.
    pub rooms: Vec<Pattern>,
    /// Whether rate limits hold for its users.
    pub is_rate_limited: bool,
    /// The networks that it bridges to.
    pub protocols: Vec<String>,
    /// Whether it wants typing, receipts and presence (spec v1.13, MSC2409).
    pub receives_ephemeral: bool,
    /// Whether it wants them under the name that MSC2409 had for them, too.
    pub receives_msc2409_ephemeral: bool,
    /// Whether it wants device lists and key counts of its users (MSC3202).
    pub receives_device_changes: bool,
}

impl Registration {
    /// Whether it is sent typing, receipts and presence.
    pub fn wants_ephemeral(&self) -> bool {
        self.url.is_some() && self.receives_ephemeral
    }

    /// Whether it is sent messages for devices: by MSC4203 those are ephemeral data.
    pub fn wants_to_device(&self) -> bool {
        self.url.is_some() && (self.receives_ephemeral || self.receives_msc2409_ephemeral)
    }

    /// Whether it is told of device lists and stocks of keys.
    pub fn wants_device_changes(&self) -> bool {
        self.url.is_some() && self.receives_device_changes
    }
}

/// A token that is told to nobody but the application service.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The token.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registration").field("id", &self.id).field("url", &self.url).finish_non_exhaustive()
    }
}

/// The file's fields. Unknown ones are ignored: bridges write fields of their own, and those of other servers.
#[derive(Deserialize)]
struct File {
    id: Spanned<String>,
    url: Option<Spanned<String>>,
    as_token: Spanned<String>,
    hs_token: Spanned<String>,
    sender_localpart: Spanned<String>,
    #[serde(default)]
    namespaces: Namespaces,
    rate_limited: Option<bool>,
    protocols: Option<Vec<String>>,
    receive_ephemeral: Option<bool>,
    /// The names that the field had before it became part of the specification.
    #[serde(rename = "de.sorunome.msc2409.push_ephemeral")]
    msc2409_push_ephemeral: Option<bool>,
    push_ephemeral: Option<bool>,
    #[serde(rename = "org.matrix.msc3202")]
    msc3202: Option<bool>,
}

#[derive(Default, Deserialize)]
struct Namespaces {
    users: Option<Vec<Namespace>>,
    aliases: Option<Vec<Namespace>>,
    rooms: Option<Vec<Namespace>>,
}

#[derive(Deserialize)]
struct Namespace {
    /// Synapse and the specification want it, some bridges leave it out for rooms.
    #[serde(default)]
    exclusive: bool,
    regex: Spanned<String>,
}

impl Registration {
    /// Its namespaces for people: the patterns of users, aliases and rooms, exclusive ones with a mark.
    pub fn describe_namespaces(&self) -> [Vec<String>; 3] {
        [&self.users, &self.aliases, &self.rooms]
            .map(|patterns| patterns.iter().map(Pattern::describe).collect())
    }

    /// Reads the text of the registration file `path`.
    pub fn parse(path: &Path, text: &str) -> Result<Self, RegistrationError> {
        let file: File = serde_saphyr::from_str(text).map_err(|error| RegistrationError::Malformed {
            path: path.to_owned(),
            line: error.location().map_or(1, |location| location.line()),
            message: first_line(&error.to_string()),
        })?;
        let checker = Checker { path };
        let patterns = |field, namespaces| checker.patterns(field, namespaces);
        Ok(Self {
            id: checker.text("id", &file.id)?,
            url: file.url.as_ref().map(|url| checker.url(url)).transpose()?.flatten(),
            as_token_hash: secrets::hash(&checker.text("as_token", &file.as_token)?),
            hs_token: Secret(checker.text("hs_token", &file.hs_token)?),
            sender_localpart: checker.localpart(&file.sender_localpart)?,
            users: patterns("namespaces.users", file.namespaces.users)?,
            aliases: patterns("namespaces.aliases", file.namespaces.aliases)?,
            rooms: patterns("namespaces.rooms", file.namespaces.rooms)?,
            is_rate_limited: file.rate_limited.unwrap_or(true),
            protocols: file.protocols.unwrap_or_default(),
            receives_ephemeral: [file.receive_ephemeral, file.msc2409_push_ephemeral, file.push_ephemeral]
                .contains(&Some(true)),
            receives_msc2409_ephemeral: file.msc2409_push_ephemeral == Some(true),
            receives_device_changes: file.msc3202.unwrap_or(false),
        })
    }
}

/// What a person needs of a parser's message: the rest draws the file with the place marked.
fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

struct Checker<'a> {
    path: &'a Path,
}

impl Checker<'_> {
    fn refuse<T>(&self, field: &str, value: &Spanned<T>, message: impl ToString) -> RegistrationError {
        RegistrationError::Field {
            path: self.path.to_owned(),
            line: value.referenced.line(),
            field: field.to_owned(),
            message: message.to_string(),
        }
    }

    fn text(&self, field: &str, value: &Spanned<String>) -> Result<String, RegistrationError> {
        let text = value.value.trim();
        if text.is_empty() {
            return Err(self.refuse(field, value, "it must not be empty"));
        }
        if text.len() > limits::REGISTRATION_TEXT_BYTES_MAX {
            let message = format!("it must not be longer than {} bytes", limits::REGISTRATION_TEXT_BYTES_MAX);
            return Err(self.refuse(field, value, message));
        }
        Ok(text.to_owned())
    }

    /// The URL without a slash at its end; an empty one means none, as old bridges write it.
    fn url(&self, value: &Spanned<String>) -> Result<Option<String>, RegistrationError> {
        let url = value.value.trim().trim_end_matches('/');
        if url.is_empty() || url == "null" {
            return Ok(None);
        }
        let parsed: Result<http::Uri, _> = url.parse();
        let is_web =
            |uri: &http::Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
        match parsed {
            Ok(uri) if is_web(&uri) => Ok(Some(url.to_owned())),
            _ => Err(self.refuse("url", value, "it must be an http:// or https:// URL, or null")),
        }
    }

    fn localpart(&self, value: &Spanned<String>) -> Result<String, RegistrationError> {
        let localpart = self.text("sender_localpart", value)?;
        let fits =
            ruma::UserId::parse(format!("@{localpart}:server.name")).is_ok() && !localpart.contains(':');
        if fits {
            return Ok(localpart);
        }
        Err(self.refuse(
            "sender_localpart",
            value,
            "it must be the local part of a user id: no @ and no server",
        ))
    }

    fn patterns(
        &self,
        field: &str,
        namespaces: Option<Vec<Namespace>>,
    ) -> Result<Vec<Pattern>, RegistrationError> {
        let namespaces = namespaces.unwrap_or_default();
        if let Some(beyond) = namespaces.get(limits::NAMESPACES_MAX) {
            let message = format!("there are more than {} of them", limits::NAMESPACES_MAX);
            return Err(self.refuse(field, &beyond.regex, message));
        }
        let pattern = |(at, namespace): (usize, Namespace)| {
            Pattern::new(&namespace.regex.value, namespace.exclusive).map_err(|error| {
                self.refuse(&format!("{field}[{at}].regex"), &namespace.regex, first_line_of_regex(&error))
            })
        };
        namespaces.into_iter().enumerate().map(pattern).collect()
    }
}

/// The reason, which is the last line: those before it draw the expression with the place marked.
fn first_line_of_regex(error: &regex::Error) -> String {
    error.to_string().lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = r##"
id: irc
url: http://127.0.0.1:9999/
as_token: as
hs_token: hs
sender_localpart: ircbot
namespaces:
  users:
    - exclusive: true
      regex: "@irc_.*:example\\.org"
  aliases:
    - exclusive: false
      regex: "#irc_.*"
  rooms: []
rate_limited: false
protocols: [irc]
de.sorunome.msc2409.push_ephemeral: true
org.matrix.msc3202: true
io.element.msc4190: true
"##;

    fn parse(text: &str) -> Result<Registration, String> {
        Registration::parse(Path::new("irc.yaml"), text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_whole_file_is_read() {
        let read = parse(FILE).unwrap();
        assert_eq!((read.id.as_str(), read.url.as_deref()), ("irc", Some("http://127.0.0.1:9999")));
        assert_eq!((read.users.len(), read.aliases.len(), read.rooms.len()), (1, 1, 0));
        assert_eq!(read.as_token_hash, secrets::hash("as"));
        assert!(!read.is_rate_limited && read.receives_ephemeral && read.receives_device_changes);
        assert_eq!(read.protocols, ["irc"]);
        let shown = format!("{read:?} {:?}", read.hs_token);
        assert!(!shown.contains("hs\""), "tokens stay out of logs: {shown}");
    }

    #[test]
    fn every_spelling_of_ephemeral_counts() {
        for key in ["receive_ephemeral", "push_ephemeral", "de.sorunome.msc2409.push_ephemeral"] {
            let text = FILE.replace("de.sorunome.msc2409.push_ephemeral", key);
            assert!(parse(&text).unwrap().receives_ephemeral, "{key}");
        }
    }

    #[test]
    fn without_a_url_nothing_is_sent() {
        for url in ["null", "", "\"\"", "~"] {
            let text = FILE.replace("http://127.0.0.1:9999/", url);
            assert_eq!(parse(&text).unwrap().url, None, "{url}");
        }
    }

    #[test]
    fn problems_name_file_line_and_field() {
        for (from, to, expected) in [
            ("id: irc", "id: \"\"", "irc.yaml:2: `id`: it must not be empty"),
            ("http://127.0.0.1:9999/", "localhost", "irc.yaml:3: `url`: it must be an http"),
            ("ircbot", "\"@ircbot:example.org\"", "irc.yaml:6: `sender_localpart`"),
            ("@irc_.*:example\\\\.org", "@irc_(", "irc.yaml:10: `namespaces.users[0].regex`: unclosed group"),
            ("hs_token: hs\n", "", "hs_token"),
            ("rate_limited: false", "rate_limited: [1]", "irc.yaml:15: "),
            ("id: irc", "id: [", "irc.yaml:"),
        ] {
            let text = FILE.replace(from, to);
            assert_ne!(text, FILE, "{from}");
            let error = parse(&text).unwrap_err();
            assert!(error.contains(expected), "{error} should contain {expected}");
        }
    }
}
