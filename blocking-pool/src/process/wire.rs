//! What goes over the socket between the pool and a worker: frames, as bytes. No I/O here.
//!
//! | bytes | header |
//! |---|---|
//! | 0..4 | length of the body, little endian, as all numbers |
//! | 4 | kind |
//! | 5..8 | zero |
//! | 8..16 | id of the call, zero in frames about no call |
//!
//! Both ends run the same build, which the first frame proves; the format may change with each version.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;

use super::function::{CallFailure, Function};
use super::panics::RemotePanic;

/// The largest limit that can be given to arguments and results, in bytes.
pub(crate) const MAX_FRAME_LIMIT: u32 = u32::MAX - 1024;

/// Bytes of a header.
const HEADER: usize = 16;

/// Longest body of frames that carry no argument or result. Texts are cut so that they fit.
const CONTROL_LIMIT: u64 = 1 << 20;

/// Longest text in bytes; a frame has at most three.
const TEXT_LIMIT: usize = 340 * 1024;

/// Room that is made for reading if nothing is known of what comes.
const ROOM: usize = 16 * 1024;

/// Room that is made for reading the rest of a large frame, at least; more if more has come already, so that memory
/// follows what has arrived and not what a header claims.
const LARGE_ROOM: usize = 256 * 1024;

/// An empty buffer that is larger than this is given back.
const KEEP: usize = 4 << 20;

/// What an absent text has for its length.
const ABSENT: u32 = u32::MAX;

/// What the pool says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// The first frame.
    Hello(Hello<'a>),
    /// Call the function, and answer with the same id.
    Call { id: u64, function: Function, argument: &'a [u8] },
}

/// How a pool introduces itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hello<'a> {
    /// Of the pool's own program; see `image::fingerprint`.
    pub(crate) fingerprint: u64,
    /// The most bytes of an argument or a result.
    pub(crate) frame_limit: u32,
    /// Called before the worker is ready; the result is thrown away.
    pub(crate) initializer: Option<(Function, &'a [u8])>,
}

/// What a worker answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// To `Hello`: calls are welcome.
    Ready,
    /// To `Hello`: this is another build. The worker exits.
    Refused { text: String },
    /// To `Hello`: the initializer did not return, or could not be called. The worker exits.
    InitializerFailed { panic: RemotePanic },
    /// The call's encoded result.
    Value { id: u64, bytes: &'a [u8] },
    /// The call panicked.
    Panicked { id: u64, panic: RemotePanic },
    /// The call could not be made, or its result not be sent.
    Failed { id: u64, failure: CallFailure },
}

/// The kinds of frames. A request's number is no reply's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Hello = 1,
    Call = 2,
    Ready = 65,
    Refused = 66,
    InitializerFailed = 67,
    Value = 68,
    Panicked = 69,
    Failed = 70,
}

/// Who speaks.
#[derive(Clone, Copy)]
enum Side {
    Pool,
    Worker,
}

impl Kind {
    /// The kind with this number, if that side says such things.
    fn of(side: Side, number: u8) -> Option<Kind> {
        let kinds: &[Kind] = match side {
            Side::Pool => &[Kind::Hello, Kind::Call],
            Side::Worker => &[
                Kind::Value,
                Kind::Panicked,
                Kind::Failed,
                Kind::Ready,
                Kind::Refused,
                Kind::InitializerFailed,
            ],
        };
        kinds.iter().copied().find(|&kind| kind as u8 == number)
    }

    /// The longest body.
    fn limit(self, frame_limit: u32) -> u64 {
        let value = u64::from(frame_limit);
        match self {
            Kind::Hello => value + 13 + Function::SIZE as u64,
            Kind::Call => value + Function::SIZE as u64,
            Kind::Value => value,
            _ => CONTROL_LIMIT,
        }
    }

    /// Whether the frame is about a call.
    fn has_id(self) -> bool {
        matches!(self, Kind::Call | Kind::Value | Kind::Panicked | Kind::Failed)
    }
}

/// Appends the pool's first frame.
pub(crate) fn encode_hello(out: &mut Vec<u8>, hello: &Hello<'_>) {
    frame(out, Kind::Hello, 0, |out| {
        out.extend(hello.fingerprint.to_le_bytes());
        out.extend(hello.frame_limit.to_le_bytes());
        out.push(hello.initializer.is_some().into());
        if let Some((function, argument)) = hello.initializer {
            out.extend(function.to_bytes());
            out.extend(argument);
        }
    });
}

