//! `TcpStream`.

use std::fmt;
use std::io;
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use kumihimo_context::Leaf;
use kumihimo_reactor::Async;
use socket2::{SockRef, TcpKeepalive};

use crate::addr::ToSocketAddrs;
use crate::connect;
use crate::socket;
use crate::split::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream::{impl_read, impl_write};

/// A TCP connection.
///
/// Read and write with the methods here, or through `AsyncRead` and `AsyncWrite` of futures-io. To do both at once,
/// [`split`](Self::split) it within a task, or [`into_split`](Self::into_split) it for two tasks. Dropping it closes
/// the connection.
///
/// ```no_run
/// use kumihimo_net::TcpStream;
///
/// # async fn example() -> std::io::Result<()> {
/// let mut stream = TcpStream::connect("localhost:8080").await?;
/// stream.write_all(b"ping\n").await?;
/// let mut reply = [0; 5];
/// stream.read_exact(&mut reply).await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    /// The socket, non-blocking and registered.
    pub(crate) io: Async<net::TcpStream>,
    /// Where `AsyncRead` is.
    pub(crate) read_leaf: Leaf,
    /// Where `AsyncWrite` is.
    pub(crate) write_leaf: Leaf,
}

impl_read!([] TcpStream, read_leaf);
impl_write!([] TcpStream, write_leaf);

impl TcpStream {
    /// Connects to the first of the addresses that `addr` stands for which answers.
    ///
    /// # Cancellation
    ///
    /// Gives up the connection attempt and closes the socket.
    ///
    /// # Errors
    ///
    /// The error for the last address, which its message names; those of [`resolve`](crate::resolve).
    #[doc(alias = "asyncio.open_connection")]
    #[doc(alias = "asyncio.loop.sock_connect")]
    pub async fn connect(addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        connect::connect(addr).await
    }

    pub(crate) fn from_async(io: Async<net::TcpStream>) -> TcpStream {
        TcpStream { io, read_leaf: Leaf::new(), write_leaf: Leaf::new() }
    }

    /// Takes over a connected stream of std and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// Where no loop runs on this thread, or the system refuses to register the socket.
    pub fn from_std(stream: net::TcpStream) -> io::Result<TcpStream> {
        socket::no_sigpipe(&stream)?;
        Ok(TcpStream::from_async(Async::new(stream)?))
    }

    /// Gives the socket back as a stream of std, which stays non-blocking: `set_nonblocking(false)` undoes that.
    ///
    /// # Errors
    ///
    /// Where the system refuses to deregister the socket.
    pub fn into_std(self) -> io::Result<net::TcpStream> {
        self.io.into_inner()
    }

    /// Splits into a half to read from and a half to write to, which borrow the stream.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        split::borrowed(&self.io)
    }

    /// Splits into a half to read from and a half to write to, for two tasks; `reunite` joins them again.
    ///
    /// Dropping the writing half shuts down writing.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        split::owned(self.io)
    }

    /// Shuts down reading, writing or both.
    ///
    /// After `Shutdown::Write` the peer reads the end of the stream behind what was written before.
    ///
    /// # Errors
    ///
    /// Those of `shutdown`; a connection that is already gone is none.
    #[doc(alias = "asyncio.StreamWriter.write_eof")]
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        socket::shutdown(self.socket(), how)
    }

    /// The address of the other end.
    ///
    /// # Errors
    ///
    /// `NotConnected` where the connection is gone.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    /// Whether small writes are sent at once (`TCP_NODELAY`). A new stream waits to fill packets.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().nodelay()
    }

    /// Sets whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of `setsockopt`.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().set_nodelay(nodelay)
    }

    /// After how long without traffic the system probes whether the peer is still there; `None`: never.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        let socket = SockRef::from(self.socket());
        if !socket.keepalive()? {
            return Ok(None);
        }
        socket.tcp_keepalive_time().map(Some)
    }

    /// Sets after how long without traffic the system probes whether the peer is still there; `None`: never.
    ///
    /// In whole seconds, rounded up.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt`; `InvalidInput` for zero and for more than the system takes (32767 s on Linux).
    pub fn set_keepalive(&self, idle: Option<Duration>) -> io::Result<()> {
        let socket = SockRef::from(self.socket());
        match idle {
            None => socket.set_keepalive(false),
            Some(idle) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(whole_seconds(idle))),
        }
    }

    /// How long the system goes on sending what is unsent when the stream is dropped; see
    /// [`set_linger`](Self::set_linger).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self.socket()).linger()
    }

    /// Sets what happens to unsent data when the stream is dropped (`SO_LINGER`).
    ///
    /// `None`, the default: the system sends it in the background. Zero: it is thrown away and the connection reset.
    /// Any other time (whole seconds, rounded up): *dropping the stream blocks the thread* for up to that long.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt`.
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        SockRef::from(self.socket()).set_linger(linger.map(whole_seconds))
    }

    /// How many routers a packet of ours may pass (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().ttl()
    }

    /// Sets how many routers a packet of ours may pass (`IP_TTL`), from 1 to 255.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket().set_ttl(ttl)
    }

    /// Takes the error that the system holds for this socket (`SO_ERROR`), if there is one.
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    fn socket(&self) -> &net::TcpStream {
        self.io.get_ref()
    }
}

/// These options count in seconds, and zero means something else: so round up.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0)))
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.socket().fmt(f)
    }
}
