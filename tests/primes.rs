//! The example prime sieve: what it counts, its progress bar, and that it leaves no process behind, however it ends.

#[path = "support/example.rs"]
mod example;
#[path = "support/interruptible.rs"]
mod interruptible;

use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use std::{ptr, thread};

use interruptible::interruptible;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Nothing here takes this long, however slow the machine.
const PATIENCE: Duration = Duration::from_secs(60);
/// It would take days to count these.
const FAR: &str = "1e14";

/// The example. Its processes are a group, which is how they are found, and which Ctrl-C goes to.
fn primes(arguments: &[&str]) -> Command {
    let mut program = Command::new(example::executable("primes"));
    program.args(arguments).process_group(0);
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    interruptible(&mut program);
    program
}

fn text(bytes: &[u8]) -> &str {
    str::from_utf8(bytes).expect("it prints text")
}

/// What it prints, and nothing else has happened.
fn printed(output: &Output) -> &str {
    assert!(output.status.success(), "{output:?}");
    // No bar: that is no terminal.
    assert_eq!(text(&output.stderr).lines().count(), 1, "{output:?}");
    text(&output.stdout)
}

/// What it should print: `primes` are all there are up to the limit, and perhaps some more.
fn expected(limit: u64, primes: &[u64]) -> String {
    let primes = &primes[..primes.partition_point(|prime| *prime <= limit)];
    let largest: Vec<_> = primes[primes.len().saturating_sub(5)..].iter().map(u64::to_string).collect();
    format!("{} primes up to {limit}, the largest: {}\n", primes.len(), largest.join(", "))
}

/// The primes up to a limit, found without a sieve.
fn by_division(limit: u64) -> Vec<u64> {
    let mut primes: Vec<u64> = Vec::new();
    for n in 2..=limit {
        if primes.iter().take_while(|prime| *prime * *prime <= n).all(|prime| !n.is_multiple_of(*prime)) {
            primes.push(n);
        }
    }
    primes
}

/// A process, as the system shows it.
struct Process {
    id: Pid,
    name: String,
    /// A letter: `Z` for a zombie.
    state: String,
}

/// The processes of a group, zombies included.
fn group(leader: Pid) -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let members = ids.filter_map(|id: i32| {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name may hold anything. Behind it: the state, the parent, the group.
        let (name, fields) = stat.split_once(" (")?.1.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let (state, group) = (fields.next()?.to_owned(), fields.nth(1)?);
        let process = Process { id: Pid::from_raw(id)?, name: name.to_owned(), state };
        (group.parse() == Ok(leader.as_raw_nonzero())).then_some(process)
    });
    members.collect()
}

/// Those that sieve, without any that are still being started.
fn workers(leader: Pid) -> Vec<Pid> {
    let group = group(leader).into_iter();
    group.filter(|process| process.name == "kumihimo-proc").map(|process| process.id).collect()
}

/// Waits until something is so.
#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// Starts it, and waits until all its processes are there.
fn with_workers(mut program: Command, n: usize) -> (Child, Pid) {
    let mut child = program.spawn().expect("the example should start");
    let leader = Pid::from_child(&child);
    let start = Instant::now();
    while workers(leader).len() != n {
        if start.elapsed() > PATIENCE {
            // Else it would sieve on for days.
            child.kill().unwrap();
            panic!("the processes did not start");
        }
        thread::sleep(Duration::from_millis(2));
    }
    (child, leader)
}

#[test]
fn known_numbers_of_primes() {
    for (limit, workers, count, last) in [
        ("1e6", "1", 78_498, "999983"),
        ("1_000_000", "2", 78_498, "999983"),
        ("1000000", "4", 78_498, "999983"),
        ("2.5e6", "2", 183_072, "2499997"),
        ("1e7", "3", 664_579, "9999991"),
    ] {
        let output = primes(&[limit, "--workers", workers]).output().unwrap();
        let line = printed(&output);
        assert!(line.starts_with(&format!("{count} primes up to ")), "{line}");
        assert!(line.ends_with(&format!(" {last}\n")), "{line}");
    }
}

#[test]
fn small_limits_and_borders_of_segments() {
    const SEGMENT: u64 = 1 << 19;
    // 524287, just before the border, is a prime.
    let all = by_division(SEGMENT + 100);
    for limit in [2, 3, 4, 8, 9, 10, 25, SEGMENT - 2, SEGMENT - 1, SEGMENT, SEGMENT + 1, SEGMENT + 100] {
        let output = primes(&["--workers", "2", &limit.to_string()]).output().unwrap();
        assert_eq!(printed(&output), expected(limit, &all));
    }
}

