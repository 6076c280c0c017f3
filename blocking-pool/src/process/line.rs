//! The connection to one worker: what is being sent, what is being received, and how fast it answers.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::task::{Context, Poll};
use std::time::Instant;

use kumihimo_context::Leaf;
use kumihimo_reactor::Async;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::net::{SendAncillaryBuffer, SendFlags, sendmsg};

use super::call::Frame;
use super::wire;
use super::wire::Decoder;

/// So many frames go out by one system call.
const AT_ONCE: usize = 16;
/// A worker has so many calls at most.
const MOST_AHEAD: usize = 16;
/// A worker gets no more calls ahead than it will answer in about this time, in ns.
const AHEAD: u32 = 100_000;
/// Calls are sent ahead as long as they have no more bytes than this, which a socket takes at once.
pub(super) const BYTES_AHEAD: usize = 64 * 1024;

/// The pool's end of a worker's socket. It may move from one loop to another at any time.
pub(super) struct Line {
    /// Which driver may use it: the one that was told this number.
    pub(super) epoch: u64,
    /// The descriptors; `None` once the worker is given up.
    end: Option<End>,
    /// What is being sent, and how much of the first was.
    out: VecDeque<Frame>,
    sent: usize,
    /// The turn of the calls that are sent now.
    turn: u32,
    /// What was received.
    pub(super) decoder: Decoder,
    /// The worker has said that it is ready for calls.
    pub(super) is_ready: bool,
    /// It does not listen any more.
    pub(super) is_deaf: bool,
    /// The calls that it has answered.
    pub(super) served: u32,
    /// The same when the pace was last looked at, and when that was.
    paced: u32,
    since: Instant,
    /// The time per call, in ns, of late; `u32::MAX` as long as that is not known.
    pace: u32,
}

/// Two descriptors: the worker's socket, and one that is readable when the process has ended (a socket alone says nothing
/// if a process that the worker forked has it too).
enum End {
    /// Of no loop.
    Loose(UnixStream, Option<OwnedFd>),
    /// Of the loop in which the driver runs.
    Tied(Async<UnixStream>, Option<Async<OwnedFd>>),
}

impl Line {
    /// A line on which `hello` is the first thing to be sent.
    pub(super) fn new(stream: UnixStream, pidfd: Option<OwnedFd>, hello: Vec<u8>, frame_limit: u32) -> Line {
        Line {
            epoch: 0,
            end: Some(End::Loose(stream, pidfd)),
            out: VecDeque::from([Frame::new(hello)]),
            sent: 0,
            turn: 0,
            decoder: Decoder::new(frame_limit),
            is_ready: false,
            is_deaf: false,
            served: 0,
            paced: 0,
            since: Instant::now(),
            pace: u32::MAX,
        }
    }

    /// Registers the descriptors with the loop of this thread, if they are not.
    pub(super) fn tie(&mut self) -> io::Result<()> {
        self.end = match self.end.take() {
            Some(End::Loose(stream, pidfd)) => {
                Some(End::Tied(Async::new(stream)?, pidfd.map(Async::new).transpose()?))
            }
            other => other,
        };
        Ok(())
    }

    /// Takes the descriptors out of the loop that they are registered with. The driver of that loop is told, and has to go.
    pub(super) fn loosen(&mut self) {
        self.epoch += 1;
        self.end = match self.end.take() {
            // Where the system does not know the descriptor any more, the worker is lost, which the next driver finds.
            Some(End::Tied(stream, pidfd)) => stream
                .into_inner()
                .ok()
                .map(|stream| End::Loose(stream, pidfd.and_then(|pidfd| pidfd.into_inner().ok()))),
            other => other,
        };
    }

    /// Gives the socket up: no driver has it any more.
    pub(super) fn close(&mut self) -> Option<UnixStream> {
        self.loosen();
        match self.end.take() {
            Some(End::Loose(stream, _)) => Some(stream),
            _ => None,
        }
    }

    /// Calls that were had back need not be sent, unless a part of them was.
    pub(super) fn drop_past_turns(&mut self, turn: u32) {
        if self.turn == turn {
            return;
        }
        self.turn = turn;
        let mut is_begun = self.sent > 0;
        self.out.retain(|frame| mem::take(&mut is_begun) || wire::turn_of(frame) == turn);
    }

