//! The folder of registration files: `*.yaml` and `*.yml`, each one application service.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use super::{
    limits,
    registration::{Registration, RegistrationError},
};

/// Reads all registrations of a folder, in the order of their names. No folder is no registrations.
pub(super) fn read(folder: &Path) -> Result<Vec<Registration>, RegistrationError> {
    let registrations = read_files(folder)?;
    check_unique(&registrations)?;
    Ok(registrations.into_iter().map(|(_, registration)| registration).collect())
}

/// As [`read`], with their files, and without a look at whether they go together.
pub fn read_files(folder: &Path) -> Result<Vec<(PathBuf, Registration)>, RegistrationError> {
    let unreadable = |source| RegistrationError::Unreadable { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if is_registration(&path) {
            files.push(path);
        }
        if files.len() > limits::APPSERVICES_MAX {
            return Err(RegistrationError::TooMany { path: folder.to_owned() });
        }
    }
    files.sort();
    let mut registrations = Vec::with_capacity(files.len());
    for path in files {
        let registration = read_file(&path)?;
        registrations.push((path, registration));
    }
    Ok(registrations)
}

/// Whether a file of this name is read as a registration.
fn is_registration(path: &Path) -> bool {
    let is_hidden = path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    !is_hidden && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml")
}

/// Reads one registration file.
pub fn read_file(path: &Path) -> Result<Registration, RegistrationError> {
    let unreadable = |source| RegistrationError::Unreadable { path: path.to_owned(), source };
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(limits::REGISTRATION_FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Registration::parse(path, &text)
}

/// The server must tell application services apart by id and by token.
pub fn check_unique(registrations: &[(PathBuf, Registration)]) -> Result<(), RegistrationError> {
    let (mut ids, mut tokens, mut senders) = (HashSet::new(), HashSet::new(), HashSet::new());
    for (path, registration) in registrations {
        for (field, is_new) in [
            ("id", ids.insert(&registration.id)),
            ("as_token", tokens.insert(registration.as_token_hash)),
            ("sender_localpart", senders.insert(&registration.sender_localpart)),
        ] {
            if !is_new {
                return Err(RegistrationError::Field {
                    path: path.clone(),
                    line: 1,
                    field: field.to_owned(),
                    message: "another registration in this folder has the same".to_owned(),
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &str, token: &str, sender: &str) -> String {
        format!("id: {id}\nurl: null\nas_token: {token}\nhs_token: h\nsender_localpart: {sender}\n")
    }

    #[test]
    fn yaml_files_are_read_and_others_left() {
        let folder = tempfile::tempdir().unwrap();
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("b.yaml", &text("b", "2", "y"));
        write("a.yml", &text("a", "1", "x"));
        write("notes.txt", "not yaml: [");
        write(".hidden.yaml", "not yaml: [");
        let ids: Vec<_> = read(folder.path()).unwrap().into_iter().map(|r| r.id).collect();
        assert_eq!(ids, ["a", "b"]);
        write("broken.yaml", "id: [");
        assert!(read(folder.path()).unwrap_err().to_string().contains("broken.yaml:"));
    }

    #[test]
    fn ids_tokens_and_senders_differ() {
        for (other, field) in [
            (text("a", "2", "y"), "`id`"),
            (text("b", "1", "y"), "`as_token`"),
            (text("b", "2", "x"), "`sender_localpart`"),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("a.yaml"), text("a", "1", "x")).unwrap();
            fs::write(folder.path().join("b.yaml"), other).unwrap();
            let error = read(folder.path()).unwrap_err().to_string();
            assert!(error.contains("b.yaml") && error.contains(field), "{error}");
        }
    }
}