/// Appends a call.
#[cfg(test)]
pub(crate) fn encode_call(out: &mut Vec<u8>, id: u64, function: Function, argument: &[u8]) {
    frame(out, Kind::Call, id, |out| {
        out.extend(function.to_bytes());
        out.extend(argument);
    });
}

/// Appends a call whose argument `encode` appends; if that fails, `out` is as before.
pub(crate) fn encode_call_with<E>(
    out: &mut Vec<u8>,
    id: u64,
    function: Function,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    try_frame(out, Kind::Call, id, |out| {
        out.extend(function.to_bytes());
        encode(out)
    })
}

/// Says in which turn a call is sent: the higher half of its id.
pub(crate) fn set_turn(frame: &mut [u8], turn: u32) {
    frame[HEADER - 4..HEADER].copy_from_slice(&turn.to_le_bytes());
}

/// The turn that a call's frame says.
pub(crate) fn turn_of(frame: &[u8]) -> u32 {
    u32::from_le_bytes([frame[HEADER - 4], frame[HEADER - 3], frame[HEADER - 2], frame[HEADER - 1]])
}

/// The turn in which a call was sent.
pub(crate) fn turn(id: u64) -> u32 {
    (id >> 32) as u32
}

/// The number of a call, which is the same in every turn.
pub(crate) fn number(id: u64) -> u32 {
    id as u32
}

/// Appends the worker's yes.
pub(crate) fn encode_ready(out: &mut Vec<u8>) {
    frame(out, Kind::Ready, 0, |_| ());
}

/// Appends the worker's no.
pub(crate) fn encode_refused(out: &mut Vec<u8>, text: &str) {
    frame(out, Kind::Refused, 0, |out| put_text(out, Some(text)));
}

/// Appends why the initializer did not work.
pub(crate) fn encode_initializer_failed(out: &mut Vec<u8>, panic: &RemotePanic) {
    frame(out, Kind::InitializerFailed, 0, |out| put_panic(out, panic));
}

/// Appends a result that `encode` appends; if that fails, `out` is as before.
pub(crate) fn encode_value_with<E>(
    out: &mut Vec<u8>,
    id: u64,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    try_frame(out, Kind::Value, id, encode)
}

/// Appends a panic.
pub(crate) fn encode_panicked(out: &mut Vec<u8>, id: u64, panic: &RemotePanic) {
    frame(out, Kind::Panicked, id, |out| put_panic(out, panic));
}

/// Appends a failure.
pub(crate) fn encode_failed(out: &mut Vec<u8>, id: u64, failure: &CallFailure) {
    frame(out, Kind::Failed, id, |out| put_failure(out, failure));
}

fn frame(out: &mut Vec<u8>, kind: Kind, id: u64, body: impl FnOnce(&mut Vec<u8>)) {
    let Ok(()) = try_frame::<Infallible>(out, kind, id, |out| {
        body(out);
        Ok(())
    });
}

/// Appends a header, then the body, then corrects the header.
fn try_frame<E>(
    out: &mut Vec<u8>,
    kind: Kind,
    id: u64,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let begin = out.len();
    out.extend([0, 0, 0, 0, kind as u8, 0, 0, 0]);
    out.extend(id.to_le_bytes());
    if let Err(error) = body(out) {
        out.truncate(begin);
        return Err(error);
    }
    let length = out.len() - begin - HEADER;
    let length = u32::try_from(length).expect("a frame has less than 4 GiB, since the frame limit has");
    out[begin..begin + 4].copy_from_slice(&length.to_le_bytes());
    Ok(())
}

fn put_text(out: &mut Vec<u8>, text: Option<&str>) {
    let Some(text) = text else { return out.extend(ABSENT.to_le_bytes()) };
    let text = cut(text);
    // Not truncated: `cut` sees to it.
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

/// The beginning of a text, if it is very long.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(TEXT_LIMIT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn put_panic(out: &mut Vec<u8>, panic: &RemotePanic) {
    put_text(out, Some(panic.message()));
    put_text(out, panic.location());
    put_text(out, panic.backtrace());
}

fn put_failure(out: &mut Vec<u8>, failure: &CallFailure) {
    match failure {
        CallFailure::Argument(text) => {
            out.push(0);
            put_text(out, Some(text));
        }
        CallFailure::Result(text) => {
            out.push(1);
            put_text(out, Some(text));
        }
        CallFailure::TooLarge { size, limit } => {
            out.push(2);
            out.extend(size.to_le_bytes());
            out.extend(limit.to_le_bytes());
        }
        CallFailure::Foreign => out.push(3),
        CallFailure::Types => out.push(4),
    }
}

