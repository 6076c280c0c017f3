//! The crates of the workspace, and who may import whom, as docs/ARCHITECTURE.md tells it.
//!
//! The page is the only place where the rules are written: people read it, the policy test reads it too.

use std::fs;

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// The line that stands above the table in the page.
const MARK: &str = "```text imports";

/// One line of the table: `name -> import, import (later)`.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The folder of a member, or `kumihimo` for the facade.
    pub name: String,
    /// The crate itself is yet to come.
    pub later: bool,
    /// What it may import of ours.
    pub imports: Imports,
}

/// What a crate may import of ours.
#[derive(Debug, PartialEq, Eq)]
pub enum Imports {
    /// Whatever it likes; it is a tool that nothing imports.
    Anything,
    /// Exactly these.
    Only(Vec<Import>),
}

/// A crate that may be imported.
#[derive(Debug, PartialEq, Eq)]
pub struct Import {
    /// Its folder.
    pub name: String,
    /// Allowed, and not yet used.
    pub later: bool,
}

/// Reads the table in docs/ARCHITECTURE.md.
///
/// # Errors
///
/// When the page or the table is missing, or a line is not of the table's form.
pub fn table() -> Outcome<Vec<Row>> {
    let path = workspace::root().join("docs/ARCHITECTURE.md");
    let page = fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("can't read docs/ARCHITECTURE.md: {error}")))?;
    parse(&page)
}

fn parse(page: &str) -> Outcome<Vec<Row>> {
    let mut rows = Vec::new();
    let lines = page.lines().skip_while(|line| *line != MARK).skip(1);
    for line in lines.take_while(|line| *line != "```") {
        let Some((names, imports)) = line.split_once("->") else {
            return Err(Failure::new(format!(
                "docs/ARCHITECTURE.md: expected `crate -> imports`, found `{line}`"
            )));
        };
        for name in items(names) {
            rows.push(Row { name: name.name, later: name.later, imports: Imports::parse(imports) });
        }
    }
    if rows.is_empty() {
        return Err(Failure::new(format!(
            "docs/ARCHITECTURE.md has no table of imports below a line `{MARK}`"
        )));
    }
    Ok(rows)
}

impl Imports {
    fn parse(text: &str) -> Imports {
        match text.trim() {
            "anything" => Imports::Anything,
            "nothing" => Imports::Only(Vec::new()),
            _ => Imports::Only(items(text)),
        }
    }
}

/// The members of a list `a, b (later), c`.
fn items(text: &str) -> Vec<Import> {
    let item = |item: &str| {
        let item = item.trim();
        let name = item.strip_suffix("(later)");
        Import { name: name.unwrap_or(item).trim().to_string(), later: name.is_some() }
    };
    text.split(',').map(item).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows() {
        let page = "# x\n```text imports\na, b (later) -> nothing\nc    -> a, b (later)\nd -> anything\n```\ne -> a\n";
        let rows = parse(page).expect("well formed");
        let names: Vec<_> = rows.iter().map(|row| (row.name.as_str(), row.later)).collect();
        assert_eq!(names, [("a", false), ("b", true), ("c", false), ("d", false)]);
        let expected =
            vec![Import { name: "a".into(), later: false }, Import { name: "b".into(), later: true }];
        assert_eq!(rows[2].imports, Imports::Only(expected));
        assert_eq!(rows[3].imports, Imports::Anything);
    }

    #[test]
    fn no_table() {
        assert!(parse("a -> b").is_err());
        assert!(parse("```text imports\nnonsense\n```").is_err());
    }
}
