//! Every memory ordering and every fence of the hand-synchronised parts, weakened one at a time.
//!
//! All places are switched in one build: a copy of the sources in which each ordering is a call that gives the weaker one where
//! `KUMIHIMO_MUTANT` names the place. So trying one costs only the models' time.

use std::fmt;

/// The files whose orderings are tried, by crate, and the models that concern them.
pub(crate) const FILES: &[(&str, &[&str])] = &[
    ("executor/src/task/state.rs", &["waking", "awaiting", "cancelling", "closing", "settling"]),
    ("executor/src/task/header.rs", &["cancelling", "awaiting", "settling"]),
    ("executor/src/task/waiters.rs", &["awaiting", "settling"]),
    ("executor/src/scheduler/shard_lock.rs", &["closing", "registering"]),
    ("executor/src/scheduler/lifo.rs", &["lifo", "working"]),
    ("executor/src/sleep/mod.rs", &["sleeping", "working"]),
    ("sync/src/permits.rs", &["loom_models"]),
    ("sync/src/event.rs", &["loom_models"]),
    ("sync/src/waiters.rs", &["loom_models"]),
    ("blocking-pool/src/crew.rs", &["loom_models"]),
    ("blocking-pool/src/slot.rs", &["loom_models"]),
    ("blocking-pool/src/worker.rs", &["loom_models"]),
    ("reactor/src/clock.rs", &["loom_models"]),
    ("reactor/src/alarm.rs", &["loom_models"]),
    ("reactor/src/interrupt.rs", &["loom_models"]),
];

/// What each crate's `sync.rs` gets appended, in the copy.
pub(crate) const SWITCH: &str = r#"
fn mutant() -> &'static str {
    static MUTANT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    MUTANT.get_or_init(|| std::env::var("KUMIHIMO_MUTANT").unwrap_or_default())
}

pub(crate) fn mutant_ordering(place: &str, right: std::sync::atomic::Ordering) -> std::sync::atomic::Ordering {
    use std::sync::atomic::Ordering::*;
    match mutant().split_once('=') {
        Some((at, "Relaxed")) if at == place => Relaxed,
        Some((at, "Acquire")) if at == place => Acquire,
        Some((at, "Release")) if at == place => Release,
        _ => right,
    }
}

pub(crate) fn mutant_fence(place: &str) {
    if mutant().split_once('=').map(|(at, _)| at) != Some(place) {
        kumihimo_context::model::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    }
}
"#;

/// One weakening.
#[derive(Clone, Debug)]
pub(crate) struct Weakening {
    /// The file.
    pub(crate) file: &'static str,
    /// The line, from 1 on.
    pub(crate) line: usize,
    /// The how-manieth in that line.
    pub(crate) nth: usize,
    /// The code in that line.
    pub(crate) code: String,
    /// What stands there, and what is put in its place.
    pub(crate) from: &'static str,
    pub(crate) to: &'static str,
    /// The models to run.
    pub(crate) models: &'static [&'static str],
}

impl Weakening {
    /// What `KUMIHIMO_MUTANT` is set to.
    pub(crate) fn switch(&self) -> String {
        format!("{}={}", self.place(), self.to)
    }

    fn place(&self) -> String {
        format!("{}:{}:{}", self.file, self.line, self.nth)
    }

    pub(crate) fn package(&self) -> &'static str {
        self.file.split('/').next().unwrap_or_default()
    }
}

impl fmt::Display for Weakening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Weakening { file, line, from, to, code, .. } = self;
        write!(f, "{file}:{line} {from} -> {to}: `{code}`")
    }
}

/// The text with all its places switched, and what can be tried there.
pub(crate) fn plant(
    file: &'static str,
    models: &'static [&'static str],
    text: &str,
) -> (String, Vec<Weakening>) {
    let (mut planted, mut found) = (String::new(), Vec::new());
    // Unit tests come last in a file, and are not built for loom.
    let code_ends = text.find("#[cfg(all(test, not(kumihimo_loom)))]").unwrap_or(text.len());
    let mut read = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let trimmed = line.trim_start();
        let is_code = read < code_ends
            && !["//", "use ", "pub use ", "pub(crate) use "].iter().any(|start| trimmed.starts_with(start));
        read += line.len();
        if !is_code {
            planted += line;
            continue;
        }
        let (mut rest, mut nth) = (line, 0);
        while let Some(token) = Token::first(rest) {
            let place = format!("{file}:{}:{nth}", number + 1);
            planted += &rest[..token.start];
            planted += &match token.fence {
                true => format!("crate::sync::mutant_fence({place:?})"),
                false => {
                    format!("crate::sync::mutant_ordering({place:?}, {})", &rest[token.start..token.end])
                }
            };
            for to in token.weaker() {
                let code = trimmed.trim_end().to_owned();
                found.push(Weakening { file, line: number + 1, nth, code, from: token.name, to, models });
            }
            rest = &rest[token.end..];
            nth += 1;
        }
        planted += rest;
    }
    (planted, found)
}

/// An ordering, or a fence, in a line.
struct Token {
    start: usize,
    end: usize,
    name: &'static str,
    fence: bool,
}

