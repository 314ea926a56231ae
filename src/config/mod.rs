//! The server's configuration: one typed value, read once at start from a TOML file and `CONDUIT_*`
//! environment variables.
//!
//! Each option is declared once, below: its name, type, default, bounds and documentation. The reader
//! (`load`), the error messages and `conduit-example.toml` (`example`) all follow from that
//! declaration. Nothing here opens a socket or the database, and nothing here knows another module of
//! ours. The main type is [`Config`].

mod error;
mod example;
mod load;
pub mod memory;
mod options;
pub mod try_out;
mod values;

use std::{net::SocketAddr, path::PathBuf};

use ruma::{OwnedServerName, RoomVersionId, server_name};

pub use self::{
    error::{ConfigError, Problem},
    example::example_toml,
    load::ENV_CONFIG_FILE,
    options::{Bounds, Input, OptionDoc, Refusal, Setting, Value},
    values::{
        AddressRange, BaseUrl, Durability, FileMode, ListenAddress, LogFilter, LogFormat, PresenceMode,
        RegistrationToken, Secret, ServerPattern,
    },
};
use self::{memory::MemoryLimits, options::options};

/// Bytes in one MiB.
const MIB: u64 = 1024 * 1024;

options! {
    /// Everything that an operator can set.
    pub struct Config {
        /// The name of this server: the part after the colon in the ids of its users and rooms. It can
        /// never be changed once the database exists.
        server_name: OwnedServerName = server_name!("localhost").to_owned(), example "\"example.org\"";

        /// The folder that holds the database. A second server on the same folder is refused.
        data_dir: PathBuf = PathBuf::from("/var/lib/conduit");

        /// Where to listen: any number of addresses with port, and of Unix sockets.
        listen: Vec<ListenAddress> = vec![ListenAddress::Tcp(([127, 0, 0, 1], 6167).into())],
            example "[\"127.0.0.1:6167\", \"[::1]:6167\", \"unix:/run/conduit/conduit.sock\"]";

        /// The permissions of Unix sockets among the `listen` addresses, in octal.
        unix_socket_mode: FileMode = FileMode::new(0o660);

        /// The reverse proxies that may tell a client's address in `X-Forwarded-For`: addresses or
        /// ranges. From anybody else that header is ignored. Clients on a Unix socket are always proxies.
        trusted_proxies: Vec<AddressRange> = AddressRange::loopback();

        /// What an answered request survives. "power-loss": a power cut, as each answer waits for the
        /// disk. "process": a crash of the server but not of the machine; faster on slow disks.
        durability: Durability = Durability::PowerLoss;

        /// The memory for all caches and write buffers together, in MiB. If it is not set: a sixteenth
        /// of the memory that the machine or the container has, at least 24 and at most 256.
        memory_mb: Option<u64> = None, within (16, 65_536), example "64";

        /// The largest request body that is accepted, in bytes.
        max_request_bytes: u64 = 8 * MIB, within (65_536, 1_073_741_824);

        /// How many connections may be open at a time; further ones wait.
        max_connections: u64 = 2048, within (16, 1_000_000);

        /// The version of rooms whose creator asks for no version.
        default_room_version: RoomVersionId = RoomVersionId::V12;

        /// Who is told which users are online: `on` (all who share a room with them), `local` (those of this
        /// server), or `off`, which costs nothing.
        presence: PresenceMode = PresenceMode::On;

        /// Whether all users may create rooms; administrators always may.
        allow_room_creation: bool = true;

        /// The longest time, in seconds, for which clients may have an event sent later: calls notice by it that
        /// somebody is gone. 0 switches it off.
        event_delay_seconds_max: u64 = 604_800, within (0, 31_536_000);

        /// Whether people may register accounts themselves, with the `registration_token` or one that an
        /// administrator makes; with none of them if `allow_open_registration` says so as well.
        allow_registration: bool = false;

        /// Whether everybody may register without a token, programs that send spam included.
        allow_open_registration: bool = false;

        /// A token that people have to give when they register an account, besides those that administrators make.
        registration_token: Option<RegistrationToken> = None, example "\"long-random-text\"";

        /// The page with terms that people have to accept when they register an account.
        terms_url: Option<BaseUrl> = None, example "\"https://example.org/terms\"";

        /// The version of those terms.
        terms_version: String = "1.0".to_owned();

        /// A secret with which scripts may register accounts and administrators, whether registration
        /// is allowed or not (`/_synapse/admin/v1/register`, as Synapse's tools use it).
        registration_shared_secret: Option<Secret> = None, example "\"other-long-random-text\"";

        /// A secret with which bridges may log any user in without a password, for double puppeting
        /// (`com.devture.shared_secret_auth`). Bridges that can use a registration for that need none.
        login_shared_secret: Option<Secret> = None, example "\"another-long-random-text\"";

        /// The least number of characters that a new password must have.
        password_min_length: u64 = 8, within (1, 512);

        /// How long an access token holds whose client can refresh it, in seconds. Those of clients that can't
        /// hold until they are logged out.
        access_token_lifetime_seconds: u64 = 3_600, within (60, 31_536_000);

        /// Whether users find all users of this server in the directory of users; else those alone whom they
        /// share a room with or who are in a room that anybody may join or read.
        user_directory_shows_all: bool = false;

        /// Whether threads notify those alone who follow them (MSC4306), and those who are mentioned. Leave it
        /// off as long as some of your users have clients that can't follow threads: those would notify them of
        /// none.
        thread_subscriptions: bool = false;

        /// The folder with the registration files (`*.yaml`) of application services: bridges and bots. If it is
        /// not set: `registrations` beside the configuration file. Files that are added, changed or removed
        /// there take effect at once.
        registrations_dir: Option<PathBuf> = None, example "\"/etc/conduit/registrations\"";

        /// Listening with TLS, for servers that reach this one without a proxy between.
        tls: Tls = Tls::default();

        /// What clients and servers that only know the server's name are told.
        well_known: WellKnown = WellKnown::default();

        /// Talking to other servers.
        federation: Federation = Federation::default();

        /// Requests that this server makes to other hosts.
        outbound: Outbound = Outbound::default();

        /// Files that users send, and those of other servers.
        media: Media = Media::default();

        /// Previews of links in messages.
        url_previews: UrlPreviews = UrlPreviews::default();

        /// What clients are told for calls.
        calls: Calls = Calls::default();

        /// How often each user and each address may do things that cost or annoy others.
        rate_limits: RateLimits = RateLimits::default();

        /// The log, which goes to standard error.
        log: Log = Log::default();
    }
}

