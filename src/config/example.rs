//! Writes `conduit-example.toml` from the declarations, so that file and code cannot differ (a test
//! compares them).

use std::collections::HashSet;

use super::{Config, OptionDoc};

/// The text before the options.
const HEADER: &str = "\
# The configuration of conduit, with every option that there is and its default.
# This file is written by `conduit example-config`; change the declarations in src/config/, not this.
#
# Copy it, set `server_name`, remove the `#` before any other line that you change, and start the server
# with `conduit --config FILE`. Each option can also be set by an environment variable, which then wins:
# CONDUIT_SERVER_NAME=example.org, CONDUIT_RATE_LIMITS__LOGIN__BURST=20 (two underscores between a section
# and its key), CONDUIT_LISTEN=127.0.0.1:6167,[::1]:6167 (commas in lists).
";

/// The widest line of a comment, in characters.
const COMMENT_CHARS_MAX: usize = 100;

/// The example configuration: each option with its documentation, what it allows and its default,
/// commented out; only `server_name`, which has none, is set.
pub fn example_toml() -> String {
    let mut out = String::from(HEADER);
    let mut documented = HashSet::new();
    for doc in Config::default().describe_options() {
        let key = doc.path.rsplit('.').next().unwrap_or_default();
        out.push('\n');
        if doc.is_section {
            write_comment(&mut out, &joined(&doc));
            out.extend(["[", &doc.path, "]\n"]);
            continue;
        }
        // Sections of one type repeat their keys: explained once.
        if documented.insert((key.to_owned(), doc.doc.clone())) {
            write_comment(&mut out, &joined(&doc));
            write_comment(&mut out, &format!("Allowed: {}.", doc.allowed));
        } else {
            // The line break before a key without comment would only stretch the file.
            out.pop();
        }
        out.push_str(&setting(&doc, key));
        out.push('\n');
    }
    out
}

/// The line that sets the option, commented out unless the operator must set it.
fn setting(doc: &OptionDoc, key: &str) -> String {
    if doc.path == "server_name" {
        return format!("{key} = {}", doc.example.unwrap_or_default());
    }
    match (&doc.default, doc.example) {
        (Some(default), Some(example)) => format!("# Example: {key} = {example}\n#{key} = {default}"),
        (Some(default), None) => format!("#{key} = {default}"),
        (None, example) => format!("# Not set by default. Example:\n#{key} = {}", example.unwrap_or("\"\"")),
    }
}

/// The documentation as one text.
fn joined(doc: &OptionDoc) -> String {
    doc.doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

/// Writes `text` as comment lines of at most [`COMMENT_CHARS_MAX`] characters.
fn write_comment(out: &mut String, text: &str) {
    let mut line = String::from("#");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > COMMENT_CHARS_MAX {
            out.push_str(&line);
            out.push('\n');
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    out.push_str(&line);
    out.push('\n');
}