impl Token {
    fn first(line: &str) -> Option<Token> {
        const FENCES: [&str; 2] = ["fence(Ordering::SeqCst)", "fence(SeqCst)"];
        let fence = FENCES.iter().find_map(|text| line.find(text).map(|start| (start, start + text.len())));
        let fence = fence.map(|(start, end)| Token { start, end, name: "fence", fence: true });
        let ordering = ["Acquire", "Release", "AcqRel", "SeqCst"].into_iter().filter_map(|name| {
            line.match_indices(name).find_map(|(at, _)| {
                let before = line[..at].strip_suffix("Ordering::").unwrap_or(&line[..at]);
                // An argument: nothing else is followed by these.
                let is_argument = line[at + name.len()..].starts_with([')', ','])
                    && (before.ends_with('(') || before.ends_with(", ") || before.trim().is_empty());
                is_argument.then_some(Token { start: before.len(), end: at + name.len(), name, fence: false })
            })
        });
        let ordering = ordering.min_by_key(|token| token.start);
        match (fence, ordering) {
            (Some(fence), Some(other)) if other.start < fence.start => Some(other),
            (Some(fence), _) => Some(fence),
            (None, other) => other,
        }
    }

    fn weaker(&self) -> &'static [&'static str] {
        match self.name {
            "fence" => &["nothing"],
            "AcqRel" => &["Acquire", "Release"],
            // To loom, as to this code, a single operation is never more than that.
            "SeqCst" => &["Relaxed"],
            _ => &["Relaxed"],
        }
    }
}

/// A weakening that no model catches, and why it is as it is all the same.
pub(crate) struct Redundant {
    pub(crate) file: &'static str,
    /// The code of the line, or the beginning of it.
    pub(crate) code: &'static str,
    /// What it is weakened to; any if it is empty.
    pub(crate) to: &'static str,
    pub(crate) reason: &'static str,
}

impl Redundant {
    pub(crate) fn covers(&self, weakening: &Weakening) -> bool {
        self.file == weakening.file
            && weakening.code.starts_with(self.code)
            && (self.to.is_empty() || self.to == weakening.to)
    }
}

const SLEEP: &str = "executor/src/sleep/mod.rs";
/// Why the counts of sleepers are changed in one order.
const COUNTS: &str = "the fences order it; in one order, models have an eighth of the interleavings";
/// Why loom does not see what the last look relies on.
const LAST_LOOK: &str = "argued at `settle` from the one order of SeqCst accesses, which loom does not know";

/// Why loom does not see what the end of an initializer needs its fence for.
const BEFORE_A_FENCE: &str = "needed where another stands between its count and its fence in `found`; loom never switches before a fence";

pub(crate) const REDUNDANT: &[Redundant] = &[
    Redundant { file: SLEEP, code: "self.counts.fetch_add(SEARCHING", to: "", reason: COUNTS },
    Redundant { file: SLEEP, code: "let before = self.counts.fetch_sub(SEARCHING", to: "", reason: COUNTS },
    Redundant { file: SLEEP, code: "self.counts.fetch_add((IDLE + LOOKING)", to: "", reason: COUNTS },
    Redundant { file: SLEEP, code: "self.counts.fetch_sub(IDLE", to: "", reason: COUNTS },
    Redundant { file: SLEEP, code: "let before = self.counts.fetch_sub(LOOKING", to: "", reason: LAST_LOOK },
    Redundant { file: SLEEP, code: "self.counts.fetch_add(LOOKING", to: "", reason: LAST_LOOK },
    Redundant { file: "blocking-pool/src/worker.rs", code: "fence(SeqCst);", to: "", reason: BEFORE_A_FENCE },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orderings_are_found_and_nothing_else() {
        let text = "use a::Acquire;\n// Acquire: says why\nlet a = self.0.load(Acquire);\nfence(SeqCst);\n\
                    x.compare_exchange(1, 2, Ordering::AcqRel, Relaxed);\nimpl Acquire<'_> {}\n";
        let (planted, found) = plant("a.rs", &[], text);
        let found: Vec<_> = found.iter().map(|one| (one.line, one.from, one.to)).collect();
        assert_eq!(
            found,
            [
                (3, "Acquire", "Relaxed"),
                (4, "fence", "nothing"),
                (5, "AcqRel", "Acquire"),
                (5, "AcqRel", "Release")
            ]
        );
        assert!(planted.contains("load(crate::sync::mutant_ordering(\"a.rs:3:0\", Acquire))"));
        assert!(planted.contains("crate::sync::mutant_fence(\"a.rs:4:0\");"));
        assert!(planted.contains("mutant_ordering(\"a.rs:5:0\", Ordering::AcqRel), Relaxed)"));
        assert!(planted.contains("use a::Acquire;\n") && planted.contains("impl Acquire<'_> {}"));
    }

    #[test]
    fn what_is_redundant_is_there() {
        let root = crate::copy::checkout();
        let text = |file: &str| std::fs::read_to_string(root.join(file)).expect("the file is there");
        let all = FILES.iter().flat_map(|(file, models)| plant(file, models, &text(file)).1);
        let all: Vec<Weakening> = all.collect();
        for known in REDUNDANT {
            let place = format!("{}: `{}`", known.file, known.code);
            assert!(all.iter().any(|one| known.covers(one)), "{place} is not in the code");
        }
    }

    #[test]
    fn every_file_is_there_and_has_something_to_weaken() {
        for (file, models) in FILES {
            let text =
                std::fs::read_to_string(crate::copy::checkout().join(file)).expect("the file is there");
            assert!(!plant(file, models, &text).1.is_empty(), "{file} has no orderings");
        }
    }
}