#[test]
fn without_workers_it_takes_the_processors() {
    let output = primes(&["100"]).output().unwrap();
    assert_eq!(printed(&output), expected(100, &by_division(100)));
    let processors = thread::available_parallelism().unwrap();
    assert!(text(&output.stderr).ends_with(&format!("processes: {processors}\n")), "{output:?}");
}

#[test]
fn bad_arguments_are_refused_and_help_is_given() {
    for (arguments, complaint) in [
        (&["1"][..], "LIMIT is an integer from 2 to 1e14, not \"1\""),
        (&["1e15"], "not \"1e15\""),
        (&["2.5"], "not \"2.5\""),
        (&["nan"], "not \"nan\""),
        (&["many"], "not \"many\""),
        (&["--workers"], "--workers takes a number from 1 to 256, not \"\""),
        (&["--workers", "0"], "not \"0\""),
        (&["--workers", "257"], "not \"257\""),
        (&["--workers", "two"], "not \"two\""),
        (&["10", "20"], "what is 20 for?"),
        (&["--fast"], "what is --fast for?"),
    ] {
        let output = primes(arguments).output().unwrap();
        let complaints = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""), "{complaints}");
        assert!(complaints.starts_with("primes: ") && complaints.contains(complaint), "{complaints}");
        assert!(complaints.contains("usage: primes [LIMIT] [--workers N]"), "{complaints}");
    }
    let output = primes(&["--help"]).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
    assert!(text(&output.stdout).starts_with("usage: primes [LIMIT] [--workers N]\n"));
}

#[test]
fn ctrl_c_ends_it_and_its_processes() {
    let (child, leader) = with_workers(primes(&[FAR, "--workers", "2"]), 2);
    // As a terminal does it: all of them get it.
    kill_process_group(leader, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("", ""));
    // It has waited for them.
    assert!(group(leader).is_empty());
}

#[test]
fn a_process_that_dies_is_an_error_and_takes_the_others_along() {
    let (child, leader) = with_workers(primes(&[FAR, "--workers", "2"]), 2);
    let victim = workers(leader)[0];
    kill_process(victim, Signal::KILL).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(1), ""), "{output:?}");
    let complaint = text(&output.stderr);
    let death = format!("primes: process {} of the pool", victim.as_raw_nonzero());
    assert!(complaint.starts_with(&death) && complaint.contains("signal 9"), "{complaint}");
    assert!(group(leader).is_empty());
}

#[test]
fn killed_it_leaves_no_process_behind() {
    let (mut child, leader) = with_workers(primes(&[FAR, "--workers", "2"]), 2);
    child.kill().unwrap();
    child.wait().unwrap();
    // What is left of them is the business of whoever adopts orphans.
    let ended = || group(leader).iter().all(|process| process.state == "Z");
    wait_until("its processes should end with it", ended);
}

/// A terminal: the side of a person, and that of a program.
fn terminal() -> (File, OwnedFd) {
    let (mut person, mut program) = (-1, -1);
    let size = libc::winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: two places for descriptors; no name and no settings are asked for; the size is read only.
    let result = unsafe { libc::openpty(&mut person, &mut program, ptr::null_mut(), ptr::null(), &size) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: it has opened both, and nobody else has them.
    unsafe { (File::from_raw_fd(person), OwnedFd::from_raw_fd(program)) }
}

#[test]
fn a_terminal_shows_a_bar_and_ctrl_c_clears_it() {
    let (mut person, theirs) = terminal();
    let mut program = primes(&[FAR, "--workers", "2"]);
    program.stderr(theirs).env("TERM", "xterm").env_remove("NO_COLOR");
    let (child, leader) = with_workers(program, 2);
    let (mut seen, mut buffer) = (Vec::new(), [0; 4096]);
    while !text_so_far(&seen).contains(" to go") {
        let n = person.read(&mut buffer).unwrap();
        seen.extend_from_slice(&buffer[..n]);
    }
    assert!(text_so_far(&seen).contains(" %, "), "{}", text_so_far(&seen));
    kill_process_group(leader, Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(130), ""));
    assert!(group(leader).is_empty());
    // An error is how a terminal says that the last program has left it.
    while let Ok(n @ 1..) = person.read(&mut buffer) {
        seen.extend_from_slice(&buffer[..n]);
    }
    const CLEAR_LINE: &str = "\x1b[2K";
    let seen = text_so_far(&seen);
    let rest = seen.rsplit_once(CLEAR_LINE).map(|(_, rest)| rest.trim());
    assert_eq!(rest, Some(""), "{seen:?}");
}

fn text_so_far(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
