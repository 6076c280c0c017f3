//! The fork server, seen from the pool: a process that forks workers, and tells how they end.
//!
//! Forking a process that has threads is unsound, and each pool's process has some. The zygote has one only: it is
//! this program, started once more, which has not come to `main`. See `child/fork_server.rs` for its side.

#![cfg(target_os = "linux")]

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

use super::child_process::{ChildProcess, Exit, readable};
use super::hook::Role;
use super::{pass_fd, start};

/// An answer of the zygote takes much less than a millisecond; one that takes longer than this will never come.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long a zygote may take to end after its last worker is gone.
const FAREWELL: Duration = Duration::from_secs(1);

/// A fork server, which ends when the value is dropped. Each worker keeps it.
pub(super) struct Zygote {
    /// The conversation with it.
    line: Mutex<Line>,
    /// The process itself. Dropped after the line, whose end it waits for.
    _process: Farewell,
}

/// The pool's end of the conversation. One request at a time.
struct Line {
    /// Keeps the borders of messages.
    socket: OwnedFd,
    /// How workers ended for which nobody has asked yet.
    exits: HashMap<u64, Exit>,
    /// The number of the next worker.
    next: u64,
    /// The zygote does not answer, and never will.
    broken: bool,
}

/// Waits for the zygote, which ends when it finds the line closed.
struct Farewell(ChildProcess);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.end(FAREWELL);
    }
}

