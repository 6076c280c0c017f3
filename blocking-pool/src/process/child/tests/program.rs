//! What a function finds in a worker: the program, as in the pool.

use std::env;
use std::ffi::{CStr, c_char, c_int};
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use rustix::process::Signal;

use super::{BOTH, Pool};
use crate::process::hook;
use crate::process::start::Starter;

/// Where the open descriptors from 3 on lead to.
fn descriptors(_: ()) -> Vec<String> {
    let entries = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let above =
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().parse::<i32>().unwrap() > 2);
    above.filter_map(|path| fs::read_link(path).ok()).map(|to| to.to_string_lossy().into_owned()).collect()
}

#[test]
fn a_worker_has_one_descriptor_of_its_own() {
    let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for method in BOTH {
        let starter = Starter::new(method).unwrap();
        let mut pools: Vec<Pool> = (0..4).map(|_| Pool::with(&starter)).collect();
        for pool in &mut pools {
            let open = pool.value(descriptors, ());
            assert_eq!(open.iter().filter(|to| to.starts_with("socket:")).count(), 1, "{open:?}");
            assert!(
                !open.iter().any(|to| to.starts_with("anon_inode:") || to.starts_with("pidfd:")),
                "{open:?}"
            );
            assert_eq!(
                pool.value(|(): ()| fs::read_link("/proc/self/fd/0").unwrap(), ()),
                Path::new("/dev/null")
            );
        }
    }
}

#[test]
fn the_program_is_as_it_is_in_the_pool() {
    for method in BOTH {
        let mut pool = Pool::new(method);
        let arguments = |(): ()| env::args().collect::<Vec<_>>();
        assert_eq!(pool.value(arguments, ()), arguments(()));
        assert!(pool.value(|(): ()| env::var("KUMIHIMO_PROCESS_POOL").is_err(), ()));
        assert_eq!(pool.value(|(): ()| env::current_dir().unwrap(), ()), env::current_dir().unwrap());
        let name = |(): ()| fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!(pool.value(name, ()), "kumihimo-proc\n");
        assert_eq!(pool.value(|(): ()| CONSTRUCTED.load(Ordering::SeqCst), ()), 1);
        assert_eq!(pool.value(|(): ()| CONSTRUCTED_EARLY.load(Ordering::SeqCst), ()), 1);
    }
}

static CONSTRUCTED: AtomicUsize = AtomicUsize::new(0);

static CONSTRUCTED_EARLY: AtomicUsize = AtomicUsize::new(0);

/// What a crate that collects things before `main` does. Depending on the linker it is called before our hook or after.
#[used]
#[unsafe(link_section = ".init_array")]
static CONSTRUCTOR: hook::Entry = construct;

/// Called before our hook, which has no priority.
#[used]
#[unsafe(link_section = ".init_array.00900")]
static EARLY_CONSTRUCTOR: hook::Entry = construct_early;

extern "C" fn construct(count: c_int, arguments: *const *const c_char, _: *const *const c_char) {
    assert!(count > 0);
    // SAFETY: the loader gives the arguments, of which there is one at least.
    let name = unsafe { CStr::from_ptr(*arguments) };
    assert!(!name.is_empty());
    CONSTRUCTED.fetch_add(1, Ordering::SeqCst);
}

extern "C" fn construct_early(_: c_int, _: *const *const c_char, _: *const *const c_char) {
    CONSTRUCTED_EARLY.fetch_add(1, Ordering::SeqCst);
}

#[test]
fn signals_in_a_worker() {
    for method in BOTH {
        let mut pool = Pool::new(method);
        pool.process.signal(Signal::INT).unwrap();
        let broken_pipe = |(): ()| {
            let (reader, mut writer) = io::pipe().unwrap();
            drop(reader);
            writer.write_all(b"x").unwrap_err().kind() == io::ErrorKind::BrokenPipe
        };
        assert!(pool.value(broken_pipe, ()));
        // A program that a call starts has the usual actions.
        // What is put in the background has to ignore Ctrl-C, and so has what it starts.
        for signal in if ignores(libc::SIGINT) { &["PIPE"][..] } else { &["INT", "PIPE"] } {
            let status = |signal: String| {
                Command::new("sh")
                    .args(["-c", &format!("kill -{signal} $$; exit 3")])
                    .status()
                    .unwrap()
                    .signal()
            };
            assert!(pool.value(status, signal.to_string()).is_some(), "{signal}");
        }
    }
}

fn ignores(signal: libc::c_int) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    u64::from_str_radix(ignored.trim(), 16).unwrap() & (1 << (signal - 1)) != 0
}

#[test]
fn programs_that_a_call_starts_are_no_workers() {
    for method in BOTH {
        let list = |(): ()| {
            let output = Command::new("/proc/self/exe").args(["--list"]).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        assert!(Pool::new(method).value(list, ()).contains("programs_that_a_call_starts_are_no_workers"));
    }
}

#[test]
fn a_variable_that_somebody_else_has_set() {
    let run = |value: &str| {
        let mut command = Command::new(env::current_exe().unwrap());
        let output = command.arg("--list").env("KUMIHIMO_PROCESS_POOL", value).stdin(Stdio::null()).output();
        let Output { status, stderr, stdout } = output.unwrap();
        assert!(stdout.is_empty());
        (status.code(), String::from_utf8(stderr).unwrap())
    };
    for value in ["worker 1", "zygote 1"] {
        let (code, text) = run(value);
        assert_eq!(code, Some(64));
        assert!(
            text.contains("KUMIHIMO_PROCESS_POOL is set, but there is no pool behind standard input"),
            "{text}"
        );
    }
    let (code, text) = run("yes");
    assert_eq!(code, Some(64));
    assert!(text.contains("unset it"), "{text}");
}
