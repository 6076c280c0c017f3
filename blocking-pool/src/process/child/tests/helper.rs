//! Pools in processes of their own, which are killed or lose their file.

use std::env;
use std::fs;
use std::io::Read;
use std::net::Shutdown;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use super::{BOTH, LONG, Pool, endless, eventually};
use crate::process::child_process::Exit;
use crate::process::function::Function;
use crate::process::start::StartMethod;

const HELPER: &str = "KUMIHIMO_TEST_HELPER";

/// This very test program as another process, in which `helper` does `what`.
fn help(program: &Path, what: &str) -> Command {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = Command::new(program);
    command.args(["--exact", &format!("{module}::helper"), "--nocapture", "--test-threads=1"]);
    command.env(HELPER, what).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

#[test]
fn helper() {
    let Ok(what) = env::var(HELPER) else { return };
    let (what, method) = what.split_once(' ').unwrap();
    let method = if method == "Spawn" { StartMethod::Spawn } else { StartMethod::ForkServer };
    match what {
        "orphan" => {
            let mut pool = Pool::new(method);
            let parent = pool.value(|(): ()| std::os::unix::process::parent_id(), ());
            pool.send(Function::one(endless).unwrap(), &());
            println!("\nworkers {} {parent}", pool.process.id());
            thread::sleep(LONG);
        }
        "deleted" => {
            fs::remove_file(env::current_exe().unwrap()).unwrap();
            let mut pool = Pool::new(method);
            pool.value(|(): ()| print!("\nwithout a file, without a line's end"), ());
            pool.stream.shutdown(Shutdown::Write).unwrap();
            assert_eq!(pool.exit(), Exit::Code(0));
        }
        what => panic!("{what}"),
    }
}

#[test]
fn no_orphan_is_left_by_a_killed_pool() {
    for method in BOTH {
        let exe = env::current_exe().unwrap();
        let mut parent = help(&exe, &format!("orphan {method:?}")).spawn().unwrap();
        let mut output = Vec::new();
        let mut stdout = parent.stdout.take().unwrap();
        let words = loop {
            let mut byte = [0];
            stdout.read_exact(&mut byte).unwrap();
            output.push(byte[0]);
            let text = String::from_utf8_lossy(&output).into_owned();
            if let Some((_, words)) = text.split_once("\nworkers ").filter(|(_, words)| words.ends_with('\n'))
            {
                break words.to_string();
            }
        };
        let ids: Vec<u32> = words.split_whitespace().map(|id| id.parse().unwrap()).collect();
        let running = |id: u32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            // Whoever inherits orphans may take its time to reap them.
            !stat.is_empty() && !stat.contains(") Z")
        };
        assert!(ids.iter().all(|&id| running(id)), "{ids:?}");
        parent.kill().unwrap();
        parent.wait().unwrap();
        eventually("the workers are gone", || !ids.iter().any(|&id| running(id)));
    }
}

#[test]
fn a_deleted_program_has_workers_still() {
    for method in BOTH {
        let copy = env::temp_dir().join(format!("kumihimo-deleted-{}-{method:?}", std::process::id()));
        // Not `fs::copy`: what other tests start could inherit the file, open for writing, and so keep it busy.
        assert!(Command::new("cp").arg(env::current_exe().unwrap()).arg(&copy).status().unwrap().success());
        let output = help(&copy, &format!("deleted {method:?}")).output();
        let _ = fs::remove_file(&copy);
        let Output { status, stdout, .. } = output.unwrap();
        let stdout = String::from_utf8(stdout).unwrap();
        assert!(status.success() && stdout.contains("without a file, without a line's end"), "{stdout}");
    }
}
