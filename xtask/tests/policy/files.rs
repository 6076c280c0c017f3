//! What every file has in common.

use std::fs;
use std::path::PathBuf;

use xtask::{unsafe_list, workspace};

use super::complaints::Complaints;

/// A file of Rust longer than this says why, near its top.
const LONG: usize = 800;

/// The words with which it says so.
const REASON: &str = "This file is long because";

/// All files that are text, with their text.
fn texts() -> impl Iterator<Item = (PathBuf, String)> {
    workspace::files("").into_iter().filter_map(|file| {
        let text = fs::read_to_string(workspace::root().join(&file)).ok()?;
        Some((file, text))
    })
}

fn sources() -> impl Iterator<Item = (PathBuf, String)> {
    texts().filter(|(file, _)| file.extension().is_some_and(|extension| extension == "rs"))
}

#[test]
fn long_files_say_why() {
    let mut complaints = Complaints::default();
    for (file, text) in sources() {
        let lines = text.lines().count();
        let reason = text.lines().take(30).any(|line| line.contains(REASON));
        complaints.unless(lines <= LONG || reason, || {
            format!(
                "{}: {lines} lines; one concept per file, or write at its top `{REASON} ...`",
                file.display()
            )
        });
    }
}

#[test]
fn no_path_of_one_machine() {
    // Put together here, so that this file does not hold them either.
    let roots = ["home", "root", "work", "farm", "Users"].map(|name| format!("/{name}/"));
    let mut complaints = Complaints::default();
    for (file, text) in texts() {
        for (number, line) in text.lines().enumerate() {
            let found = roots.iter().any(|root| is_absolute(line, root));
            complaints.unless(!found, || {
                format!("{}:{}: a path of one machine: {line}", file.display(), number + 1)
            });
        }
    }
}

/// Does an absolute path begin with `root` in this line? In `a/home/x` it does not.
fn is_absolute(line: &str, root: &str) -> bool {
    line.match_indices(root).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + root.len()..].chars().next();
        before.is_none_or(|c| !(c.is_ascii_alphanumeric() || "_.-~})".contains(c)))
            && after.is_some_and(|c| c.is_ascii_alphanumeric() || c == '.')
    })
}

/// Complains about each line of Rust that holds one of these.
fn forbid(words: &[String], reason: &str) {
    let mut complaints = Complaints::default();
    for (file, text) in sources() {
        for (number, line) in text.lines().enumerate() {
            complaints.unless(!words.iter().any(|word| line.contains(word)), || {
                format!("{}:{}: {reason}: {line}", file.display(), number + 1)
            });
        }
    }
}

#[test]
fn nothing_is_left_to_be_written() {
    forbid(&["todo", "unimplemented"].map(|name| format!("{name}!(")), "write it, or leave it out");
}

#[test]
fn one_spelling_of_cancelled() {
    forbid(&["cance", "Cance"].map(|start| format!("{start}led")), "it is spelled `cancelled`");
}

#[test]
fn licences_are_here() {
    for (file, phrase, lines) in [
        ("LICENSE-MIT", "Permission is hereby granted, free of charge", 20),
        ("LICENSE-APACHE", "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION", 170),
    ] {
        let text = fs::read_to_string(workspace::root().join(file))
            .unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(text.contains(phrase) && text.lines().count() >= lines, "{file} is not the whole licence");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut complaints = Complaints::default();
    for (file, text) in
        texts().filter(|(file, _)| file.extension().is_some_and(|extension| extension == "md"))
    {
        let folder = workspace::root().join(&file).parent().expect("a file lies in a folder").to_path_buf();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.is_empty() || path.contains("://") || path.contains(' ');
            complaints.unless(elsewhere || folder.join(path).exists(), || {
                format!("{}: the link to {target} leads nowhere", file.display())
            });
        }
    }
}

#[test]
fn the_list_of_unsafe_code_is_true() {
    let page = unsafe_list::page().unwrap_or_else(|failure| panic!("{failure}"));
    let written = fs::read_to_string(workspace::root().join(unsafe_list::PAGE)).unwrap_or_default();
    assert!(page == written, "{} is not what the code is: run `cargo xtask unsafe`", unsafe_list::PAGE);
}
