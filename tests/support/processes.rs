//! Looking at processes from outside.

use std::fs;
use std::time::{Duration, Instant};

/// Longer than any test takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until there is no such process, not even a zombie.
#[track_caller]
pub(crate) fn wait_gone(pid: u32) {
    let start = Instant::now();
    while let Some(state) = state(pid) {
        assert!(start.elapsed() < PATIENCE, "process {pid} is still there, in state {state}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The letter that the system shows for a process: `Z` for a zombie. `None` if there is none.
pub(crate) fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// The ids of this process's children.
pub(crate) fn children() -> Vec<u32> {
    let parent = std::process::id();
    let entries = fs::read_dir("/proc").unwrap();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok();
        let parent_of = stat.and_then(|stat| stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok());
        parent_of == Some(parent)
    };
    pids.filter(is_child).collect()
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Whether this process ignores Ctrl-C, as a shell has what it runs in the background do; children inherit that.
pub(crate) fn ignores_sigint() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(ignored.trim(), 16).unwrap() & (1 << (libc::SIGINT - 1)) != 0
}