impl Zygote {
    /// Starts a fork server.
    ///
    /// # Errors
    ///
    /// The system has no room for it.
    pub(super) fn start() -> io::Result<Arc<Zygote>> {
        let flags = SocketFlags::CLOEXEC;
        let (socket, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        let process = start::execute(Role::Zygote, theirs)?;
        let line = Line { socket, exits: HashMap::new(), next: 0, broken: false };
        Ok(Arc::new(Zygote { line: Mutex::new(line), _process: Farewell(process) }))
    }

    /// Whether it is of no use any more.
    pub(super) fn is_broken(&self) -> bool {
        self.line().broken
    }

    /// Has a worker forked that serves `theirs`.
    ///
    /// # Errors
    ///
    /// The zygote is gone (it `is_broken` then), or the system has no room for another process.
    pub(super) fn fork(self: &Arc<Self>, theirs: &UnixStream) -> io::Result<Forked> {
        let mut line = self.line();
        let serial = line.next;
        line.next += 1;
        let asked = send(line.socket.as_fd(), Message::Start { serial }, Some(theirs.as_fd()));
        if let Err(error) = asked {
            line.broken = true;
            return Err(error);
        }
        loop {
            match line.receive()? {
                (Message::Started { serial: its, id }, Some(pidfd)) if its == serial => {
                    return Ok(Forked { zygote: self.clone(), serial, id, pidfd });
                }
                (Message::Started { serial: its, .. }, None) if its == serial => {
                    // It came, but there was no place for it. The worker ends since its socket is closed.
                    return Err(io::Error::from_raw_os_error(libc::EMFILE));
                }
                (Message::Failed { serial: its, error }, _) if its == serial => {
                    return Err(io::Error::from_raw_os_error(error));
                }
                (Message::Ended { serial, exit }, _) => drop(line.exits.insert(serial, exit)),
                // An answer to a request that was given up.
                _ => {}
            }
        }
    }

    /// How a worker ended whose pidfd says that it has.
    fn exit(&self, serial: u64) -> Exit {
        let mut line = self.line();
        loop {
            if let Some(exit) = line.exits.remove(&serial) {
                return exit;
            }
            match line.receive() {
                Ok((Message::Ended { serial, exit }, _)) => drop(line.exits.insert(serial, exit)),
                Ok(_) => {}
                Err(_) => return Exit::Unknown,
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Nothing panics with the line half changed.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    /// The zygote's next message. After an error there are no more.
    fn receive(&mut self) -> io::Result<(Message, Option<OwnedFd>)> {
        let received = if self.broken { Err(gone()) } else { self.receive_in_time() };
        self.broken |= received.is_err();
        received
    }

    fn receive_in_time(&self) -> io::Result<(Message, Option<OwnedFd>)> {
        let end = Instant::now() + PATIENCE;
        while !readable(self.socket.as_fd(), Some(end.saturating_duration_since(Instant::now())))? {
            if Instant::now() >= end {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the fork server does not answer"));
            }
        }
        receive(self.socket.as_fd())?.ok_or_else(gone)
    }
}

fn gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the fork server has ended")
}

/// A worker that is a child of the zygote.
pub(super) struct Forked {
    /// Reaps it, and tells how it ended.
    zygote: Arc<Zygote>,
    /// The zygote's number for it.
    serial: u64,
    id: u32,
    /// Opened before it could be reaped, so it is no other process's.
    pidfd: OwnedFd,
}

impl Forked {
    pub(super) fn id(&self) -> u32 {
        self.id
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// How it ended, to be asked once, after the end.
    pub(super) fn exit(&self) -> Exit {
        self.zygote.exit(self.serial)
    }
}

/// What is said between a pool and its zygote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// Fork a worker, with the socket that comes along.
    Start { serial: u64 },
    /// This is the worker; its pidfd comes along.
    Started { serial: u64, id: u32 },
    /// There is none.
    Failed { serial: u64, error: i32 },
    /// The worker has ended.
    Ended { serial: u64, exit: Exit },
}

/// Bytes of a message: what, serial number, a number.
const SIZE: usize = 16;

impl Message {
    fn to_bytes(self) -> [u8; SIZE] {
        let (what, serial, number) = match self {
            Message::Start { serial } => (0_u32, serial, 0),
            Message::Started { serial, id } => (1, serial, id as i32),
            Message::Failed { serial, error } => (2, serial, error),
            Message::Ended { serial, exit: Exit::Code(code) } => (3, serial, code),
            Message::Ended { serial, exit: Exit::Signal(signal) } => (4, serial, signal),
            Message::Ended { serial, exit: Exit::Unknown } => (5, serial, 0),
        };
        let mut bytes = [0; SIZE];
        bytes[..4].copy_from_slice(&what.to_le_bytes());
        bytes[4..12].copy_from_slice(&serial.to_le_bytes());
        bytes[12..].copy_from_slice(&number.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8; SIZE]) -> Option<Message> {
        let (words, _) = bytes.as_chunks::<4>();
        let serial = u64::from_le_bytes(*bytes[4..].first_chunk()?);
        let number = i32::from_le_bytes(words[3]);
        Some(match u32::from_le_bytes(words[0]) {
            0 => Message::Start { serial },
            1 => Message::Started { serial, id: number as u32 },
            2 => Message::Failed { serial, error: number },
            3 => Message::Ended { serial, exit: Exit::Code(number) },
            4 => Message::Ended { serial, exit: Exit::Signal(number) },
            5 => Message::Ended { serial, exit: Exit::Unknown },
            _ => return None,
        })
    }
}

/// Sends a message, with a descriptor or without.
pub(super) fn send(socket: BorrowedFd<'_>, message: Message, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    // Messages are sent whole or not at all.
    pass_fd::send(socket, &message.to_bytes(), fd)?;
    Ok(())
}

/// The other side's next message; `None` after its end.
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(Message, Option<OwnedFd>)>> {
    let mut bytes = [0; SIZE];
    let (length, fd) = pass_fd::receive(socket, &mut bytes)?;
    match (length, Message::from_bytes(&bytes)) {
        (0, _) => Ok(None),
        (SIZE, Some(message)) => Ok(Some((message, fd))),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "no message between a pool and its fork server")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back_as_they_went() {
        let pair =
            || socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        let (here, there) = pair();
        let serial = u64::MAX - 1;
        let ended = |exit| Message::Ended { serial, exit };
        let messages = [
            Message::Start { serial },
            Message::Started { serial, id: u32::MAX },
            Message::Failed { serial, error: 11 },
            ended(Exit::Code(-1)),
            ended(Exit::Signal(9)),
            ended(Exit::Unknown),
        ];
        for (index, message) in messages.into_iter().enumerate() {
            let fd = (index % 2 == 0).then_some(there.as_fd());
            send(here.as_fd(), message, fd).unwrap();
            let (received, received_fd) = receive(there.as_fd()).unwrap().unwrap();
            assert_eq!((received, received_fd.is_some()), (message, fd.is_some()));
        }
        drop(here);
        assert!(receive(there.as_fd()).unwrap().is_none());
    }
}
