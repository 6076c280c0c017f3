//! The machine and the program: what a page of figures has to name.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// The workspace's lock file, as this program was built from it.
const LOCK: &str = include_str!("../../Cargo.lock");

/// The version of a package in the lock file.
pub(crate) fn version(package: &str) -> &'static str {
    let name = format!("name = \"{package}\"");
    let mut lines = LOCK.lines().skip_while(|line| *line != name).skip(1);
    lines.next().and_then(|line| line.strip_prefix("version = \"")?.strip_suffix('"')).unwrap_or("?")
}

/// The processor's name and the kernel's release.
pub(crate) fn describe() -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or("an unknown CPU");
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // The first two numbers: the rest of a release says more about the host than about the kernel.
    let kernel: Vec<&str> = kernel.trim().split('.').take(2).collect();
    format!("{}, {cores} cores, Linux {}", model.trim(), kernel.join("."))
}

/// Today (UTC), as YYYY-MM-DD.
pub(crate) fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// The date that lies `days` after 1970-01-01.
fn civil(mut days: u64) -> (u64, u64, u64) {
    let mut year = 1970;
    let leap = |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let lengths = [31, 28 + u64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for length in lengths {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

/// How many threads this process has.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// The memory of this process that is in RAM, in bytes.
pub(crate) fn resident_bytes() -> Result<u64, String> {
    let status =
        fs::read_to_string("/proc/self/status").map_err(|error| format!("/proc/self/status: {error}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kilobytes.map(|kb| kb * 1024).ok_or("/proc/self/status has no VmRSS".into())
}

/// Makes room for `needed` open files, or says why that can't be.
pub(crate) fn allow_descriptors(needed: u64) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    // Raising the soft limit is free up to the hard one; above it only the administrator may.
    let raised = Rlimit { current: Some(needed), maximum: limit.maximum.map(|hard| hard.max(needed)) };
    setrlimit(Resource::Nofile, raised).map_err(|error| {
        let hard = limit.maximum.map_or("unlimited".into(), |hard| hard.to_string());
        format!(
            "needs {needed} open files, but the hard limit is {hard} and could not be raised ({error}): \
             run as root, or raise it first (ulimit -Hn {needed})"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(59), (1970, 3, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(11_322), (2000, 12, 31));
        assert_eq!(civil(20_089), (2025, 1, 1));
    }

    #[test]
    fn the_lock_file_names_the_peers() {
        assert!(version("tokio").starts_with("1."));
        assert!(version("smol").starts_with("2."));
        assert_eq!(version("no-such-package"), "?");
    }

    #[test]
    fn this_process_has_memory_and_threads() {
        assert!(resident_bytes().is_ok_and(|bytes| bytes > 100_000));
        assert!(threads() >= 1);
    }
}
