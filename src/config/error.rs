//! What can be wrong with a configuration, in messages that say where, what and what to do.

use std::{fmt, io, path::PathBuf};

use thiserror::Error;

/// Why there is no configuration.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file could not be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The try-out server's folder or one of its files could not be made.
    #[error("cannot prepare the try-out server's folder {}: {source}", path.display())]
    TryOutFolder {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// No folder for the try-out server is known, as neither `XDG_DATA_HOME` nor `HOME` is set.
    #[error("no folder for a try-out server: set HOME, or give a configuration file with --config FILE")]
    NoHome,
    /// Keys or values are not right: all that were found, in the order of the file.
    #[error("the configuration is not right:\n{}", lines(.0))]
    Invalid(Vec<Problem>),
}

/// One thing that is not right, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `file:line`, or the name of an environment variable.
    pub place: String,
    /// What is wrong, with the key and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// The problems, one a line, indented.
fn lines(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("  {problem}")).collect::<Vec<_>>().join("\n")
}
