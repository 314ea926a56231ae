//! The try-out server: what `conduit` does when it is given no configuration. It serves `localhost` on
//! 127.0.0.1 from a folder of its own, with a random registration token, and says what to do next.
//!
//! The folder holds an ordinary configuration file, so a person who wants to go on from here has one to
//! start with. The main type is [`TryOut`].

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};

use super::{
    Config, ConfigError, ListenAddress,
    values::{TextValue, quoted},
};

/// The folder's name, in the user's data folder.
const FOLDER: &str = "conduit-tryout";

/// The configuration file's name, in that folder.
const CONFIG_FILE: &str = "conduit.toml";

/// Random bytes in the registration token; 18 are 24 characters.
const TOKEN_BYTES: usize = 18;

/// The try-out server's folder, prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TryOut {
    /// The folder with all that the try-out server keeps.
    pub folder: PathBuf,
    /// Its configuration file.
    pub config_file: PathBuf,
}

impl TryOut {
    /// The folder that the environment variables `XDG_DATA_HOME` and `HOME` lead to.
    pub fn default_folder(variable: impl Fn(&str) -> Option<String>) -> Result<PathBuf, ConfigError> {
        let set = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // Relative paths are invalid in XDG_DATA_HOME and ignored, as its specification wants.
        let data = set("XDG_DATA_HOME").filter(|path| path.is_absolute());
        let data = data.or_else(|| set("HOME").map(|home| home.join(".local/share")));
        data.map(|data| data.join(FOLDER)).ok_or(ConfigError::NoHome)
    }

    /// Makes the folder and its configuration with a new token, unless they exist from last time.
    pub fn prepare(folder: PathBuf) -> Result<Self, ConfigError> {
        let config_file = folder.join(CONFIG_FILE);
        let failed = |path: &Path, source| ConfigError::TryOutFolder { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|e| failed(&folder, e))?;
        if !config_file.exists() {
            write_config(&folder, &config_file).map_err(|e| failed(&config_file, e))?;
        }
        Ok(Self { folder, config_file })
    }

