//! Who may import whom: docs/ARCHITECTURE.md against the manifests, in both directions.

use std::fs;
use std::path::PathBuf;

use xtask::house::{self, Imports, Row};
use xtask::workspace::{self, Member};

use super::complaints::Complaints;

/// The facade's name in the table; the other crates go by their folders.
const FACADE: &str = "kumihimo";

fn table() -> Vec<Row> {
    house::table().unwrap_or_else(|failure| panic!("{failure}"))
}

fn label(member: &Member) -> &str {
    if member.folder.is_empty() { FACADE } else { &member.folder }
}

/// The crates of ours that a manifest names, for whatever purpose, as the table calls them. The facade's examples
/// and tests may name the facade itself, to switch features on.
fn imports(member: &Member, members: &[Member]) -> Vec<String> {
    let named = |package: &str| members.iter().find(|other| other.name() == package).map(label);
    let found =
        member.manifest.dependencies().into_iter().filter_map(|d| named(&d.package).map(str::to_string));
    found.filter(|name| name != label(member)).collect()
}

#[test]
fn table_and_members_are_the_same_crates() {
    let (rows, members) = (table(), workspace::members());
    let mut complaints = Complaints::default();
    for member in &members {
        let row = rows.iter().find(|row| row.name == label(member));
        complaints.unless(row.is_some(), || {
            format!("docs/ARCHITECTURE.md: `{}` has no line in the table", label(member))
        });
        complaints.unless(row.is_none_or(|row| !row.later), || {
            format!("docs/ARCHITECTURE.md: `{}` exists; take `(later)` off its line", label(member))
        });
    }
    for row in rows.iter().filter(|row| !row.later) {
        complaints.unless(members.iter().any(|member| label(member) == row.name), || {
            format!(
                "docs/ARCHITECTURE.md: the table names `{}`, which is no member of the workspace",
                row.name
            )
        });
    }
}

#[test]
fn nobody_imports_more_than_the_table_says() {
    let (rows, members) = (table(), workspace::members());
    let mut complaints = Complaints::default();
    for member in &members {
        let Some(Row { imports: Imports::Only(allowed), name, .. }) =
            rows.iter().find(|row| row.name == label(member))
        else {
            continue;
        };
        for import in imports(member, &members) {
            complaints.unless(allowed.iter().any(|a| a.name == import), || {
                format!(
                    "`{name}` depends on `{import}`, which the table in docs/ARCHITECTURE.md does not allow; \
                     move the code to a crate that may, or change the design there first"
                )
            });
        }
    }
}

#[test]
fn the_table_says_no_more_than_the_manifests() {
    let (rows, members) = (table(), workspace::members());
    let mut complaints = Complaints::default();
    for member in &members {
        let Some(Row { imports: Imports::Only(allowed), name, .. }) =
            rows.iter().find(|row| row.name == label(member))
        else {
            continue;
        };
        let used = imports(member, &members);
        for import in allowed {
            let is_used = used.contains(&import.name);
            complaints.unless(is_used || import.later, || {
                format!(
                    "docs/ARCHITECTURE.md lets `{name}` import `{}`, which it doesn't; take that off the table, \
                     or write `(later)` behind it",
                    import.name
                )
            });
            complaints.unless(!is_used || !import.later, || {
                format!(
                    "docs/ARCHITECTURE.md says `{name}` imports `{}` later, which it does now; take `(later)` off",
                    import.name
                )
            });
        }
    }
}

#[test]
fn nothing_imports_the_tools() {
    let members = workspace::members();
    let mut complaints = Complaints::default();
    for member in &members {
        for import in imports(member, &members) {
            let tool = members.iter().any(|other| label(other) == import && !other.is_published());
            complaints.unless(!tool, || {
                format!("`{}` depends on `{import}`, a tool of this repository", label(member))
            });
        }
    }
}

#[test]
fn tests_and_examples_use_the_facade_only() {
    let members = workspace::members();
    let mut complaints = Complaints::default();
    for dependency in members[0].manifest.dependencies().into_iter().filter(|d| d.dev) {
        let inner = members.iter().any(|m| m.name() == dependency.package && !m.folder.is_empty());
        complaints.unless(!inner, || {
            format!("Cargo.toml: `{}` in [dev-dependencies]: tests see the facade only", dependency.package)
        });
    }
    let crates: Vec<String> = members.iter().skip(1).map(|m| m.name().replace('-', "_")).collect();
    // What the compiler prints names the crates that types come from.
    let is_source = |file: &PathBuf| file.extension().is_none_or(|extension| extension != "stderr");
    for file in
        [workspace::files("tests"), workspace::files("examples")].concat().into_iter().filter(is_source)
    {
        let text = fs::read_to_string(workspace::root().join(&file)).unwrap_or_default();
        for name in crates.iter().filter(|name| text.contains(&format!("{name}::"))) {
            complaints
                .unless(false, || format!("{}: names {name}; write against the facade", file.display()));
        }
    }
}
