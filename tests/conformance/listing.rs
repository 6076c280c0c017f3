//! Which of CPython's programs are not ported: the table in `docs/asyncio-map.md`, which gives the reasons.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// All programs that CPython ran.
pub(crate) fn programs() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/scenarios");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|extension| extension == "py"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .filter(|name| name != "tracelib")
        .collect()
}

/// Whether a program is one of the tutorials, which are ported as examples.
pub(crate) fn is_tutorial(name: &str) -> bool {
    name.starts_with("tutorial_")
}

/// Compares the programs that `belongs` picks with those that are ported: each must be, or be listed with a reason.
pub(crate) fn none_is_forgotten(belongs: impl Fn(&str) -> bool, ported: &[&str]) {
    let programs: BTreeSet<_> = programs().into_iter().filter(|name| belongs(name)).collect();
    let ported: BTreeSet<_> = ported.iter().map(|name| (*name).to_owned()).collect();
    let excused: BTreeSet<_> = excused().into_iter().filter(|name| belongs(name)).collect();

    let unknown: Vec<_> = ported.union(&excused).filter(|name| !programs.contains(*name)).collect();
    assert!(unknown.is_empty(), "no such programs: {unknown:?}");
    let both: Vec<_> = ported.intersection(&excused).collect();
    assert!(both.is_empty(), "ported, but listed in docs/asyncio-map.md as not ported: {both:?}");
    let forgotten: Vec<_> =
        programs.iter().filter(|name| !ported.contains(*name) && !excused.contains(*name)).collect();
    assert!(forgotten.is_empty(), "neither ported nor listed in docs/asyncio-map.md: {forgotten:?}");
}

/// The programs in the table's rows: "| `name` | not yet, or none | reason |".
fn excused() -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/asyncio-map.md");
    let text = fs::read_to_string(path).unwrap();
    let section = text.split("\n## ").find(|section| section.starts_with("Conformance scenarios\n"));
    let section = section.expect("docs/asyncio-map.md has a section \"Conformance scenarios\"");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.map(|row| {
        let (name, row) = row.split_once("` |").unwrap_or_else(|| panic!("a row of the table: {row}"));
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        assert!(
            matches!(cells[..], ["not yet" | "none", why, ""] if !why.is_empty()),
            "{name}: status and reason"
        );
        name.to_owned()
    })
    .collect()
}