    /// The configuration, from its file and the environment's variables. Clients that ask are told the
    /// URL at which the server listens, unless something else is configured or others may reach it.
    pub fn config(
        &self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Config, ConfigError> {
        let mut config = Config::load(Some(&self.config_file), environment)?;
        if config.well_known.client.is_none() && is_local_only(&config) {
            config.well_known.client = TextValue::read(&url(&config));
        }
        Ok(config)
    }

    /// What a person can do now, with commands to copy. `config` is what the server runs with.
    pub fn next_steps(&self, config: &Config) -> String {
        let url = url(config);
        let token = config.registration_token.as_ref().map_or("", |token| token.expose());
        format!(
            "\
This is a try-out server for `{name}`. It {answers}keeps everything in
  {folder}

1. See that it answers:
     curl {url}/_matrix/client/versions

2. Register the first account, which becomes the server's administrator, in Element (step 3) or with these
   commands (`me` and `choose-one` are the name and password). Others register in the same way. The
   registration token is
     {token}

     register() {{
       curl -s {url}/_matrix/client/v3/register \\
         -d '{{\"username\":\"me\",\"password\":\"choose-one\",\"auth\":{{'\"$1\"'}}}}'
     }}
     session=$(register '\"type\":\"m.login.registration_token\",\"token\":\"{token}\"' |
       sed 's/.*\"session\":\"\\([^\"]*\\)\".*/\\1/')
     register '\"type\":\"m.login.dummy\",\"session\":\"'$session'\"'

3. Connect Element: open https://app.element.io or Element Desktop on this machine, choose Create account
   (or Sign in, if you have one), edit the homeserver, and enter
     {url}

For a server with a name of its own: conduit example-config > conduit.toml, set server_name, and start
  conduit --config conduit.toml
",
            name = config.server_name,
            answers = if is_local_only(config) { "answers only on this machine and " } else { "" },
            folder = self.folder.display(),
        )
    }
}

/// Whether only programs on this machine reach the server.
fn is_local_only(config: &Config) -> bool {
    config.listen.iter().all(|address| match address {
        ListenAddress::Tcp(address) => address.ip().is_loopback(),
        ListenAddress::Unix(_) => true,
    })
}

/// Where the server is reached from its own machine.
fn url(config: &Config) -> String {
    match config.listen.first() {
        Some(ListenAddress::Tcp(address)) if address.ip().is_unspecified() => {
            format!("http://127.0.0.1:{}", address.port())
        }
        Some(ListenAddress::Tcp(address)) => format!("http://{address}"),
        Some(ListenAddress::Unix(_)) | None => "http://127.0.0.1:6167".to_owned(),
    }
}

/// Writes the configuration file, readable by its owner only as it holds the token. It appears whole or
/// not at all.
fn write_config(folder: &Path, config_file: &Path) -> io::Result<()> {
    let text = format!(
        "\
# The try-out server that `conduit` starts when it is given no configuration.
server_name = \"localhost\"
data_dir = {}
listen = [\"127.0.0.1:6167\"]
allow_registration = true
registration_token = {}
",
        quoted(&folder.join("data").display().to_string()),
        quoted(&random_token()?),
    );
    let draft = config_file.with_extension("toml.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&draft, config_file)
}

/// A token that nobody can guess, of characters that a registration token may have.
fn random_token() -> io::Result<String> {
    let mut bytes = [0_u8; TOKEN_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_follows_xdg_then_home() {
        let folder = |xdg: Option<&str>, home: Option<&str>| {
            TryOut::default_folder(|name| match name {
                "XDG_DATA_HOME" => xdg.map(str::to_owned),
                "HOME" => home.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(folder(Some("/x"), Some("/h")).unwrap(), Path::new("/x/conduit-tryout"));
        assert_eq!(folder(Some(""), Some("/h")).unwrap(), Path::new("/h/.local/share/conduit-tryout"));
        assert_eq!(folder(Some("rel"), Some("/h")).unwrap(), Path::new("/h/.local/share/conduit-tryout"));
        assert!(matches!(folder(None, None), Err(ConfigError::NoHome)));
    }

    #[test]
    fn the_second_start_keeps_the_token_and_the_steps_name_it() {
        let home = tempfile::tempdir().unwrap();
        let first = TryOut::prepare(home.path().join("new/conduit-tryout")).unwrap();
        let config = first.config([]).unwrap();
        let second = TryOut::prepare(first.folder.clone()).unwrap();
        assert_eq!(second.config([]).unwrap(), config);

        let token = config.registration_token.clone().unwrap();
        assert_eq!(token.expose().len(), 24);
        assert!(config.allow_registration);
        assert!(config.data_dir.starts_with(&first.folder));
        let steps = first.next_steps(&config);
        assert!(steps.contains(token.expose()) && steps.contains("http://127.0.0.1:6167"), "{steps}");
    }

    #[test]
    fn clients_are_told_where_the_server_listens() {
        let home = tempfile::tempdir().unwrap();
        let try_out = TryOut::prepare(home.path().join("conduit-tryout")).unwrap();
        let told = |variables: &[(&str, &str)]| {
            let variables = variables.iter().map(|&(name, value)| (name.to_owned(), value.to_owned()));
            let config = try_out.config(variables).unwrap();
            config.well_known.client.map(|url| url.as_str().to_owned())
        };
        assert_eq!(told(&[]).unwrap(), "http://127.0.0.1:6167");
        assert_eq!(told(&[("CONDUIT_LISTEN", "127.0.0.1:7000")]).unwrap(), "http://127.0.0.1:7000");
        assert_eq!(told(&[("CONDUIT_WELL_KNOWN__CLIENT", "https://a.b")]).unwrap(), "https://a.b");
        // A phone would look for it on the phone.
        assert_eq!(told(&[("CONDUIT_LISTEN", "0.0.0.0:80")]), None);
    }

    #[test]
    fn only_the_owner_can_read_the_token() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let try_out = TryOut::prepare(home.path().join("conduit-tryout")).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&try_out.config_file), 0o600);
        assert_eq!(mode(&try_out.folder), 0o700);
    }
}
