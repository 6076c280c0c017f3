//! A failing execution on disk: loom's path, and the choices that are not loom's.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use kumihimo_executor::model::strike::{Plan, Strike};

use super::explore::Part;

/// Where loom notes how far it has come; removed when dropped.
pub(super) struct Recording(PathBuf);

impl Recording {
    pub(super) fn new() -> Recording {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("kumihimo-model-{}-{number}.json", std::process::id());
        Recording(env::temp_dir().join(name))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps the execution that was noted last, for a replay.
    pub(super) fn keep(&self, part: &Part) -> Option<PathBuf> {
        let folder = Path::new("target").join("kumihimo-model");
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("model").replace("::", "-");
        let name = format!("{name}.json");
        fs::create_dir_all(&folder).ok()?;
        let folder = folder.canonicalize().ok()?;
        fs::copy(&self.0, folder.join(&name)).ok()?;
        fs::write(choices_of(&folder.join(&name)), write(part)).ok()?;
        Some(folder.join(name))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let _absent = fs::remove_file(&self.0);
    }
}

/// A wish to run one recorded execution, instead of all.
pub(super) struct Request(PathBuf);

impl Request {
    pub(super) fn from_environment() -> Option<Request> {
        env::var_os("KUMIHIMO_MODEL_REPLAY").map(|path| Request(path.into()))
    }

    /// A copy of the recording, as loom writes to it, and the part that it belongs to.
    pub(super) fn open(&self) -> (Recording, Part) {
        let recording = Recording::new();
        let read = fs::copy(&self.0, recording.path()).and_then(|_| fs::read_to_string(choices_of(&self.0)));
        let part = read.map_err(|error| error.to_string()).and_then(|text| parse(&text));
        match part {
            Ok(part) => (recording, part),
            Err(error) => panic!(
                "KUMIHIMO_MODEL_REPLAY={}: {error}; it is to name a file that a failing model has written, beside which \
                 there is one that ends in .choices",
                self.0.display()
            ),
        }
    }
}

fn choices_of(path: &Path) -> PathBuf {
    path.with_extension("choices")
}

fn write(part: &Part) -> String {
    let choices: Vec<_> = part.choices.iter().map(u8::to_string).collect();
    let mut text = format!("choices {}\n", choices.join(" "));
    if let Some(Plan { name, at, strike }) = &part.plan {
        let strike = if *strike == Strike::Cancel { "cancel" } else { "drop" };
        text += &format!("{strike} {at} {name}\n");
    }
    text
}

fn parse(text: &str) -> Result<Part, String> {
    let mut part = Part::default();
    for line in text.lines() {
        let bad = || format!("there is no sense in the line {line:?}");
        let (word, rest) = line.split_once(' ').ok_or_else(bad)?;
        if word == "choices" {
            part.choices =
                rest.split_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
            continue;
        }
        let strike = match word {
            "cancel" => Strike::Cancel,
            "drop" => Strike::Drop,
            _ => return Err(bad()),
        };
        let (at, name) = rest.split_once(' ').ok_or_else(bad)?;
        part.plan = Some(Plan { name: name.into(), at: at.parse().map_err(|_| bad())?, strike });
    }
    Ok(part)
}
