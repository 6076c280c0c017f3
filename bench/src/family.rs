//! The CPU time of the processes that this one has started, and of those that they have started.

use std::collections::HashMap;
use std::fs;
use std::time::Duration;

/// The CPU time, user and system, that this process's descendants have used so far: of those that live, and of their
/// threads that live.
///
/// As the scheduler counts it, in nanoseconds; the times that `wait` and `/proc/PID/stat` tell are in ticks of 10 ms,
/// and the former counts a process only when it has ended.
pub(crate) fn cpu() -> Duration {
    let parents = parents();
    let ours = std::process::id();
    let is_ours = |&pid: &u32| ancestors(&parents, pid).any(|ancestor| ancestor == ours);
    parents.keys().copied().filter(is_ours).map(process_cpu).sum()
}

/// Every process and its parent.
fn parents() -> HashMap<u32, u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// A process's parent; `None` if it has ended meanwhile.
fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name, which may have anything in it, and the state.
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// The processes above `pid`.
fn ancestors(parents: &HashMap<u32, u32>, pid: u32) -> impl Iterator<Item = u32> + '_ {
    std::iter::successors(parents.get(&pid), |above| parents.get(*above)).copied()
}

/// The CPU time of a process's threads.
fn process_cpu(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    threads
        .filter_map(|thread| {
            let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse().ok().map(Duration::from_nanos)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::thread;

    #[test]
    fn a_grandchild_counts_and_other_processes_do_not() {
        // The outer shell has to wait for the inner one, which burns some CPU and then waits for its input to end.
        let script = "sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; read x'; true";
        let before = cpu();
        let mut shell =
            Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).spawn().expect("sh starts");
        let burnt = (0..500).any(|_| {
            thread::sleep(Duration::from_millis(10));
            cpu() > before + Duration::from_millis(3)
        });
        drop(shell.stdin.take());
        shell.wait().expect("it ends");
        assert!(burnt);
        assert!(process_cpu(u32::MAX).is_zero());
    }
}
