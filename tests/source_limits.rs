//! The rules of the house that a compiler does not know: how long a file may be, and that a folder uses
//! only folders below it.

#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Lines that a file may have. One subject fits into far fewer.
const LINES_MAX: usize = 800;

/// What each folder of `src/` uses directly (the table in ARCHITECTURE.md). A folder may also use what
/// those use: arrows point downward, however long. `main.rs` may use everything.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "server",
        &[
            "admin",
            "api",
            "federation",
            "appservices",
            "media",
            "sync",
            "push",
            "rooms",
            "users",
            "storage",
            "net",
            "config",
        ],
    ),
    ("admin", &["federation", "appservices", "media", "sync", "push", "rooms", "users", "storage", "config"]),
    (
        "api",
        &["federation", "appservices", "media", "sync", "push", "rooms", "users", "storage", "net", "config"],
    ),
    ("federation", &["media", "push", "rooms", "users", "storage", "net"]),
    ("appservices", &["push", "rooms", "users", "storage", "net"]),
    ("media", &["users", "storage", "net"]),
    ("sync", &["push", "rooms", "users", "storage", "net"]),
    ("push", &["rooms", "users", "storage", "net"]),
    ("rooms", &["users", "state", "storage", "matrix", "config"]),
    ("users", &["storage", "matrix", "config"]),
    ("storage", &["state", "matrix", "config"]),
    ("state", &["matrix"]),
    ("matrix", &[]),
    ("net", &["config"]),
    ("config", &[]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All our files below a folder of the checkout.
fn files_below(folder: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        // `benches` need not exist.
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("an entry of a folder").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// Programs of ours, in any language.
fn is_code(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs" | "py" | "js" | "mjs" | "ts" | "sh"))
}

#[test]
fn no_file_is_too_long() {
    let folders = ["src", "tests", "benches", "tools"];
    let files: Vec<_> = folders.into_iter().flat_map(files_below).filter(|path| is_code(path)).collect();
    assert!(files.len() > 20, "the files are found: {}", files.len());
    let lines = |path: &Path| fs::read_to_string(path).expect("code is text").lines().count();
    let too_long: Vec<_> =
        files.iter().map(|path| (shown(path), lines(path))).filter(|(_, lines)| *lines > LINES_MAX).collect();
    assert!(too_long.is_empty(), "over {LINES_MAX} lines, to be split by subject: {too_long:?}");
}

/// All that a folder may use, arrow after arrow.
fn reachable(arrows: &BTreeMap<&str, &[&'static str]>, from: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&str> = vec![from];
    while let Some(folder) = open.pop() {
        for below in arrows.get(folder).copied().unwrap_or_default() {
            if found.insert(*below) {
                open.push(below);
            }
        }
    }
    found
}

/// The folders that code names as `crate::folder`, `crate::{folder, …}` included.
fn folders_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (position, word) in code.match_indices("crate::") {
        // `$crate::` in macros counts too; `other_crate::` does not.
        let before = code[..position].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[position + word.len()..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(top_level_names(group)),
            None => used.extend(first_name(rest)),
        }
    }
    used
}

fn first_name(text: &str) -> Option<String> {
    let name: String = text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!name.is_empty()).then_some(name)
}

/// The first names of the parts of `a::b, c::{d, e}, f}`.
fn top_level_names(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut part = String::new();
    let mut names = Vec::new();
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.extend(first_name(&std::mem::take(&mut part))),
            _ => part.push(c),
        }
    }
    names.extend(first_name(&part));
    names
}

/// Code without comments: documentation may name what it likes.
fn without_comments(code: &str) -> String {
    code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

#[test]
fn arrows_point_downward() {
    let arrows: BTreeMap<_, _> = ARROWS.iter().copied().collect();
    for folder in arrows.keys() {
        assert!(!reachable(&arrows, folder).contains(folder), "the table itself has a circle at {folder}");
    }
    let mut wrong = Vec::new();
    for path in files_below("src") {
        let relative = shown(&path);
        let mut parts = relative.split('/').skip(1);
        // lib.rs and main.rs stand in no folder.
        let (Some(folder), Some(_)) = (parts.next(), parts.next()) else { continue };
        assert!(arrows.contains_key(folder), "{relative}: add `{folder}` to the table of arrows");
        let allowed = reachable(&arrows, folder);
        let code = without_comments(&fs::read_to_string(&path).expect("code is text"));
        let used = folders_used(&code).into_iter().filter(|name| arrows.contains_key(name.as_str()));
        wrong.extend(
            used.filter(|name| name != folder && !allowed.contains(name.as_str()))
                .map(|name| format!("{relative} uses `{name}`, which is not below `{folder}`")),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_architecture_names_every_folder() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md is there");
    for entry in fs::read_dir(root().join("src")).expect("src is there") {
        let path = entry.expect("an entry of a folder").path();
        if path.is_dir() {
            let row = format!("`{}/`", path.file_name().expect("a name").display());
            assert!(text.contains(&row), "ARCHITECTURE.md has no row for {row}");
        }
    }
}

#[test]
fn uses_are_found_in_every_form() {
    let code =
        "use crate::storage::X;\nuse crate::{\n    config::{A, B},\n    net,\n};\nlet x = crate::push::f();";
    let expected = ["config", "net", "push", "storage"].map(str::to_owned);
    assert_eq!(folders_used(code), BTreeSet::from(expected));
    assert!(folders_used("use my_crate::storage;").is_empty());
    assert!(folders_used(&without_comments("// crate::storage")).is_empty());
}
