//! The zygote: forks workers on request, reaps them, and tells how they ended.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, pidfd_open, waitid, waitpid,
};

use super::{BROKEN, MISUSED, die};
use crate::process::child_process::Exit;
use crate::process::zygote::{Message, receive, send};

/// A worker that has not been reaped.
struct Worker {
    /// The pool's number for it.
    serial: u64,
    /// Readable when it has ended.
    pidfd: OwnedFd,
}

/// Serves the pool at the other end of `control`. Returns in the workers only, each with its socket; in the zygote
/// itself it ends with the process.
pub(super) fn run(control: OwnedFd) -> UnixStream {
    if fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
        die(
            MISUSED,
            "a library of this program starts threads before `main`, so it can't be forked; use `StartMethod::Spawn`",
        );
    }
    let mut workers = Vec::new();
    loop {
        match step(&control, &mut workers) {
            Ok(Step::Next) => {}
            Ok(Step::Forked(socket)) => return socket,
            Ok(Step::End) => end(),
            // The pool is gone, perhaps with a message of ours unread.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset) =>
            {
                end()
            }
            Err(error) => die(BROKEN, &format!("the fork server can't go on: {error}")),
        }
    }
}

/// What comes after a step.
enum Step {
    /// The next one, in the zygote.
    Next,
    /// This is a worker now.
    Forked(UnixStream),
    /// The pool is gone.
    End,
}

/// Waits for something to do, and does it.
fn step(control: &OwnedFd, workers: &mut Vec<Worker>) -> io::Result<Step> {
    let mut polled = vec![PollFd::new(control, PollFlags::IN)];
    polled.extend(workers.iter().map(|worker| PollFd::new(&worker.pidfd, PollFlags::IN)));
    match poll(&mut polled, None) {
        Ok(_) => {}
        Err(Errno::INTR) => return Ok(Step::Next),
        Err(error) => return Err(error.into()),
    }
    let ready: Vec<bool> = polled.iter().map(|fd| !fd.revents().is_empty()).collect();
    // From the end, so that the places before are still those that were polled.
    for index in (0..workers.len()).rev().filter(|index| ready[index + 1]) {
        let worker = workers.swap_remove(index);
        let message = Message::Ended { serial: worker.serial, exit: reap(&worker.pidfd) };
        send(control.as_fd(), message, None)?;
    }
    if !ready[0] {
        return Ok(Step::Next);
    }
    match receive(control.as_fd())? {
        None => Ok(Step::End),
        Some((Message::Start { serial }, Some(socket))) => fork(control, workers, serial, socket),
        Some((Message::Start { serial }, None)) => {
            // It came, but there was no place for it.
            send(control.as_fd(), Message::Failed { serial, error: libc::EMFILE }, None)?;
            Ok(Step::Next)
        }
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a request that is none")),
    }
}

/// Forks a worker. The zygote answers; the worker is left with its socket, and nothing else of the zygote's.
fn fork(control: &OwnedFd, workers: &mut Vec<Worker>, serial: u64, socket: OwnedFd) -> io::Result<Step> {
    // SAFETY: this process has one thread: `run` has looked, and what runs here starts none. So no lock is held by a
    // thread that the child does not have, and the child may do what it likes.
    let id = unsafe { libc::fork() };
    if id == 0 {
        // `run` closes `control`.
        workers.clear();
        return Ok(Step::Forked(UnixStream::from(socket)));
    }
    let answer = match Pid::from_raw(id).filter(|_| id > 0) {
        Some(worker) => adopt(worker),
        None => Err(io::Error::last_os_error()),
    };
    // Before the pool hears of it: from then on the worker's end of the socket is the worker's only.
    drop(socket);
    match answer {
        Ok(pidfd) => {
            let message = Message::Started { serial, id: id as u32 };
            send(control.as_fd(), message, Some(pidfd.as_fd()))?;
            workers.push(Worker { serial, pidfd });
        }
        Err(error) => {
            let error = error.raw_os_error().unwrap_or(libc::EAGAIN);
            send(control.as_fd(), Message::Failed { serial, error }, None)?;
        }
    }
    Ok(Step::Next)
}

/// Opens the pidfd of a child; without one, ends it.
fn adopt(child: Pid) -> io::Result<OwnedFd> {
    // The child has not been reaped, so the id is its own.
    pidfd_open(child, PidfdFlags::empty()).map_err(|error| {
        let _ = kill_process(child, Signal::KILL);
        let _ = retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
        error.into()
    })
}

/// Reaps a child that has ended.
fn reap(pidfd: &OwnedFd) -> Exit {
    match retry_on_intr(|| waitid(WaitId::PidFd(pidfd.as_fd()), WaitIdOptions::EXITED)) {
        Ok(Some(status)) => match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        },
        _ => Exit::Unknown,
    }
}

/// Ends the zygote. The pool has gone, so its workers, which watch the same, will go too.
fn end() -> ! {
    // SAFETY: may be called at any time. Not `exit`: the program's constructors have not all run here.
    unsafe { libc::_exit(0) }
}
