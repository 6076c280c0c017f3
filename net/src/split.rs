//! The two directions of a stream as two values: borrowed, or owned by two tasks.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;

use kumihimo_context::Leaf;
use kumihimo_reactor::Async;

use crate::socket;
use crate::stream::{impl_read, impl_write};
use crate::tcp_stream::TcpStream;

/// The reading half of a stream, borrowed by `split`.
#[derive(Debug)]
pub struct ReadHalf<'a, S: AsFd = net::TcpStream> {
    /// The stream's socket; nobody else reads from it while we borrow the stream.
    io: &'a Async<S>,
    /// Where `AsyncRead` is.
    leaf: Leaf,
}

/// The writing half of a stream, borrowed by `split`.
#[derive(Debug)]
pub struct WriteHalf<'a, S: AsFd = net::TcpStream> {
    /// The stream's socket; nobody else writes to it while we borrow the stream.
    io: &'a Async<S>,
    /// Where `AsyncWrite` is.
    leaf: Leaf,
}

/// The reading half of a stream, made by `into_split`.
#[derive(Debug)]
pub struct OwnedReadHalf<S: AsFd = net::TcpStream> {
    /// Shared with the writing half only.
    io: Arc<Async<S>>,
    /// Where `AsyncRead` is.
    leaf: Leaf,
}

/// The writing half of a stream, made by `into_split`.
///
/// Dropping it shuts down writing, so that the peer reads the end of the stream; [`forget`](Self::forget) doesn't.
#[derive(Debug)]
pub struct OwnedWriteHalf<S: AsFd = net::TcpStream> {
    /// Shared with the reading half only.
    io: Arc<Async<S>>,
    /// Where `AsyncWrite` is.
    leaf: Leaf,
    /// Whether dropping shuts down writing.
    shutdown_on_drop: bool,
}

/// The two halves given to `reunite` were not made from the same stream; here they are again.
#[derive(Debug)]
pub struct ReuniteError<S: AsFd = net::TcpStream>(pub OwnedReadHalf<S>, pub OwnedWriteHalf<S>);

impl<S: AsFd> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves come from different streams: reunite those that one `into_split` made")
    }
}

impl<S: AsFd + fmt::Debug> Error for ReuniteError<S> {}

pub(crate) fn borrowed<S: AsFd>(io: &Async<S>) -> (ReadHalf<'_, S>, WriteHalf<'_, S>) {
    (ReadHalf { io, leaf: Leaf::new() }, WriteHalf { io, leaf: Leaf::new() })
}

pub(crate) fn owned<S: AsFd>(io: Async<S>) -> (OwnedReadHalf<S>, OwnedWriteHalf<S>) {
    let io = Arc::new(io);
    let read = OwnedReadHalf { io: Arc::clone(&io), leaf: Leaf::new() };
    (read, OwnedWriteHalf { io, leaf: Leaf::new(), shutdown_on_drop: true })
}

/// The socket that two halves share, once they are one again.
fn reunited<S: AsFd>(
    read: OwnedReadHalf<S>,
    mut write: OwnedWriteHalf<S>,
) -> Result<Async<S>, ReuniteError<S>> {
    if !Arc::ptr_eq(&read.io, &write.io) {
        return Err(ReuniteError(read, write));
    }
    write.shutdown_on_drop = false;
    drop(write);
    Ok(Arc::into_inner(read.io).expect("only the two halves share the socket"))
}

impl_read!(['a, S: AsFd] ReadHalf<'a, S>, leaf);
impl_write!(['a, S: AsFd] WriteHalf<'a, S>, leaf);
impl_read!([S: AsFd] OwnedReadHalf<S>, leaf);
impl_write!([S: AsFd] OwnedWriteHalf<S>, leaf);

impl<S: AsFd> OwnedWriteHalf<S> {
    /// Shuts down writing now: the peer reads the end of the stream after what was written before.
    ///
    /// # Errors
    ///
    /// Those of `shutdown`; a connection that is already gone is none.
    #[doc(alias = "asyncio.StreamWriter.write_eof")]
    pub fn shutdown(&mut self) -> io::Result<()> {
        self.shutdown_on_drop = false;
        socket::shutdown(self.io.get_ref(), net::Shutdown::Write)
    }

    /// Drops the half and leaves the connection open for writing, until the reading half is dropped too.
    pub fn forget(mut self) {
        self.shutdown_on_drop = false;
    }
}

impl<S: AsFd> Drop for OwnedWriteHalf<S> {
    fn drop(&mut self) {
        if self.shutdown_on_drop {
            // Nobody is left to tell, and whoever reads there learns of it when the connection closes.
            let _ = socket::shutdown(self.io.get_ref(), net::Shutdown::Write);
        }
    }
}

impl OwnedReadHalf {
    /// Puts a stream together again from its halves.
    ///
    /// # Errors
    ///
    /// Gives both halves back where they are of different streams.
    pub fn reunite(self, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunited(self, write).map(TcpStream::from_async)
    }
}

impl OwnedWriteHalf {
    /// Puts a stream together again from its halves.
    ///
    /// # Errors
    ///
    /// Gives both halves back where they are of different streams.
    pub fn reunite(self, read: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        read.reunite(self)
    }
}

/// The addresses of a half of a TCP stream.
macro_rules! tcp_addresses {
    ($($ty:ty),*) => {$(
        impl $ty {
            /// The address of the other end.
            ///
            /// # Errors
            ///
            /// `NotConnected` where the connection is gone.
            pub fn peer_addr(&self) -> io::Result<SocketAddr> {
                self.io.get_ref().peer_addr()
            }

            /// The address of this end.
            ///
            /// # Errors
            ///
            /// Those of `getsockname`.
            pub fn local_addr(&self) -> io::Result<SocketAddr> {
                self.io.get_ref().local_addr()
            }
        }
    )*};
}

tcp_addresses!(ReadHalf<'_>, WriteHalf<'_>, OwnedReadHalf, OwnedWriteHalf);
