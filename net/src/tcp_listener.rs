//! `TcpListener`.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

use kumihimo_reactor::Async;

use crate::addr::{Target, ToSocketAddrs};
use crate::connect::AddressError;
use crate::incoming::Incoming;
use crate::resolve::resolve;
use crate::socket;
use crate::tcp_stream::TcpStream;

/// How many connections wait for an `accept` before the system turns new ones away, unless
/// [`bind_with_backlog`](TcpListener::bind_with_backlog) says otherwise. (The system's own limit, on Linux
/// `net.core.somaxconn`, applies as well.)
pub const DEFAULT_BACKLOG: u32 = 1024;

/// A socket that accepts TCP connections.
///
/// ```no_run
/// use kumihimo_net::TcpListener;
///
/// # async fn example() -> std::io::Result<()> {
/// let listener = TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (mut stream, peer) = listener.accept().await?;
///     stream.write_all(format!("hello, {peer}\n").as_bytes()).await?;
/// }
/// # }
/// ```
pub struct TcpListener {
    /// The socket, non-blocking and registered.
    io: Async<net::TcpListener>,
}

impl TcpListener {
    /// Listens on the first of the addresses that `addr` stands for which can be bound.
    ///
    /// Port 0 picks a free port; [`local_addr`](Self::local_addr) says which. The address may be bound again while
    /// closed connections linger on it (`SO_REUSEADDR`).
    ///
    /// # Cancellation
    ///
    /// Leaves nothing behind.
    ///
    /// # Errors
    ///
    /// The error for the last address, which its message names: `AddrInUse` where somebody listens there already,
    /// `PermissionDenied` for a port below 1024; those of [`resolve`].
    #[doc(alias = "asyncio.start_server")]
    pub async fn bind(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        TcpListener::bind_with_backlog(addr, DEFAULT_BACKLOG).await
    }

    /// As [`bind`](Self::bind), with a limit on the connections that wait for an `accept`.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_with_backlog(addr: impl ToSocketAddrs, backlog: u32) -> io::Result<TcpListener> {
        let addrs = match addr.to_target()? {
            Target::One(addr) => return listen(addr, backlog, 0),
            Target::Many(addrs) => addrs,
            Target::Host(host, port) => resolve((host, port)).await?,
        };
        let (last, others) = addrs.split_last().expect("no list of addresses is empty");
        match others.iter().find_map(|&addr| listen(addr, backlog, 0).ok()) {
            Some(listener) => Ok(listener),
            None => listen(*last, backlog, others.len()),
        }
    }

    /// Accepts a connection, waiting for one, and says who called.
    ///
    /// Several tasks may accept from one listener at once; each connection goes to one of them.
    ///
    /// # Cancellation
    ///
    /// Loses no connection: what was not returned stays in the queue.
    ///
    /// # Errors
    ///
    /// Connections that were gone before they could be accepted are skipped. What is left mostly passes: the process
    /// or the system is out of descriptors (`EMFILE`, `ENFILE`) or memory (`ENOMEM`, `ENOBUFS`). So a server logs the
    /// error, sleeps for a moment (the next call would most likely fail at once), and accepts again.
    #[doc(alias = "asyncio.loop.sock_accept")]
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.io.read_with(accept_live).await?;
        Ok((TcpStream::from_async(Async::new_nonblocking(stream)?), peer))
    }

    /// The connections as a stream that does not end: `accept`, again and again. Any number may exist at once.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming::new(self)
    }

    /// The address on which the listener listens.
    ///
    /// # Errors
    ///
    /// Those of `getsockname`.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// How many routers a packet of accepted connections may pass (`IP_TTL`).
    ///
    /// # Errors
    ///
    /// Those of `getsockopt`.
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().ttl()
    }

    /// Sets how many routers a packet of accepted connections may pass (`IP_TTL`), from 1 to 255.
    ///
    /// # Errors
    ///
    /// Those of `setsockopt`.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().set_ttl(ttl)
    }

    /// Takes over a listener of std (made with other options, or inherited) and makes it non-blocking.
    ///
    /// # Errors
    ///
    /// Where no loop runs on this thread, or the system refuses to register the socket.
    pub fn from_std(listener: net::TcpListener) -> io::Result<TcpListener> {
        Ok(TcpListener { io: Async::new(listener)? })
    }

    /// Gives the socket back as a listener of std, which stays non-blocking: `set_nonblocking(false)` undoes that.
    ///
    /// # Errors
    ///
    /// Where the system refuses to deregister the socket.
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        self.io.into_inner()
    }
}

/// Accepts the next connection that still exists.
fn accept_live(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    loop {
        match socket::accept(listener) {
            // Says something about that connection, nothing about the listener; each one takes it off the queue.
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            result => return result,
        }
    }
}

fn listen(addr: SocketAddr, backlog: u32, others: usize) -> io::Result<TcpListener> {
    let bound = bound(addr, backlog).map_err(|e| AddressError::wrap("listen on", addr, others, e))?;
    Ok(TcpListener { io: Async::new_nonblocking(bound)? })
}

fn bound(addr: SocketAddr, backlog: u32) -> io::Result<net::TcpListener> {
    let socket = socket::tcp(addr)?;
    socket.set_reuse_address(true)?;
    socket.bind(&addr.into())?;
    socket.listen(backlog.try_into().unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get_ref().as_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get_ref().fmt(f)
    }
}
