//! kumihimo's sockets and signals.
//!
//! | type | is |
//! |---|---|
//! | [`TcpListener`], [`Incoming`] | a socket that accepts connections |
//! | [`TcpStream`] | a connection: read, write, peek, shut down, socket options |
//! | [`ReadHalf`], [`WriteHalf`] | its two directions, borrowed |
//! | [`OwnedReadHalf`], [`OwnedWriteHalf`] | its two directions, for two tasks |
//! | [`ToSocketAddrs`], [`resolve`] | what can stand for an address, and looking it up |
//! | [`Signal`], [`SignalKind`] | signals of the operating system, awaited |
//!
//! Sockets belong to the loop that ran on the thread that made them. Every wait can be cancelled, and no byte,
//! connection or signal is lost by that; the methods say where a cancelled call leaves its work half done.
//!
//! Streams implement `AsyncRead` and `AsyncWrite` of futures-io, and with feature `hyper` hyper's `rt::Read` and
//! `rt::Write`. They are not implemented for `&TcpStream`, because what a task waits for is kept in the stream, per
//! direction: use the halves.
//!
//! How it is laid out: `socket.rs` has the system calls, for any kind of socket; `stream.rs` what reading and writing a
//! registered one takes, for a stream or a half of one; the rest are the types.

mod addr;
mod connect;
#[cfg(feature = "hyper")]
mod hyper;
mod incoming;
mod resolve;
mod signal;
mod signal_kind;
mod socket;
mod split;
mod stream;
mod tcp_listener;
mod tcp_stream;

pub use addr::ToSocketAddrs;
pub use incoming::Incoming;
pub use resolve::resolve;
pub use signal::Signal;
#[doc(hidden)]
pub use signal::is_interrupt_awaited;
pub use signal_kind::SignalKind;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use tcp_listener::{DEFAULT_BACKLOG, TcpListener};
pub use tcp_stream::TcpStream;
