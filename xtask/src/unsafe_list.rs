//! The list of all `unsafe` code that is shipped, with what each place says for itself and what covers it: `docs/unsafe.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crate::failure::{Failure, Outcome};
use crate::workspace;

/// Where the list stands.
pub const PAGE: &str = "docs/unsafe.md";

/// What covers the unsafe code of a file: the first line whose beginning the path has.
const COVERED_BY: &[(&str, &str)] = &[
    ("context/src/forward.rs", "`tests/cancellation.rs`, `tests/differential`"),
    ("context/src/", "`tests/cancellation.rs`; unit tests there"),
    ("executor/src/task/report.rs", "loom `settling`; AddressSanitizer"),
    ("executor/src/task/state.rs", "loom `waking`, `awaiting`, `cancelling`"),
    ("executor/src/task/waiters.rs", "loom `awaiting`, `settling`"),
    ("executor/src/task/link.rs", "`tests/regressions.rs`, `tests/differential`; AddressSanitizer"),
    ("executor/src/task/recognise.rs", "unit tests there; AddressSanitizer"),
    ("executor/src/task/promise.rs", "loom `settling`"),
    ("executor/src/task/", "loom `waking`, `awaiting`, `cancelling`; AddressSanitizer, LeakSanitizer"),
    ("executor/src/scheduler/main_future.rs", "`tests/run.rs`, `tests/attack.rs`; AddressSanitizer"),
    ("executor/src/scheduler/shard_lock.rs", "loom `closing`"),
    ("executor/src/scheduler/", "loom `working`, `closing`; AddressSanitizer"),
    ("executor/src/variables/", "unit tests there; AddressSanitizer"),
    ("executor/src/model/", "`tests/model.rs` (built for models only)"),
    ("reactor/src/current.rs", "unit tests of the reactor; AddressSanitizer"),
    ("reactor/src/epoll_wait.rs", "unit tests there; strace of one system call per wait"),
    ("reactor/src/", "unit tests of the reactor; `cargo xtask oneshot`"),
    ("sync/src/", "loom models of `sync`; AddressSanitizer, ThreadSanitizer"),
    ("blocking-pool/src/slot.rs", "loom `slot_*`"),
    (
        "blocking-pool/src/process/",
        "`tests/processes.rs`, `tests/process_faults.rs`; fuzz targets; AddressSanitizer",
    ),
    ("blocking-pool/src/", "loom `crew_*`, `pool_*`"),
    ("net/src/", "`net/tests`, `tests/hyper.rs`; AddressSanitizer"),
    ("src/ctrl_c.rs", "`tests/regressions.rs`, `tests/serve.rs`"),
    ("src/model/", "`tests/model.rs`"),
];

/// The page, made anew.
///
/// # Errors
///
/// If a place says nothing for itself, or nothing covers its file.
pub fn page() -> Outcome<String> {
    let mut page = String::from(
        "# Unsafe code\n\nWritten by `cargo xtask unsafe`; do not edit. Every place of the published crates that is `unsafe`, with the first sentence \
         of its SAFETY note, and what covers its file: a loom model, a test, a sanitizer. Crates that are not here forbid it.\n",
    );
    let mut total = 0;
    for member in workspace::published() {
        let folder =
            if member.folder.is_empty() { "src".to_owned() } else { format!("{}/src", member.folder) };
        for file in workspace::files(&folder) {
            let name = file.to_string_lossy().into_owned();
            let is_test =
                name.contains("loom_models") || name.ends_with("tests.rs") || name.contains("/tests/");
            if !name.ends_with(".rs") || is_test {
                continue;
            }
            let notes = notes(&name, &read(&file))?;
            if notes.is_empty() {
                continue;
            }
            let covered = COVERED_BY.iter().find(|(start, _)| name.starts_with(start));
            let Some((_, covered)) = covered else {
                return Err(Failure::new(format!(
                    "{name} has unsafe code, and nothing is said to cover it: add a line to COVERED_BY in xtask/src/unsafe_list.rs"
                )));
            };
            total += notes.len();
            let _infallible = write!(page, "\n## {name}\n\nCovered by: {covered}.\n\n");
            for note in notes {
                let _infallible = writeln!(page, "- {note}");
            }
        }
    }
    let _infallible = write!(page, "\n{total} places.\n");
    Ok(page)
}

/// Writes the page.
pub(crate) fn write_page() -> Outcome {
    fs::write(workspace::root().join(PAGE), page()?)
        .map_err(|error| Failure::new(format!("{PAGE}: {error}")))?;
    println!("{PAGE} is written");
    Ok(())
}

fn read(file: &Path) -> String {
    fs::read_to_string(workspace::root().join(file)).unwrap_or_default()
}

/// What each unsafe block or `impl` of a file says for itself.
fn notes(name: &str, text: &str) -> Outcome<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let ends = lines.iter().position(|line| line.starts_with("#[cfg(") && line.contains("test")).map_or(
        lines.len(),
        // Only where a module of tests follows.
        |at| if lines.get(at + 1).is_some_and(|next| next.starts_with("mod ")) { at } else { lines.len() },
    );
    let mut notes = Vec::new();
    for (at, line) in lines[..ends].iter().enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        if !code.contains("unsafe {") && !code.contains("unsafe impl") {
            continue;
        }
        let from = at.saturating_sub(12);
        let Some(start) = (from..=at).rev().find(|line| lines[*line].contains("SAFETY:")) else {
            // Blocks on one line share the note of the first.
            if notes.is_empty() || !lines[from..at].iter().any(|line| line.contains("unsafe")) {
                return Err(Failure::new(format!(
                    "{name}:{}: unsafe code without a SAFETY note above it",
                    at + 1
                )));
            }
            continue;
        };
        let note: Vec<_> = lines[start..=at]
            .iter()
            .map(|line| line.trim())
            .take_while(|line| line.starts_with("//") || line.contains("// SAFETY:"))
            .map(|line| line.rsplit("// ").next().unwrap_or_default().trim_start_matches("SAFETY:").trim())
            .collect();
        let note = note.join(" ");
        let sentence = note.split_inclusive(". ").next().unwrap_or_default().trim();
        notes.push(sentence.trim_end_matches('.').to_owned());
    }
    Ok(notes)
}