options! {
    /// The answers below `/.well-known/matrix/`.
    pub struct WellKnown {
        /// The URL at which clients reach this server. If it is not set, clients are told nothing and
        /// use the server's name.
        client: Option<BaseUrl> = None, example "\"https://matrix.example.org\"";

        /// The name and port at which other servers reach this server. If it is not set, they are told
        /// nothing and use the server's name.
        server: Option<OwnedServerName> = None, example "\"matrix.example.org:443\"";

        /// A page on which users find help with this server.
        support_page: Option<BaseUrl> = None, example "\"https://example.org/help\"";

        /// The email address of the administrators, for users and other servers' administrators.
        support_email: Option<String> = None, example "\"admin@example.org\"";

        /// The Matrix user id of an administrator, for the same.
        support_user: Option<String> = None, example "\"@admin:example.org\"";
    }
}

options! {
    /// Listening with TLS.
    pub struct Tls {
        /// Where to listen with TLS, besides `listen`. Other servers look for port 8448 unless they are told
        /// otherwise.
        listen: Vec<SocketAddr> = Vec::new(), example "[\"0.0.0.0:8448\", \"[::]:8448\"]";

        /// The file of the certificate and those between it and its authority (PEM). It is read again
        /// within a minute after it changed, and on SIGHUP.
        certificate_file: Option<PathBuf> = None, example "\"/etc/conduit/certificate.pem\"";

        /// The file of the certificate's private key (PEM).
        key_file: Option<PathBuf> = None, example "\"/etc/conduit/key.pem\"";
    }
}