    /// More is to be sent.
    pub(super) fn send(&mut self, frames: Vec<Frame>) {
        self.out.extend(frames);
    }

    /// Sends what there is to send, as far as the socket takes it. If the worker does not listen any more, what it has said must be
    /// received all the same.
    pub(super) fn poll_send(&mut self, leaf: &mut Leaf, cx: &mut Context<'_>) {
        while !self.out.is_empty()
            && let Some(End::Tied(stream, _)) = &self.end
        {
            let mut slices = [IoSlice::new(&[]); AT_ONCE];
            let mut length = 0;
            for (index, (slice, frame)) in slices.iter_mut().zip(&self.out).enumerate() {
                let rest = if index == 0 { &frame[self.sent..] } else { frame };
                *slice = IoSlice::new(rest);
                length += rest.len();
            }
            // Not `write`: where the user has SIGPIPE back, a worker that dies must not end this process.
            let write = |stream: &UnixStream| {
                Ok(sendmsg(stream, &slices, &mut SendAncillaryBuffer::default(), SendFlags::NOSIGNAL)?)
            };
            match stream.poll_write_drained(leaf, cx, write, |sent| *sent < length) {
                Poll::Ready(Ok(sent)) => self.sent += sent,
                Poll::Ready(Err(_)) => {
                    self.out.clear();
                    self.is_deaf = true;
                }
                Poll::Pending => return,
            }
            self.forget_sent();
        }
    }

    fn forget_sent(&mut self) {
        while let Some(frame) = self.out.front()
            && self.sent >= frame.len()
        {
            self.sent -= frame.len();
            self.out.pop_front();
        }
    }

    /// How many more calls a worker may get that has so many.
    ///
    /// One that has none gets one. One whose calls are short gets some ahead, so that it need not wait for each.
    pub(super) fn wants(&mut self, calls: usize) -> usize {
        if calls == 0 {
            // What it did before it rested says nothing about its pace.
            self.look_at_pace();
            self.since = Instant::now();
        }
        let most = (AHEAD / self.pace.max(1)).clamp(1, MOST_AHEAD as u32) as usize;
        // Not before half of them are answered: several at a time cost little more than one.
        if calls > most / 2 { 0 } else { most - calls }
    }

    /// Looks at the time that the answers since the last look have taken.
    pub(super) fn look_at_pace(&mut self) {
        let answers = self.served.wrapping_sub(self.paced);
        if answers == 0 {
            return;
        }
        let now = Instant::now();
        let pace = (now - self.since).as_nanos() / u128::from(answers);
        let pace = u32::try_from(pace).unwrap_or(u32::MAX - 1);
        // Slower at once, faster bit by bit.
        self.pace = if pace >= self.pace || self.pace == u32::MAX {
            pace
        } else {
            self.pace - (self.pace - pace) / 4
        };
        (self.paced, self.since) = (self.served, now);
    }

    /// Receives something; nothing at the end.
    pub(super) fn poll_receive(&mut self, leaf: &mut Leaf, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(End::Tied(stream, _)) = &self.end else { return Poll::Ready(Err(lost())) };
        let room = self.decoder.room();
        let capacity = room.capacity() - room.len();
        let read = |stream: &UnixStream| Ok(rustix::io::read(stream, spare_capacity(&mut *room))?);
        stream.poll_read_drained(leaf, cx, read, |received| *received > 0 && *received < capacity)
    }

    /// Receives something, if there is something.
    pub(super) fn receive_what_is_there(&mut self) -> bool {
        let Some(End::Tied(stream, _)) = &self.end else { return false };
        let room = self.decoder.room();
        matches!(retry_on_intr(|| rustix::io::read(stream, spare_capacity(&mut *room))), Ok(received) if received > 0)
    }

    /// Waits until the process has ended. Where the system can't tell, the end of the socket has to do.
    pub(super) fn poll_death(&mut self, leaf: &mut Leaf, cx: &mut Context<'_>) -> Poll<()> {
        let Some(End::Tied(_, Some(pidfd))) = &self.end else { return Poll::Pending };
        let has_ended = |pidfd: &OwnedFd| {
            let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            if poll(&mut fds, Some(&now))? == 0 { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
        };
        pidfd.poll_read_with(leaf, cx, has_ended).map(|_| ())
    }
}

fn lost() -> io::Error {
    io::Error::other("the descriptor of its socket was closed by somebody else")
}
