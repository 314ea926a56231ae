//! `docs/endpoints.md` tells which operations of the Matrix specification this server serves. It is made here,
//! from the endpoints that the server registers and the specification's list (`docs/endpoints.tsv`: one line
//! an operation, with the test that covers it or the reason why it is not served), and held true.
//!
//! `UPDATE_ENDPOINTS=1 cargo test --test endpoints` writes it anew.

#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

/// The APIs of the specification that a homeserver serves, with the number of their operations in v1.19.
const APIS: [(&str, usize); 2] = [("client-server", 166), ("server-server", 36)];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// One operation of the specification.
struct Operation {
    api: String,
    method: String,
    path: String,
    name: String,
    /// `file.rs::name`, or empty if the operation is not served.
    test: String,
    /// Why the operation is not served, or empty if it is.
    reason: String,
}

impl Operation {
    /// Method and path without the names of its arguments, which differ between the specification and ruma.
    fn key(&self) -> (String, String) {
        (without_names(&self.path), self.method.clone())
    }
}

fn without_names(path: &str) -> String {
    let mut inside = false;
    path.chars()
        .filter(|c| {
            let is_shown = !inside || *c == '}';
            inside = *c == '{' || (inside && *c != '}');
            is_shown
        })
        .collect()
}

fn operations() -> Vec<Operation> {
    let text = fs::read_to_string(root().join("docs/endpoints.tsv")).expect("the list of operations");
    let parse = |line: &str| {
        let [api, method, path, name, test, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("six columns, not: {line}")
        };
        Operation {
            api: api.to_owned(),
            method: method.to_owned(),
            path: path.to_owned(),
            name: name.to_owned(),
            test: test.to_owned(),
            reason: reason.to_owned(),
        }
    };
    text.lines().skip(1).map(parse).collect()
}

/// Path and method of all that is served.
fn served() -> BTreeSet<(String, String)> {
    let routes = conduit::api::endpoints();
    routes.endpoints().map(|(path, method)| (without_names(path), method.to_owned())).collect()
}

fn rust_files(folder: PathBuf, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            rust_files(path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root()).expect("below the root").display().to_string();
            found.insert(name, fs::read_to_string(&path).expect("sources are text"));
        }
    }
}

#[test]
fn every_operation_is_served_and_tested_or_has_a_reason() {
    let operations = operations();
    for (api, count) in APIS {
        assert_eq!(operations.iter().filter(|operation| operation.api == api).count(), count, "{api}");
    }
    let served = served();
    let mut sources = BTreeMap::new();
    rust_files(root().join("tests"), &mut sources);
    rust_files(root().join("src"), &mut sources);
    let mut wrong = Vec::new();
    for operation in &operations {
        let Operation { name, test, reason, .. } = operation;
        if !served.contains(&operation.key()) {
            if reason.is_empty() || !test.is_empty() {
                wrong.push(format!("{name} is not served: give the reason, and no test"));
            }
            continue;
        }
        if !reason.is_empty() {
            wrong.push(format!("{name} is served: take out the reason, and name the test that covers it"));
            continue;
        }
        let found = test.split_once("::").is_some_and(|(file, test)| {
            sources.get(file).is_some_and(|s| s.contains(&format!("fn {test}(")))
        });
        if !found {
            wrong.push(format!("{name}: there is no test {test:?} (folder/file.rs::function)"));
        }
    }
    assert!(wrong.is_empty(), "docs/endpoints.tsv:\n{}", wrong.join("\n"));
}

#[test]
fn the_document_is_up_to_date() {
    let path = root().join("docs/endpoints.md");
    let text = document();
    if env::var_os("UPDATE_ENDPOINTS").is_some() {
        fs::write(&path, &text).expect("the document can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == text,
        "docs/endpoints.md is out of date: UPDATE_ENDPOINTS=1 cargo test --test endpoints"
    );
}

fn document() -> String {
    let operations = operations();
    let served = served();
    let mut text = "# Endpoints\n\nMade by `tests/endpoints.rs` from what the server registers and from \
                    `endpoints.tsv`, the list of operations of the Matrix specification v1.19.\n"
        .to_owned();
    for (api, _) in APIS {
        let of_api: Vec<_> = operations.iter().filter(|operation| operation.api == api).collect();
        let count = of_api.iter().filter(|operation| served.contains(&operation.key())).count();
        let _ = write!(
            text,
            "\n## The {api} API: {count} of {} operations\n\n\
             | operation | request | served | test, or why not |\n|---|---|---|---|\n",
            of_api.len()
        );
        for operation in of_api {
            let Operation { method, path, name, test, reason, .. } = operation;
            let (yes, why) = match served.contains(&operation.key()) {
                true => ("yes", format!("`{test}`")),
                false => ("no", reason.clone()),
            };
            let _ = writeln!(text, "| {name} | `{method} {path}` | {yes} | {why} |");
        }
    }
    further(&mut text, &operations);
    text
}

/// What is served beyond the specification: unstable names, and the administrators' API.
fn further(text: &mut String, operations: &[Operation]) {
    let specified: BTreeSet<_> = operations.iter().map(Operation::key).collect();
    let routes = conduit::api::endpoints();
    text.push_str(
        "\n## Beyond the specification\n\nEarlier versions of the paths above (`r0`, `v1`) are left out.\n\n",
    );
    for (path, method) in routes.endpoints() {
        let is_older = || {
            let key = without_names(path);
            let at = |version: &str| {
                let mut parts: Vec<&str> = key.split('/').collect();
                if let Some(part) = parts.get_mut(3) {
                    *part = version;
                }
                specified.contains(&(parts.join("/"), method.to_owned()))
            };
            !path.contains("/unstable/") && (at("v1") || at("v2") || at("v3"))
        };
        if !is_older() && !specified.contains(&(without_names(path), method.to_owned())) {
            let _ = writeln!(text, "- `{method} {path}`");
        }
    }
}
