//! Process entry: the command line, the log, and running the server.

use std::{
    error::Error,
    ffi::OsString,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use conduit::{
    admin,
    config::{Config, ENV_CONFIG_FILE, example_toml, try_out::TryOut},
    server::{self, logging},
};

/// Small, fast and of even memory use; it asks the system for its page size, so one binary serves
/// kernels with pages of 4, 16 and 64 KiB.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A lightweight Matrix homeserver. Without a configuration it starts a server to try out on this
/// machine.
#[derive(Debug, Parser)]
#[command(name = "conduit", version)]
struct CommandLine {
    /// The configuration file (or set CONDUIT_CONFIG)
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Print an example configuration with every option
    ExampleConfig,
    /// Register bridges and bots, and list those there are; the server may run
    Appservice {
        #[command(subcommand)]
        command: AppserviceCommand,
    },
    /// Verify everything in the database; the server must be stopped
    Check {
        /// Rebuild what can be derived from the events where it disagrees with them
        #[arg(long)]
        repair: bool,
    },
}

#[derive(Debug, Subcommand)]
enum AppserviceCommand {
    /// Register an application service by its registration file
    Register {
        /// The file, as the bridge has made it
        file: PathBuf,
    },
    /// List the application services
    List,
    /// Show what is known of an application service
    Show {
        /// Its id
        id: String,
    },
    /// Remove an application service
    Unregister {
        /// Its id
        id: String,
    },
}

fn main() -> ExitCode {
    prefer_small_pages();
    match run(CommandLine::parse()) {
        Ok(code) => code,
        Err(error) => {
            say(io::stderr(), &format!("conduit: {error}\n"));
            ExitCode::FAILURE
        }
    }
}

/// Asks the system for no huge pages: the allocator wants them, and then each of its many small areas takes 2 MiB where
/// some KiB are used. Measured with 100 clients in long polls: 51 MiB with, 15 MiB without.
fn prefer_small_pages() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::thread::disable_transparent_huge_pages(true) {
        say(
            io::stderr(),
            &format!("conduit: memory is used less sparingly, as huge pages can't be refused: {error}\n"),
        );
    }
}

fn run(command_line: CommandLine) -> Result<ExitCode, Box<dyn Error>> {
    match command_line.command {
        Some(Command::ExampleConfig) => say(io::stdout(), &example_toml()),
        Some(Command::Appservice { command }) => appservice(command_line.config, &command)?,
        Some(Command::Check { repair }) => return check(command_line.config, repair),
        None => serve(command_line.config)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the server; where nothing is configured, the try-out server.
fn serve(config_file: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let config = match find_config(config_file)? {
        Found::Config(config) => config,
        Found::TryOut(try_out, config) => {
            say(io::stdout(), &try_out.next_steps(&config));
            config
        }
    };
    logging::init(&config.log)?;
    Ok(server::run(*config)?)
}

/// Works on the folder of registrations, which a running server follows.
fn appservice(config_file: Option<PathBuf>, command: &AppserviceCommand) -> Result<(), Box<dyn Error>> {
    let (Found::Config(config) | Found::TryOut(_, config)) = find_config(config_file)?;
    let folder = admin::appservices::AppserviceFolder::new(config.registrations_dir)?;
    let done = match command {
        AppserviceCommand::Register { file } => folder.register(file)?,
        AppserviceCommand::List => folder.list()?,
        AppserviceCommand::Show { id } => folder.show(id)?,
        AppserviceCommand::Unregister { id } => folder.unregister(id)?,
    };
    say(io::stdout(), &format!("{}\n", done.trim_end()));
    Ok(())
}

/// Checks the database and says what is wrong; fails if anything is.
fn check(config_file: Option<PathBuf>, repair: bool) -> Result<ExitCode, Box<dyn Error>> {
    let (Found::Config(config) | Found::TryOut(_, config)) = find_config(config_file)?;
    let storage = server::services::open_existing_storage(&config)?;
    let report = admin::check::run(&storage, &config.server_name, repair)?;
    say(io::stdout(), &format!("{report}\n"));
    Ok(if report.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A configuration, and where it is from.
enum Found {
    Config(Box<Config>),
    TryOut(TryOut, Box<Config>),
}

/// Reads the configuration from the file, if one is named, and the environment. If neither says what the
/// server's name is, it is a try-out.
fn find_config(config_file: Option<PathBuf>) -> Result<Found, Box<dyn Error>> {
    let variable = |name: &str| std::env::var(name).ok();
    // What is not text is read as far as it is: it will be refused with the option's name.
    let lossy = |text: OsString| text.to_string_lossy().into_owned();
    let environment = || std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value)));
    let config_file = config_file.or_else(|| variable(ENV_CONFIG_FILE).map(PathBuf::from));
    if config_file.is_some() || variable("CONDUIT_SERVER_NAME").is_some() {
        return Ok(Found::Config(Box::new(Config::load(config_file.as_deref(), environment())?)));
    }
    let try_out = TryOut::prepare(TryOut::default_folder(variable)?)?;
    let config = try_out.config(environment())?;
    Ok(Found::TryOut(try_out, Box::new(config)))
}

/// Writes to a person. That nobody reads on (`conduit example-config | head`) is no error of ours.
fn say(mut stream: impl Write, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}