/// Makes frames of bytes that arrive in pieces.
pub(crate) struct Decoder {
    /// What has arrived; what is before `begin` has been given out.
    buffer: Vec<u8>,
    /// Where the next frame begins; not beyond the buffer's end.
    begin: usize,
    /// The most bytes of an argument or a result.
    frame_limit: u32,
}

impl Decoder {
    /// A decoder that has seen nothing.
    pub(crate) fn new(frame_limit: u32) -> Decoder {
        Decoder { buffer: Vec::new(), begin: 0, frame_limit }
    }

    /// Changes the limit for the frames to come.
    pub(crate) fn set_frame_limit(&mut self, frame_limit: u32) {
        self.frame_limit = frame_limit;
    }

    /// The place to read to: append to it what has arrived, into its spare capacity, of which there is some. Nothing
    /// else may be done to it.
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        let pending = self.buffer.len() - self.begin;
        if pending == 0 {
            self.buffer.clear();
            self.begin = 0;
            if self.buffer.capacity() > KEEP {
                self.buffer = Vec::new();
            }
        }
        if self.spare() < ROOM && pending <= self.begin {
            // No more bytes move than have been given out since the last time, so moving stays cheap.
            self.buffer.drain(..self.begin);
            self.begin = 0;
        }
        if self.spare() < ROOM {
            // Exact, since large frames double what they have anyway, and so end without a half that is not used.
            self.buffer.reserve_exact(self.wanted(pending));
        }
        &mut self.buffer
    }

    fn spare(&self) -> usize {
        self.buffer.capacity() - self.buffer.len()
    }

    /// How much to make room for, with so many bytes there.
    fn wanted(&self, pending: usize) -> usize {
        let Some(length) = self.buffer[self.begin..].first_chunk::<4>() else { return ROOM };
        let whole = HEADER.saturating_add(u32::from_le_bytes(*length) as usize);
        whole.saturating_sub(pending).min(pending.max(LARGE_ROOM)).max(ROOM)
    }

    /// Takes bytes that have arrived elsewhere.
    #[cfg(test)]
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        self.room().extend_from_slice(bytes);
    }

    /// The pool's next frame, if all of it is here.
    ///
    /// # Errors
    ///
    /// See `WireError`; the stream is out of step then, for good.
    pub(crate) fn next_request(&mut self) -> Result<Option<Request<'_>>, WireError> {
        let Some(Frame { kind, id, mut body }) = self.next(Side::Pool)? else { return Ok(None) };
        let request = match kind {
            Kind::Hello => body.hello().map(Request::Hello),
            _ => body.function().map(|function| Request::Call { id, function, argument: body.rest() }),
        };
        body.end(kind, request).map(Some)
    }

    /// The worker's next frame, if all of it is here.
    ///
    /// # Errors
    ///
    /// As `next_request`.
    pub(crate) fn next_reply(&mut self) -> Result<Option<Reply<'_>>, WireError> {
        let Some(Frame { kind, id, mut body }) = self.next(Side::Worker)? else { return Ok(None) };
        let reply = match kind {
            Kind::Ready => Some(Reply::Ready),
            Kind::Refused => body.some_text().map(|text| Reply::Refused { text }),
            Kind::InitializerFailed => body.panic().map(|panic| Reply::InitializerFailed { panic }),
            Kind::Panicked => body.panic().map(|panic| Reply::Panicked { id, panic }),
            Kind::Failed => body.failure().map(|failure| Reply::Failed { id, failure }),
            _ => Some(Reply::Value { id, bytes: body.rest() }),
        };
        body.end(kind, reply).map(Some)
    }

    /// What the end of the stream means: nothing, unless it cuts a frame.
    ///
    /// # Errors
    ///
    /// `Truncated`.
    pub(crate) fn end(&self) -> Result<(), WireError> {
        match self.buffer.len() - self.begin {
            0 => Ok(()),
            arrived => Err(WireError::Truncated { arrived }),
        }
    }

    /// The next frame, if all of it is here.
    fn next(&mut self, side: Side) -> Result<Option<Frame<'_>>, WireError> {
        let pending = &self.buffer[self.begin..];
        let Some((header, rest)) = pending.split_first_chunk::<HEADER>() else { return Ok(None) };
        let (kind, id, length) = parse_header(header, side, self.frame_limit)?;
        if rest.len() < length {
            return Ok(None);
        }
        let body = self.begin + HEADER..self.begin + HEADER + length;
        self.begin = body.end;
        Ok(Some(Frame { kind, id, body: Body(&self.buffer[body]) }))
    }
}

