//! Reads a configuration: the TOML file first, then `CONDUIT_*` environment variables over it.
//!
//! All problems are collected, so that an operator mends a file in one go. The environment comes in as
//! a value, so tests need not change the process's.

use std::{collections::HashSet, path::Path};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    Config, ConfigError, Input, OptionDoc, Problem, Refusal, Setting,
    options::{Declaration, join_path},
};

/// The start of the names of our environment variables.
const ENV_PREFIX: &str = "CONDUIT_";

/// The environment variable that names the configuration file; it is no option.
pub const ENV_CONFIG_FILE: &str = "CONDUIT_CONFIG";

/// The folder beside the configuration file that has application services' registrations, unless another is set.
const REGISTRATIONS_FOLDER: &str = "registrations";

/// How much of a wrong value a message repeats, in characters.
const SHOWN_VALUE_CHARS_MAX: usize = 60;

impl Config {
    /// Reads the configuration from `file`, if one is given, and from those variables of `environment`
    /// whose names start with `CONDUIT_` (sections and keys are joined by two underscores:
    /// `CONDUIT_RATE_LIMITS__LOGIN__BURST`). `server_name` must be among them.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut loader = Loader::new();
        if let Some(path) = file {
            let text = std::fs::read_to_string(path)
                .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
            loader.read_file(path, &text);
        }
        loader.read_environment(environment);
        let mut config = loader.finish(file)?;
        if config.registrations_dir.is_none() {
            let folder = file.and_then(Path::parent);
            config.registrations_dir = folder.map(|folder| folder.join(REGISTRATIONS_FOLDER));
        }
        Ok(config)
    }

    /// All keys in the order of declaration, with this configuration's values as defaults.
    pub fn describe_options(&self) -> Vec<OptionDoc> {
        let mut out = Vec::new();
        self.describe(Declaration { path: "", doc: &[], bounds: None, example: None }, &mut out);
        // The first is the whole configuration itself, which has no key.
        out.remove(0);
        out
    }
}

/// A configuration that is being read.
struct Loader {
    config: Config,
    known: Vec<OptionDoc>,
    sections: HashSet<String>,
    server_name_is_set: bool,
    problems: Vec<Problem>,
}

impl Loader {
    fn new() -> Self {
        let config = Config::default();
        let known = config.describe_options();
        let sections = known.iter().filter(|doc| doc.is_section).map(|doc| doc.path.clone()).collect();
        Self { config, known, sections, server_name_is_set: false, problems: Vec::new() }
    }

    fn read_file(&mut self, path: &Path, text: &str) {
        let source = Source { name: path.display().to_string(), text };
        match DeTable::parse(text) {
            Ok(table) => self.read_table(&source, "", table.get_ref()),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                let message = format!("this is not TOML: {}", error.message());
                self.problems.push(Problem { place: source.place(offset), message });
            }
        }
    }

    fn read_table(&mut self, source: &Source<'_>, section: &str, table: &DeTable<'_>) {
        let mut entries: Vec<_> = table.iter().collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        for (key, value) in entries {
            let path = join_path(section, key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) if self.sections.contains(&path) => {
                    self.read_table(source, &path, inner);
                }
                other => {
                    let place = source.place(key.span().start);
                    self.set(&path, Input::Toml(other), &place, source.excerpt(value));
                }
            }
        }
    }

    fn read_environment(&mut self, environment: impl IntoIterator<Item = (String, String)>) {
        let mut variables: Vec<_> = environment
            .into_iter()
            .filter(|(name, value)| name.starts_with(ENV_PREFIX) && !is_foreign(name, value))
            .collect();
        variables.sort();
        for (name, value) in variables {
            let path = name[ENV_PREFIX.len()..].to_lowercase().replace("__", ".");
            self.set(&path, Input::Text(&value), &format!("environment variable {name}"), &value);
        }
    }

    fn set(&mut self, path: &str, input: Input<'_>, place: &str, shown: &str) {
        let segments: Vec<&str> = path.split('.').collect();
        let message = match self.config.set(&segments, input, None) {
            Ok(()) => {
                self.server_name_is_set |= path == "server_name";
                return;
            }
            Err(Refusal::UnknownKey) => {
                let nearest = nearest_key(path, &self.known);
                format!("there is no option `{path}`; the nearest is `{nearest}`")
            }
            Err(Refusal::IsSection) => {
                format!("`{path}` is a section and has no value itself; set {}", self.keys_of(path))
            }
            Err(Refusal::NotAllowed { allowed, secret: true }) => {
                format!("the value of `{path}` is not allowed; allowed is {allowed}")
            }
            Err(Refusal::NotAllowed { allowed, secret: false }) => {
                let shown: String = shown.chars().take(SHOWN_VALUE_CHARS_MAX).collect();
                format!("`{path}` is {shown}; allowed is {allowed}")
            }
        };
        self.problems.push(Problem { place: place.to_owned(), message });
    }

    /// The keys right below a section, for a message.
    fn keys_of(&self, section: &str) -> String {
        let keys = self.known.iter().filter_map(|doc| {
            let key = doc.path.strip_prefix(section)?.strip_prefix('.')?;
            (!key.contains('.')).then(|| format!("`{}`", doc.path))
        });
        keys.collect::<Vec<_>>().join(", ")
    }

    fn finish(mut self, file: Option<&Path>) -> Result<Config, ConfigError> {
        let place = file.map_or_else(|| "environment".to_owned(), |path| path.display().to_string());
        if !self.server_name_is_set && self.problems.is_empty() {
            let message = "`server_name` is missing; add a line such as server_name = \"example.org\" \
                           (or set CONDUIT_SERVER_NAME)";
            self.problems.push(Problem { place: place.clone(), message: message.to_owned() });
        }
        if self.config.listen.is_empty() {
            let message = "`listen` is empty; allowed is at least one address".to_owned();
            self.problems.push(Problem { place, message });
        }
        if self.problems.is_empty() { Ok(self.config) } else { Err(ConfigError::Invalid(self.problems)) }
    }
}

/// Whether a variable with our prefix is not ours: container orchestrators set `CONDUIT_SERVICE_HOST`,
/// `CONDUIT_PORT=tcp://…` and the like for any service that is called "conduit".
fn is_foreign(name: &str, value: &str) -> bool {
    name == ENV_CONFIG_FILE
        || name.starts_with("CONDUIT_SERVICE_")
        || (name == "CONDUIT_PORT" && value.contains("://"))
        || name.starts_with("CONDUIT_PORT_")
}

/// The known key that is most like `path`: in whole, or in its last part (someone who writes `filter`
/// may look for `log.filter`).
fn nearest_key<'a>(path: &str, known: &'a [OptionDoc]) -> &'a str {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let score = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(path, candidate);
        // A little less, so that a key in the right section wins over its namesake elsewhere.
        let in_part = 0.9 * strsim::normalized_damerau_levenshtein(&last(path), &last(candidate));
        whole.max(in_part)
    };
    known.iter().map(|doc| doc.path.as_str()).max_by(|a, b| score(a).total_cmp(&score(b))).unwrap_or_default()
}

/// A file's name and text.
struct Source<'a> {
    name: String,
    text: &'a str,
}

impl Source<'_> {
    /// `file:line` of a byte offset; lines count from 1.
    fn place(&self, offset: usize) -> String {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = before.split(|&byte| byte == b'\n').count();
        format!("{}:{line}", self.name)
    }

    /// A value as it stands in the file.
    fn excerpt(&self, value: &Spanned<DeValue<'_>>) -> &str {
        self.text.get(value.span()).unwrap_or_default()
    }
}