options! {
    /// Talking to other servers.
    pub struct Federation {
        /// Whether this server talks to others at all.
        enabled: bool = true;

        /// The servers to talk to; if it is empty, all. "*" stands for any characters, "?" for one. A name
        /// without port stands for all ports.
        allowed_servers: Vec<ServerPattern> = Vec::new(), example "[\"friends.example.org\", \"*.example.com\"]";

        /// The servers not to talk to, even if `allowed_servers` has them.
        denied_servers: Vec<ServerPattern> = Vec::new(), example "[\"spam.example.net\"]";

        /// Servers that are asked for the signing keys of servers that do not answer themselves, as many in
        /// old rooms. They learn which servers this one has to do with, and could lie about their keys. With
        /// none, rooms in which such servers have taken part may be impossible to join.
        trusted_key_servers: Vec<OwnedServerName> = vec![server_name!("matrix.org").to_owned()];
    }
}

options! {
    /// Requests to other servers, and to whatever a URL in a message names.
    pub struct Outbound {
        /// Addresses and ranges outside the public internet that may be connected to. Others, such as
        /// those of your home network, are refused, as strangers could otherwise make this server ask
        /// things there. URLs in this file and in bridges' registrations need not be listed.
        allowed_ranges: Vec<AddressRange> = Vec::new(), example "[\"192.168.1.0/24\", \"fd00::/8\"]";

        /// A file of certificate authorities (PEM) that are trusted beside the system's.
        ca_file: Option<PathBuf> = None, example "\"/etc/conduit/ca.pem\"";
    }
}

options! {
    /// Files that users send, and those of other servers that are kept for a time.
    pub struct Media {
        /// The folder for files. If it is not set: the folder `media` in `data_dir`.
        dir: Option<PathBuf> = None, example "\"/mnt/disk/media\"";

        /// The largest file that users may upload and that is fetched from other servers, in MiB.
        max_upload_mb: u64 = 50, within (1, 16_384);

        /// How much each user may have uploaded, in MiB. If it is not set, there is no bound.
        user_quota_mb: Option<u64> = None, within (1, 16_777_216), example "1024";

        /// Whether the old download endpoints, which ask for no access token, serve what is uploaded or
        /// fetched from now on. What came while this was on stays there when it is turned off.
        legacy_downloads: bool = false;

        /// Files of other servers that nobody has asked for in so many days are removed; they are fetched
        /// again when somebody does. 0 keeps them all.
        remote_keep_days: u64 = 30, within (0, 36_500);

        /// The largest images of which thumbnails are made, in millions of pixels. Each takes 3 or 4 bytes
        /// of memory for a moment.
        thumbnail_megapixels_max: u64 = 24, within (1, 1_000);
    }
}

options! {
    /// Previews of links: this server fetches the page for its users. It never fetches anything from
    /// private addresses unless they are allowed for outgoing requests.
    pub struct UrlPreviews {
        /// Whether there are previews.
        enabled: bool = true;

        /// If there are any: previews only for links to these domains and the domains below them.
        allowed_domains: Vec<String> = Vec::new(), example "[\"example.org\"]";

        /// No previews for links to these domains and the domains below them.
        denied_domains: Vec<String> = Vec::new(), example "[\"example.com\"]";

        /// The languages in which pages are asked for, as in the header `Accept-Language`.
        languages: Vec<String> = vec!["en".to_owned()], example "[\"de\", \"en;q=0.5\"]";
    }
}