/// A whole frame.
struct Frame<'a> {
    kind: Kind,
    id: u64,
    body: Body<'a>,
}

/// The kind, the id, and the body's length.
fn parse_header(
    header: &[u8; HEADER],
    side: Side,
    frame_limit: u32,
) -> Result<(Kind, u64, usize), WireError> {
    let [l0, l1, l2, l3, number, r0, r1, r2, id @ ..] = *header;
    let kind = Kind::of(side, number).ok_or(WireError::UnknownKind(number))?;
    let (length, id) = (u32::from_le_bytes([l0, l1, l2, l3]), u64::from_le_bytes(id));
    if [r0, r1, r2] != [0; 3] || (id != 0 && !kind.has_id()) {
        return Err(WireError::Reserved);
    }
    let limit = kind.limit(frame_limit);
    if u64::from(length) > limit {
        return Err(WireError::TooLarge { length: length.into(), limit });
    }
    Ok((kind, id, length as usize))
}

/// What is left of a frame's body. Each part is `None` if it is not there.
struct Body<'a>(&'a [u8]);

impl<'a> Body<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(array)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().copied().map(u64::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().copied().map(u32::from_le_bytes)
    }

    fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    fn function(&mut self) -> Option<Function> {
        self.array().map(Function::from_bytes)
    }

    fn hello(&mut self) -> Option<Hello<'a>> {
        let (fingerprint, frame_limit) = (self.u64()?, self.u32()?);
        let initializer = match self.array()? {
            [0] => None,
            [1] => Some((self.function()?, self.rest())),
            _ => return None,
        };
        Some(Hello { fingerprint, frame_limit, initializer })
    }

    /// A text that may be absent.
    fn text(&mut self) -> Option<Option<String>> {
        let length = self.u32()?;
        if length == ABSENT {
            return Some(None);
        }
        let (text, rest) = self.0.split_at_checked(length as usize)?;
        self.0 = rest;
        str::from_utf8(text).ok().map(|text| Some(text.to_string()))
    }

    /// A text that may not.
    fn some_text(&mut self) -> Option<String> {
        self.text()?
    }

    fn panic(&mut self) -> Option<RemotePanic> {
        Some(RemotePanic::new(self.some_text()?, self.text()?, self.text()?))
    }

    fn failure(&mut self) -> Option<CallFailure> {
        Some(match self.array()? {
            [0] => CallFailure::Argument(self.some_text()?),
            [1] => CallFailure::Result(self.some_text()?),
            [2] => CallFailure::TooLarge { size: self.u64()?, limit: self.u64()? },
            [3] => CallFailure::Foreign,
            [4] => CallFailure::Types,
            _ => return None,
        })
    }

    /// What was made of the body, if it was all of it.
    fn end<T>(self, kind: Kind, parsed: Option<T>) -> Result<T, WireError> {
        parsed.filter(|_| self.0.is_empty()).ok_or(WireError::Body { kind: kind as u8 })
    }
}

/// Bytes that are no frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WireError {
    /// The stream ended within a frame.
    Truncated {
        /// So many bytes of it are here.
        arrived: usize,
    },
    /// The body is longer than allowed.
    TooLarge {
        /// As the header says.
        length: u64,
        /// Bytes allowed in such a frame.
        limit: u64,
    },
    /// No kind of frame that the other side sends.
    UnknownKind(u8),
    /// What must be zero is not.
    Reserved,
    /// The body is not what the kind has.
    Body {
        /// The kind's number.
        kind: u8,
    },
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WireError::Truncated { arrived } => {
                write!(f, "the stream ended in the middle of a frame, after {arrived} bytes of it")
            }
            WireError::TooLarge { length, limit } => {
                write!(f, "a frame of {length} bytes is over the limit of {limit}")
            }
            WireError::UnknownKind(kind) => write!(f, "there is no kind {kind} of frames"),
            WireError::Reserved => f.write_str("a frame's header is not zero where it must be"),
            WireError::Body { kind } => write!(f, "the body of a frame of kind {kind} is malformed"),
        }
    }
}

impl Error for WireError {}

#[cfg(test)]
#[path = "wire_tests.rs"]
mod tests;
