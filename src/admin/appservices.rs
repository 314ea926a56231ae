//! `conduit appservice`: registers application services, lists, shows and unregisters them.
//!
//! All of it is files in the folder of registrations; a server that runs follows the folder by itself, so none of
//! this needs it stopped or restarted.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use crate::users::appservices::{Registration, RegistrationError, folder};

/// Why a command was refused.
#[derive(Debug, thiserror::Error)]
pub enum AppserviceCommandError {
    /// No folder for registrations is known.
    #[error("set registrations_dir in the configuration first")]
    NoFolder,
    /// A file is no registration, or one in the folder is wrong.
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    /// There is one with this id.
    #[error("an application service {id} is registered already, in {path}", path = path.display())]
    Registered {
        /// The id.
        id: String,
        /// Its file.
        path: PathBuf,
    },
    /// There is none with this id.
    #[error("there is no application service {0}; `conduit appservice list` shows those there are")]
    Unknown(String),
    /// The file system refused.
    #[error("{path}: {source}", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The folder, on which the commands work.
#[derive(Debug)]
pub struct AppserviceFolder {
    folder: PathBuf,
}

impl AppserviceFolder {
    /// The configured folder.
    pub fn new(folder: Option<PathBuf>) -> Result<Self, AppserviceCommandError> {
        folder.map(|folder| Self { folder }).ok_or(AppserviceCommandError::NoFolder)
    }

    /// Copies a registration file into the folder, if it is right and its id and tokens are new.
    pub fn register(&self, file: &Path) -> Result<String, AppserviceCommandError> {
        let registration = folder::read_file(file)?;
        let known = folder::read_files(&self.folder)?;
        if let Some((path, _)) = known.iter().find(|(_, known)| known.id == registration.id) {
            return Err(AppserviceCommandError::Registered { id: registration.id, path: path.clone() });
        }
        let name: String =
            registration.id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let target = self.folder.join(format!("{name}.yaml"));
        let id = registration.id.clone();
        let together: Vec<_> = known.into_iter().chain([(file.to_owned(), registration)]).collect();
        folder::check_unique(&together)?;
        let failed = |source| AppserviceCommandError::File { path: target.clone(), source };
        if target.exists() {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        fs::create_dir_all(&self.folder).map_err(failed)?;
        // Whole or not at all: the server may read the folder at any time.
        let draft = self.folder.join(format!(".{name}.new"));
        fs::copy(file, &draft).and_then(|_| fs::rename(&draft, &target)).map_err(failed)?;
        Ok(format!("{id} is registered, in {}", target.display()))
    }

    /// Removes the file of one.
    pub fn unregister(&self, id: &str) -> Result<String, AppserviceCommandError> {
        let (path, _) = self.find(id)?;
        fs::remove_file(&path)
            .map_err(|source| AppserviceCommandError::File { path: path.clone(), source })?;
        Ok(format!("{id} is not registered any more; {} is removed", path.display()))
    }

    /// One line for each.
    pub fn list(&self) -> Result<String, AppserviceCommandError> {
        let mut lines = String::new();
        for (path, registration) in folder::read_files(&self.folder)? {
            let url = registration.url.as_deref().unwrap_or("no URL");
            let _ = writeln!(lines, "{}\t{url}\t{}", registration.id, path.display());
        }
        Ok(if lines.is_empty() { "no application service is registered".to_owned() } else { lines })
    }

    /// What is known of one, but for its tokens.
    pub fn show(&self, id: &str) -> Result<String, AppserviceCommandError> {
        let (path, registration) = self.find(id)?;
        let mut text = String::new();
        let list = |patterns: Vec<String>| patterns.join(", ");
        let [users, aliases, rooms] = registration.describe_namespaces();
        for (name, value) in [
            ("id", registration.id.clone()),
            ("file", path.display().to_string()),
            ("url", registration.url.clone().unwrap_or_else(|| "none".to_owned())),
            ("own user", registration.sender_localpart.clone()),
            ("users", list(users)),
            ("aliases", list(aliases)),
            ("rooms", list(rooms)),
            ("protocols", registration.protocols.join(", ")),
            ("rate limited", registration.is_rate_limited.to_string()),
            ("typing and receipts", registration.receives_ephemeral.to_string()),
        ] {
            let _ = writeln!(text, "{name:20} {value}");
        }
        Ok(text)
    }

    fn find(&self, id: &str) -> Result<(PathBuf, Registration), AppserviceCommandError> {
        let mut known = folder::read_files(&self.folder)?.into_iter();
        known
            .find(|(_, registration)| registration.id == id)
            .ok_or_else(|| AppserviceCommandError::Unknown(id.to_owned()))
    }
}
