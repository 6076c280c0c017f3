//! The worker's conversation with the pool: one call after the other, until the pool says no more.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::process::exit;

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read, retry_on_intr};

use super::{BROKEN, INITIALIZER_FAILED, PROTOCOL_ERROR, die, panic_record, watcher};
use crate::process::claims::Claims;
use crate::process::function::{CallFailure, Function};
use crate::process::image;
use crate::process::panics::RemotePanic;
use crate::process::wire::{self, Decoder, Hello, MAX_FRAME_LIMIT, Request, WireError};

/// A buffer for replies that is larger than this is given back.
const KEEP: usize = 4 << 20;

/// Serves, then ends the process.
pub(super) fn serve(socket: UnixStream) -> ! {
    // For as long as the process lives.
    let socket: &'static UnixStream = Box::leak(Box::new(socket));
    if let Err(error) = watcher::start(socket) {
        die(BROKEN, &format!("no thread to watch the pool with: {error}"));
    }
    panic_record::install();
    let claims = match Claims::accept(socket) {
        Ok(claims) => claims,
        Err(error) => die(BROKEN, &format!("no memory was shared with the pool: {error}")),
    };
    let mut server = Server {
        socket,
        claims,
        requests: Decoder::new(MAX_FRAME_LIMIT),
        replies: Vec::new(),
        limit: MAX_FRAME_LIMIT as usize,
    };
    match server.run() {
        // Runs what `main` would leave to run, and flushes the output.
        Ok(()) => exit(0),
        Err(End::Code(code)) => exit(code),
        Err(End::Gone) => exit(0),
        Err(End::Wire(error)) => die(PROTOCOL_ERROR, &format!("the pool sent what is no request: {error}")),
        Err(End::Unexpected(what)) => die(PROTOCOL_ERROR, &format!("the pool sent {what}")),
        Err(End::Io(error)) => die(BROKEN, &format!("the pool's socket failed: {error}")),
    }
}

/// One side of the conversation.
struct Server {
    socket: &'static UnixStream,
    /// Which calls have begun. Without, the pool sends one at a time.
    claims: Option<Claims>,
    /// What has been read.
    requests: Decoder,
    /// The reply that is being made; empty in between.
    replies: Vec<u8>,
    /// The most bytes of a result.
    limit: usize,
}

/// Why the conversation is over, other than by the pool's wish.
enum End {
    /// All is said; the process is to end with this code.
    Code(i32),
    /// The pool's process does not listen any more.
    Gone,
    /// The pool sent nonsense.
    Wire(WireError),
    /// The pool sent this at the wrong time.
    Unexpected(&'static str),
    /// The socket does not work.
    Io(io::Error),
}

impl From<WireError> for End {
    fn from(error: WireError) -> End {
        End::Wire(error)
    }
}

impl Server {
    fn run(&mut self) -> Result<(), End> {
        while !self.greet()? {
            if !self.read()? {
                return self.end();
            }
        }
        loop {
            while self.call()? {
                self.send()?;
            }
            if !self.read()? {
                return self.end();
            }
        }
    }

    /// There is no more to be read: that must not be in the middle of a frame, unless the pool's process is gone.
    fn end(&self) -> Result<(), End> {
        let mut polled = [PollFd::new(self.socket, PollFlags::empty())];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        match poll(&mut polled, Some(&now)) {
            Ok(_) if polled[0].revents().contains(PollFlags::HUP) => Err(End::Gone),
            _ => Ok(self.requests.end()?),
        }
    }

    /// Answers the first frame; false if it has not arrived.
    fn greet(&mut self) -> Result<bool, End> {
        let hello = match self.requests.next_request()? {
            None => return Ok(false),
            Some(Request::Hello(hello)) => hello,
            Some(Request::Call { .. }) => return Err(End::Unexpected("a call before it had said hello")),
        };
        let frame_limit = hello.frame_limit;
        let code = match welcome(&hello) {
            Ok(()) => {
                wire::encode_ready(&mut self.replies);
                None
            }
            Err(No::OtherBuild) => {
                wire::encode_refused(&mut self.replies, &other_build());
                Some(PROTOCOL_ERROR)
            }
            Err(No::Initializer(panic)) => {
                wire::encode_initializer_failed(&mut self.replies, &panic);
                Some(INITIALIZER_FAILED)
            }
        };
        self.requests.set_frame_limit(frame_limit);
        self.limit = frame_limit as usize;
        self.send()?;
        code.map_or(Ok(true), |code| Err(End::Code(code)))
    }

    /// Makes the reply to the next call, unless that was taken back; false if none has arrived.
    fn call(&mut self) -> Result<bool, End> {
        let (id, function, argument) = match self.requests.next_request()? {
            None => return Ok(false),
            Some(Request::Call { id, function, argument }) => (id, function, argument),
            Some(Request::Hello(_)) => return Err(End::Unexpected("a second hello")),
        };
        if !self.claims.as_ref().is_none_or(|claims| claims.begin(wire::turn(id))) {
            return Ok(true);
        }
        let (replies, limit) = (&mut self.replies, self.limit);
        let outcome = panic_record::catch(|| {
            wire::encode_value_with(replies, id, |out| run(function, argument, out, limit))
        });
        match outcome {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => wire::encode_failed(&mut self.replies, id, &failure),
            Err(panic) => {
                // What the call has written before it panicked, half of a result at most.
                self.replies.clear();
                wire::encode_panicked(&mut self.replies, id, &panic);
            }
        }
        Ok(true)
    }

    /// Waits for more of the pool's words; false if there will be none.
    fn read(&mut self) -> Result<bool, End> {
        let room = self.requests.room();
        match retry_on_intr(|| read(self.socket, spare_capacity(room))) {
            Ok(count) => Ok(count > 0),
            // The pool's process has ended with our replies unread.
            Err(Errno::CONNRESET) => Err(End::Gone),
            Err(error) => Err(End::Io(error.into())),
        }
    }

    /// Sends the reply.
    fn send(&mut self) -> Result<(), End> {
        let sent = (&mut &*self.socket).write_all(&self.replies);
        self.replies.clear();
        if self.replies.capacity() > KEEP {
            self.replies = Vec::new();
        }
        sent.map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => End::Gone,
            _ => End::Io(error),
        })
    }
}

/// Why a pool is not served.
enum No {
    OtherBuild,
    Initializer(RemotePanic),
}

/// Compares the builds, and runs the initializer.
fn welcome(hello: &Hello<'_>) -> Result<(), No> {
    if hello.fingerprint != image::fingerprint() {
        return Err(No::OtherBuild);
    }
    let Some((function, argument)) = hello.initializer else { return Ok(()) };
    // Its result is thrown away, so no limit is in its way.
    let called = panic_record::catch(|| run(function, argument, &mut Vec::new(), usize::MAX));
    let failed = |failure: &dyn fmt::Display| RemotePanic::new(failure.to_string(), None, None);
    called.map_err(No::Initializer)?.map_err(|failure| No::Initializer(failed(&failure)))
}

fn run(function: Function, argument: &[u8], out: &mut Vec<u8>, limit: usize) -> Result<(), CallFailure> {
    // SAFETY: the pool has proved to be of this very build (`welcome`), and makes functions only by the constructors.
    // The socket is a private one, which the process that started this one has made.
    unsafe { function.call(argument, out, limit) }
}

fn other_build() -> String {
    format!(
        "process {} runs another build of the program than the pool; was the program replaced while it ran? Start it \
         again",
        std::process::id(),
    )
}
