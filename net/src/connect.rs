//! Connecting, address by address.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::{self, SocketAddr};

use kumihimo_reactor::Async;
use rustix::io::Errno;

use crate::addr::{Target, ToSocketAddrs};
use crate::resolve::resolve;
use crate::socket;
use crate::tcp_stream::TcpStream;

pub(crate) async fn connect(addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
    match addr.to_target()? {
        Target::One(addr) => {
            connect_one(addr).await.map_err(|e| AddressError::wrap("connect to", addr, 0, e))
        }
        Target::Many(addrs) => connect_any(&addrs).await,
        Target::Host(host, port) => connect_any(&resolve((host, port)).await?).await,
    }
}

async fn connect_any(addrs: &[SocketAddr]) -> io::Result<TcpStream> {
    let (last, others) = addrs.split_last().expect("no list of addresses is empty");
    for &addr in others {
        if let Ok(stream) = connect_one(addr).await {
            return Ok(stream);
        }
    }
    connect_one(*last).await.map_err(|e| AddressError::wrap("connect to", *last, others.len(), e))
}

async fn connect_one(addr: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket::tcp(addr)?;
    let in_progress = match socket.connect(&addr.into()) {
        Ok(()) => false,
        Err(e) if in_progress(&e) => true,
        Err(e) => return Err(e),
    };
    // Registered only now: an unconnected socket counts as hung up, which would be taken for the answer.
    let io = Async::new_nonblocking(net::TcpStream::from(socket))?;
    if in_progress {
        io.write_with(connected).await?;
    }
    Ok(TcpStream::from_async(io))
}

/// Interrupted by a signal, the attempt goes on as well.
fn in_progress(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INPROGRESS | Errno::INTR))
}

/// The outcome of an attempt that was in progress; `WouldBlock` if it still is.
fn connected(socket: &net::TcpStream) -> io::Result<()> {
    if let Some(error) = socket.take_error()? {
        return Err(error);
    }
    match socket.peer_addr() {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotConnected => Err(io::ErrorKind::WouldBlock.into()),
        Err(e) => Err(e),
    }
}

/// What went wrong with an address.
#[derive(Debug)]
pub(crate) struct AddressError {
    /// What we tried to do to the address.
    action: &'static str,
    /// The address that `source` is about.
    addr: SocketAddr,
    /// How many addresses had failed before.
    others: usize,
    /// What the system said.
    source: io::Error,
}

impl AddressError {
    pub(crate) fn wrap(
        action: &'static str,
        addr: SocketAddr,
        others: usize,
        source: io::Error,
    ) -> io::Error {
        io::Error::new(source.kind(), AddressError { action, addr, others, source })
    }
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {} {}: {}", self.action, self.addr, self.source)?;
        match self.others {
            0 => Ok(()),
            1 => f.write_str(" (and the address tried before failed too)"),
            n => write!(f, " (and the {n} addresses tried before failed too)"),
        }
    }
}

impl Error for AddressError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
