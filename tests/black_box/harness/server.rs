//! The real binary as a child process in a folder of its own.
//!
//! Readiness is the log line `listening on http://ADDRESS`, never a sleep. With `CONDUIT_TEST_AGAINST` set
//! to a base URL, [`Server::start`] uses the server there instead, which proves the tests themselves
//! against another implementation; tests that stop, crash or configure the server need their own.

use std::{
    env,
    fmt::{self, Display, Formatter},
    fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::Client;

/// The token that registers an account on the tests' servers.
pub const REGISTRATION_TOKEN: &str = "registration-token";
/// The secret of `/_synapse/admin/v1/register` on the tests' servers.
pub const SHARED_SECRET: &str = "shared-secret";

/// Opening the store and binding a port takes well under a second; a loaded machine gets this long.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A graceful stop drains requests; it must not take longer than this.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// A command such as `check`, or a start that is refused, ends by itself in this time.
const RUN_TIMEOUT: Duration = Duration::from_secs(60);
/// Where the unconfigured server is told to listen: on any free port.
pub const UNCONFIGURED_ADDRESS: &str = "127.0.0.1:0";
/// What the log says once the server answers, followed by the address.
const LISTENING: &str = "listening on http://";

/// How a test's server differs from the usual one.
pub struct ServerSettings {
    /// Whether accounts can be registered, with [`REGISTRATION_TOKEN`].
    pub registration: bool,
    /// Where the data goes, instead of a folder beside the config file.
    pub data_dir: Option<PathBuf>,
    /// Top-level lines of TOML put before the tables.
    pub extra: String,
    /// The server's name.
    pub server_name: String,
    /// Tables of TOML put at the end.
    pub tables: String,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            registration: true,
            data_dir: None,
            extra: String::new(),
            server_name: "localhost".to_owned(),
            tables: String::new(),
        }
    }
}

/// A server for one test. Dropping it kills the process and removes the folder.
pub struct Server {
    folder: Option<TempDir>,
    running: Option<Running>,
    base_url: String,
}

impl Server {
    /// A server that lets tests register accounts with a token.
    #[track_caller]
    pub fn start() -> Self {
        if let Ok(base_url) = env::var("CONDUIT_TEST_AGAINST") {
            return Self { folder: None, running: None, base_url };
        }
        Self::start_with(&ServerSettings::default())
    }

    /// A server with settings of the test's choice.
    #[track_caller]
    pub fn start_with(settings: &ServerSettings) -> Self {
        assert!(
            env::var("CONDUIT_TEST_AGAINST").is_err(),
            "this test needs a server of its own: skip it with CONDUIT_TEST_AGAINST"
        );
        let folder = tempfile::tempdir().unwrap();
        let data_dir = settings.data_dir.clone().unwrap_or_else(|| folder.path().join("data"));
        write_config(&folder.path().join("conduit.toml"), &data_dir, settings);
        let mut server = Self { folder: Some(folder), running: None, base_url: String::new() };
        server.restart();
        server
    }

    /// The server that starts where nothing is configured, in a home of its own; and what it has printed.
    #[track_caller]
    pub fn start_unconfigured() -> (Self, String) {
        let folder = tempfile::tempdir().unwrap();
        let start = || {
            let mut command = program();
            command.env("HOME", folder.path()).env_remove("XDG_DATA_HOME");
            Running::start(command.env("CONDUIT_LISTEN", UNCONFIGURED_ADDRESS))
        };
        // Its output is whole when it has ended; a second start prints the same.
        let (mut running, _) = start();
        let pid = Pid::from_child(&running.child);
        kill_process(pid, Signal::TERM).unwrap();
        running.wait_for_end(STOP_TIMEOUT);
        let printed = running.whole_log();
        let (running, base_url) = start();
        (Self { folder: Some(folder), running: Some(running), base_url }, printed)
    }

    /// Starts the process again on the same folder after a stop or kill; the port is a new one.
    #[track_caller]
    pub fn restart(&mut self) {
        assert!(self.running.is_none(), "the server still runs");
        let (running, base_url) = Running::start(&mut command(&self.config_path()));
        self.running = Some(running);
        self.base_url = base_url;
    }

