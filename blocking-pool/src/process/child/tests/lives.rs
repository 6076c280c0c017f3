//! How workers end, and what is left of them.

use std::fs;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Answer, BOTH, LONG, Pool, endless, eventually, is_there};
use crate::process::child_process::{Exit, readable};
use crate::process::function::Function;
use crate::process::start::{StartMethod, Starter};

/// Needs more stack than there is.
fn deeper(depth: u64) -> u64 {
    let here = std::hint::black_box([depth; 100]);
    if depth == u64::MAX { 0 } else { deeper(depth + 1) + here[7] }
}

#[test]
fn deaths_tell_how() {
    for method in BOTH {
        let starter = Starter::new(method).unwrap();
        let death = |function: fn(()), exit: Exit| {
            let mut pool = Pool::with(&starter);
            assert_eq!((pool.ask(function, ()), pool.exit()), (Answer::End, exit));
            assert!(!is_there(pool.process.id()), "no zombie");
        };
        death(|()| std::process::exit(3), Exit::Code(3));
        death(|()| std::process::abort(), Exit::Signal(libc::SIGABRT));
        death(|()| _ = kill_process(rustix::process::getpid(), Signal::KILL), Exit::Signal(9));

        let mut pool = Pool::with(&starter);
        assert_eq!(pool.ask(|()| _ = deeper(0), ()), Answer::End);
        // A sanitizer catches the signal, and exits.
        assert!(matches!(pool.exit(), Exit::Signal(libc::SIGSEGV) | Exit::Code(1 | 66)));

        let mut pool = Pool::with(&starter);
        let pidfd = pool.process.pidfd().unwrap();
        assert_eq!(pool.process.try_wait().unwrap(), None);
        assert!(!readable(pidfd.as_fd(), Some(Duration::ZERO)).unwrap());
        pool.process.signal(Signal::TERM).unwrap();
        assert!(readable(pidfd.as_fd(), Some(LONG)).unwrap());
        eventually("the exit", || pool.process.try_wait().unwrap() == Some(Exit::Signal(libc::SIGTERM)));

        let mut pool = Pool::with(&starter);
        pool.send(Function::one(endless).unwrap(), &());
        assert_eq!(pool.process.end(Duration::from_millis(20)), Exit::Signal(9));
        let dropped = Pool::with(&starter).process.id();
        assert!(!is_there(dropped));
    }
}

#[test]
fn a_closed_socket_ends_a_busy_worker() {
    for method in BOTH {
        let mut pool = Pool::new(method);
        pool.send(Function::one(endless).unwrap(), &());
        let Pool { stream, mut process, .. } = pool;
        thread::sleep(Duration::from_millis(20));
        assert_eq!(process.try_wait().unwrap(), None);
        drop(stream);
        assert_eq!(process.end(LONG), Exit::Code(0));
    }
}

#[test]
fn many_workers_at_once() {
    for method in BOTH {
        let starter = Starter::new(method).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for n in 0..10_u32 {
                        let mut pool = Pool::with(&starter);
                        assert_eq!(pool.value(|n: u32| n + 1, n), n + 1);
                        let exit = if n % 2 == 0 {
                            drop(pool.ask::<u32, ()>(|n| std::process::exit(n as i32), n));
                            Exit::Code(n as i32)
                        } else {
                            pool.process.signal(Signal::KILL).unwrap();
                            Exit::Signal(9)
                        };
                        assert_eq!(pool.exit(), exit);
                    }
                });
            }
        });
    }
}

#[test]
fn a_killed_zygote_is_replaced_and_its_workers_go_on() {
    let starter = Starter::new(StartMethod::ForkServer).unwrap();
    let mut pool = Pool::with(&starter);
    let parent = |(): ()| std::os::unix::process::parent_id();
    let zygote = pool.value(parent, ());
    assert_eq!(fs::read_to_string(format!("/proc/{zygote}/comm")).unwrap(), "kumihimo-zygote\n");
    assert_eq!(descriptors_of(zygote), 2, "the line and one pidfd");
    kill(zygote);
    let mut second = Pool::with(&starter);
    assert_ne!(second.value(parent, ()), zygote);
    assert_eq!(pool.value(|n: u8| n, 1), 1);
    pool.process.signal(Signal::KILL).unwrap();
    assert_eq!(pool.exit(), Exit::Unknown);
    let id = second.value(parent, ());
    drop((pool, second, starter));
    assert!(!is_there(zygote) && !is_there(id), "zygotes are reaped too");
}

/// How many descriptors from 3 on a process has that are sockets or pidfds.
fn descriptors_of(id: u32) -> usize {
    let entries = fs::read_dir(format!("/proc/{id}/fd")).unwrap();
    let links = entries.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    let kinds = ["anon_inode:", "pidfd:", "socket:"];
    links.filter(|to| kinds.iter().any(|kind| to.to_string_lossy().starts_with(kind))).count()
}

fn kill(id: u32) {
    let pid = Pid::from_raw(id as i32).unwrap();
    kill_process(pid, Signal::KILL).unwrap();
}
