//! What every manifest has in common.

use std::fs;

use xtask::workspace;

use super::complaints::Complaints;

/// Keys that are written once, in the root manifest.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "repository"];

/// Crates whose tour must forbid unsafe code, as they need none.
const SAFE_CRATES: [&str; 4] = ["timer-wheel", "combinators", "macros", "xtask"];

/// A file of the repository that has to be there.
fn text(path: &str) -> String {
    fs::read_to_string(workspace::root().join(path))
        .unwrap_or_else(|error| panic!("can't read {path}: {error}"))
}

#[test]
fn lints_and_package_keys_come_from_the_workspace() {
    let mut complaints = Complaints::default();
    for member in workspace::members() {
        let name = member.name();
        complaints.unless(member.manifest.raw("lints", "workspace") == Some("true"), || {
            format!("{name}: its Cargo.toml lacks `[lints] workspace = true`")
        });
        for key in INHERITED {
            let inherited = member.manifest.raw("package", &format!("{key}.workspace")) == Some("true");
            complaints
                .unless(inherited, || format!("{name}: write `{key}.workspace = true` in its Cargo.toml"));
        }
        let described = member.manifest.text("package", "description").is_some_and(|text| text.len() > 10);
        complaints.unless(described, || format!("{name}: its Cargo.toml lacks a description"));
    }
}

#[test]
fn packages_are_named_after_their_folders() {
    for member in workspace::members().iter().filter(|m| !m.folder.is_empty() && m.folder != "xtask") {
        assert_eq!(member.name(), format!("kumihimo-{}", member.folder), "{}/Cargo.toml", member.folder);
    }
}

#[test]
fn versions_of_dependencies_are_written_once() {
    let members = workspace::members();
    let facade = members[0].name();
    let mut complaints = Complaints::default();
    for member in &members {
        for dependency in member.manifest.dependencies() {
            // The facade's examples and tests name it by path, to switch features on.
            let itself = dependency.dev && dependency.package == facade && member.name() == facade;
            complaints.unless(dependency.inherited || itself, || {
                format!(
                    "{}: write the version of `{1}` in [workspace.dependencies] of the root Cargo.toml, and \
                     `{1}.workspace = true` here",
                    member.name(),
                    dependency.package
                )
            });
        }
    }
}

#[test]
fn every_dependency_is_used_and_explained() {
    let members = workspace::members();
    let used: Vec<String> =
        members.iter().flat_map(|m| m.manifest.dependencies()).map(|d| d.package).collect();
    let design = text("docs/DESIGN.md");
    let mut complaints = Complaints::default();
    for name in members[0].manifest.keys("workspace.dependencies") {
        complaints.unless(used.iter().any(|package| package == name), || {
            format!("Cargo.toml: no member uses `{name}` of [workspace.dependencies]; take it off")
        });
        let ours = members.iter().any(|member| member.name() == name);
        complaints.unless(ours || design.contains(&format!("`{name}`")), || {
            format!("docs/DESIGN.md does not say why `{name}` is a dependency; add it to the tables there")
        });
    }
}

#[test]
fn every_feature_is_documented() {
    let manifest = text("Cargo.toml");
    let readme = text("README.md");
    let mut complaints = Complaints::default();
    for feature in workspace::members()[0].manifest.features() {
        complaints.unless(readme.contains(&format!("| `{feature}` |")), || {
            format!("README.md's feature table lacks `{feature}`")
        });
        let definition = manifest.find(&format!("\n{feature} = ["));
        let above = definition.and_then(|at| manifest[..at].lines().last()).unwrap_or_default();
        complaints.unless(above.starts_with('#'), || {
            format!("Cargo.toml: say in a comment above it what the feature `{feature}` is")
        });
    }
}

#[test]
fn crates_without_need_for_unsafe_forbid_it() {
    let mut complaints = Complaints::default();
    for folder in SAFE_CRATES {
        let tour = text(&format!("{folder}/src/lib.rs"));
        complaints.unless(tour.contains("#![forbid(unsafe_code)]"), || {
            format!("{folder}/src/lib.rs lacks #![forbid(unsafe_code)]")
        });
    }
}

#[test]
fn readme_names_the_minimum_rust() {
    let members = workspace::members();
    let minimum = members[0].manifest.text("workspace.package", "rust-version").expect("rust-version");
    assert!(
        text("README.md").contains(&format!("Rust {minimum}")),
        "README.md: the minimum Rust is {minimum}"
    );
}