    /// `kill -9`: no chance to flush anything.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.child.kill().unwrap();
            running.child.wait().unwrap();
        }
    }

    /// Asks for a graceful stop (SIGTERM) and waits for it; how the process ended.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        let mut running = self.running.take().expect("the server runs");
        let pid = Pid::from_child(&running.child);
        kill_process(pid, Signal::TERM).unwrap();
        running.wait_for_end(STOP_TIMEOUT)
    }

    /// Runs the binary with this server's config and further arguments, to its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Finished {
        let mut running = Running::spawn(command(&self.config_path()).args(arguments));
        let status = running.wait_for_end(RUN_TIMEOUT);
        Finished { status, text: running.whole_log() }
    }

    /// Runs `conduit check`, which must find nothing wrong. The server must not run.
    #[track_caller]
    pub fn assert_check_finds_nothing(&self) {
        assert!(self.running.is_none(), "`check` wants the server stopped");
        let check = self.run(&["check"]);
        assert!(check.status.success(), "`conduit check`: {check}");
        let words: Vec<&str> = check.text.split(|c: char| !c.is_alphanumeric()).collect();
        let clean = words.windows(2).any(|pair| pair == ["0", "problems"]);
        assert!(clean, "`conduit check` says `0 problems`: {check}");
    }

    /// Where the server answers.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The config file.
    #[track_caller]
    pub fn config_path(&self) -> PathBuf {
        self.folder.as_ref().expect("a server of our own").path().join("conduit.toml")
    }

    /// Everything that the running process has logged so far.
    pub fn log(&self) -> String {
        self.running.as_ref().map(Running::log).unwrap_or_default()
    }

    /// A client without a session.
    pub fn anonymous(&self) -> Client {
        Client::anonymous(&self.base_url)
    }

    /// A new account's client.
    #[track_caller]
    pub fn register(&self, name: &str) -> Client {
        Client::register(&self.base_url, name)
    }
}

/// A run of the binary that came to its end.
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to its output and error streams.
    pub text: String,
}

impl Display for Finished {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}, having written:\n{}", self.status, self.text)
    }
}

/// A process with its log.
struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    addresses: Receiver<String>,
    followers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Starts a process whose output is followed.
    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        let pipes = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        let log = Arc::new(Mutex::new(String::new()));
        let (sender, addresses) = mpsc::channel();
        let followers = vec![
            follow(child.stdout.take().unwrap(), &log, sender.clone()),
            follow(child.stderr.take().unwrap(), &log, sender),
        ];
        Self { child, log, addresses, followers }
    }

    /// Starts the server and waits until it listens; its base URL.
    #[track_caller]
    fn start(command: &mut Command) -> (Self, String) {
        let running = Self::spawn(command);
        match running.addresses.recv_timeout(START_TIMEOUT) {
            Ok(address) => (running, format!("http://{address}")),
            Err(RecvTimeoutError::Disconnected) => {
                panic!("the server ended before it listened (its log is below)")
            }
            Err(RecvTimeoutError::Timeout) => {
                panic!("no line `{LISTENING}…` in {START_TIMEOUT:?} (the log is below)")
            }
        }
    }

    fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// What a process that has ended had written.
    fn whole_log(&mut self) -> String {
        for follower in self.followers.drain(..) {
            follower.join().unwrap();
        }
        self.log()
    }

    /// The exit status, once the process has ended by itself.
    #[track_caller]
    fn wait_for_end(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < limit, "no end within {limit:?}; the log:\n{}", self.log());
            // Waiting for a process with a limit has no blocking call in std.
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only when the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- log of the server ---\n{}", self.log());
        }
    }
}

/// Copies a stream into the log, and sends the address of each `listening on` line.
fn follow(
    stream: impl Read + Send + 'static,
    log: &Arc<Mutex<String>>,
    addresses: Sender<String>,
) -> JoinHandle<()> {
    let log = Arc::clone(log);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            let Ok(line) = line else { return };
            if let Some(address) = listening_address(&line) {
                // Nobody waits any more after the first address.
                let _ = addresses.send(address);
            }
            let mut log = log.lock().unwrap();
            log.push_str(&line);
            log.push('\n');
        }
    })
}

/// The `HOST:PORT` of a `listening on` line, whatever colour codes or quotes surround it.
fn listening_address(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(LISTENING)?;
    let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || ".:[]-".contains(c)));
    Some(rest[..end.unwrap_or(rest.len())].to_owned())
}

/// The binary, and nothing of the tests' environment that configures it.
fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conduit"));
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"CONDUIT_")) {
        command.env_remove(name);
    }
    command
}

/// The binary with a config file.
fn command(config: &Path) -> Command {
    let mut command = program();
    command.arg("--config").arg(config);
    command
}

fn write_config(path: &Path, data_dir: &Path, settings: &ServerSettings) {
    let registration = if settings.registration {
        format!("allow_registration = true\nregistration_token = \"{REGISTRATION_TOKEN}\"\n")
    } else {
        String::new()
    };
    let config = format!(
        "server_name = \"{}\"\n\
         data_dir = \"{}\"\n\
         listen = [\"127.0.0.1:0\"]\n\
         registration_shared_secret = \"{SHARED_SECRET}\"\n\
         {registration}{}\n\
         [rate_limits]\n\
         enabled = false\n{}",
        settings.server_name,
        data_dir.display(),
        settings.extra,
        settings.tables,
    );
    fs::write(path, config).unwrap();
}

#[test]
fn the_address_is_found_in_every_log_format() {
    let found = |line| listening_address(line);
    assert_eq!(found("listening on http://127.0.0.1:8008").as_deref(), Some("127.0.0.1:8008"));
    assert_eq!(found("INFO listening on http://127.0.0.1:1\u{1b}[0m x").as_deref(), Some("127.0.0.1:1"));
    assert_eq!(found(r#"{"message":"listening on http://[::1]:80"}"#).as_deref(), Some("[::1]:80"));
    assert_eq!(found("nothing here"), None);
}