options! {
    /// Calls: TURN servers for those between two people, LiveKit for those of groups.
    pub struct Calls {
        /// The TURN servers.
        turn_uris: Vec<String> = Vec::new(),
            example "[\"turn:turn.example.org?transport=udp\", \"turns:turn.example.org?transport=tcp\"]";

        /// The secret that the TURN servers share with this server (coturn: `static-auth-secret`).
        turn_secret: Option<Secret> = None, example "\"long-random-text\"";

        /// A user name for the TURN servers, where there is no `turn_secret`.
        turn_username: Option<String> = None, example "\"matrix\"";

        /// The password of `turn_username`.
        turn_password: Option<Secret> = None, example "\"other-long-random-text\"";

        /// How long credentials made with `turn_secret` hold, in seconds.
        turn_lifetime_seconds: u64 = 86_400, within (60, 31_536_000);

        /// The LiveKit services (with an authorisation service) at which group calls meet.
        livekit_urls: Vec<BaseUrl> = Vec::new(), example "[\"https://calls.example.org/livekit/jwt\"]";
    }
}

options! {
    /// One limit per kind of action; each user (or address) has its own count.
    pub struct RateLimits {
        /// Whether the limits below hold.
        enabled: bool = true;

        /// Log-in attempts, per address and per account.
        login: RateLimit = RateLimit::new(0.2, 10);

        /// Requests on the way to an account, per address: clients check the name and go through each
        /// stage on its own, so one registration takes up to six.
        registration: RateLimit = RateLimit::new(0.2, 20);

        /// Events sent to rooms, per user.
        message: RateLimit = RateLimit::new(10.0, 100);

        /// Rooms joined, per user.
        join: RateLimit = RateLimit::new(1.0, 20);

        /// Invites sent, per user; and those of users of other servers, per user invited.
        invite: RateLimit = RateLimit::new(0.5, 20);

        /// Rooms created, per user.
        room_creation: RateLimit = RateLimit::new(0.2, 10);

        /// Files uploaded, per user.
        media_upload: RateLimit = RateLimit::new(1.0, 50);

        /// Files of other servers that have to be fetched first, per user (or per address, where nobody is
        /// logged in).
        remote_media: RateLimit = RateLimit::new(5.0, 200);

        /// Previews of links, per user.
        url_preview: RateLimit = RateLimit::new(1.0, 30);

        /// Searches for messages and users, per user: clients look for users while a name is typed.
        search: RateLimit = RateLimit::new(2.0, 50);

        /// Pushers set, per user: the gateway of each is connected to.
        pusher: RateLimit = RateLimit::new(0.2, 20);
    }
}

options! {
    /// A limit on how often something may be done.
    pub struct RateLimit {
        /// How many times a second it may be done in the long run.
        per_second: f64 = 1.0, within (0.0001, 100_000.0);

        /// How many times it may be done at once after a pause.
        burst: u64 = 10, within (1, 100_000);
    }
}

impl RateLimit {
    /// A limit of `per_second` actions a second in the long run and `burst` at once.
    pub const fn new(per_second: f64, burst: u64) -> Self {
        Self { per_second, burst }
    }
}

options! {
    /// What is logged, and how.
    pub struct Log {
        /// What is logged: "error", "warn", "info", "debug" or "trace", or a list of such levels by
        /// module, as in "info,conduit::rooms=debug".
        filter: LogFilter = LogFilter::info();

        /// "pretty" for people or "json" for programs, one object a line.
        format: LogFormat = LogFormat::Pretty;
    }
}

impl Config {
    /// The configuration of `server_name` with its database in `data_dir` and all else as by default.
    pub fn new(server_name: OwnedServerName, data_dir: PathBuf) -> Self {
        Self { server_name, data_dir, ..Self::default() }
    }

    /// The memory budget for all caches and write buffers together, in bytes: `memory_mb`, or the share
    /// that [`MemoryLimits`] gives.
    pub fn memory_budget_bytes(&self) -> u64 {
        match self.memory_mb {
            Some(mib) => mib.saturating_mul(MIB),
            None => MemoryLimits::of_this_process().budget_bytes(),
        }
    }
}
