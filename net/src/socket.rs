//! The system calls on sockets, for any kind of socket.

use std::io::{self, IoSlice, IoSliceMut};
#[cfg(feature = "hyper")]
use std::mem::MaybeUninit;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;

use rustix::net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::{Domain, Protocol, Socket, Type};

/// How many buffers one call takes on every system (POSIX demands 16; Linux, the BSDs and macOS take 1024).
const MAX_SLICES: usize = 1024;

/// Writing to a connection that the peer has closed is an error, not a signal. Where the flag does not exist,
/// `no_sigpipe` has told the socket once and for all.
#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::empty();

/// Makes a socket report a closed peer as an error instead of a signal, where sends have no flag for it.
#[cfg(target_vendor = "apple")]
pub(crate) fn no_sigpipe(socket: &impl AsFd) -> io::Result<()> {
    socket2::SockRef::from(socket).set_nosigpipe(true)
}

#[cfg(not(target_vendor = "apple"))]
pub(crate) fn no_sigpipe(_socket: &impl AsFd) -> io::Result<()> {
    Ok(())
}

/// A new TCP socket of the family of `addr`, non-blocking.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn tcp(addr: SocketAddr) -> io::Result<Socket> {
    Socket::new(Domain::for_address(addr), Type::STREAM.nonblocking(), Some(Protocol::TCP))
}

#[cfg(target_vendor = "apple")]
pub(crate) fn tcp(addr: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    no_sigpipe(&socket)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

#[inline]
pub(crate) fn recv(socket: &impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    let (received, _) = rustix::net::recv(socket, buf, RecvFlags::empty())?;
    Ok(received)
}

/// As [`recv`]; that many bytes at the start of `buf` are initialised then.
#[cfg(feature = "hyper")]
#[inline]
pub(crate) fn recv_uninit(socket: &impl AsFd, buf: &mut [MaybeUninit<u8>]) -> io::Result<usize> {
    let ((received, _), _) = rustix::net::recv(socket, buf, RecvFlags::empty())?;
    Ok(received.len())
}

#[inline]
pub(crate) fn peek(socket: &impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    let (received, _) = rustix::net::recv(socket, buf, RecvFlags::PEEK)?;
    Ok(received)
}

pub(crate) fn recv_vectored(socket: &impl AsFd, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let taken = bufs.len().min(MAX_SLICES);
    let control = &mut RecvAncillaryBuffer::default();
    Ok(rustix::net::recvmsg(socket, &mut bufs[..taken], control, RecvFlags::empty())?.bytes)
}

#[inline]
pub(crate) fn send(socket: &impl AsFd, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::net::send(socket, buf, SEND)?)
}

pub(crate) fn send_vectored(socket: &impl AsFd, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let taken = bufs.len().min(MAX_SLICES);
    Ok(rustix::net::sendmsg(socket, &bufs[..taken], &mut SendAncillaryBuffer::default(), SEND)?)
}

/// What a vectored send can take in one call.
pub(crate) fn total_len(lens: impl Iterator<Item = usize>) -> usize {
    lens.take(MAX_SLICES).fold(0, usize::saturating_add)
}

/// Shuts down; a connection that the peer has already taken down counts as shut down.
pub(crate) fn shutdown(socket: &impl AsFd, how: net::Shutdown) -> io::Result<()> {
    let how = match how {
        net::Shutdown::Read => rustix::net::Shutdown::Read,
        net::Shutdown::Write => rustix::net::Shutdown::Write,
        net::Shutdown::Both => rustix::net::Shutdown::Both,
    };
    match rustix::net::shutdown(socket, how) {
        Ok(()) | Err(rustix::io::Errno::NOTCONN) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Accepts one connection as a non-blocking socket, with one system call.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    use rustix::net::SocketFlags;

    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let (socket, peer) = rustix::net::acceptfrom_with(listener, flags)?;
    // Without an address, the peer was gone before it was accepted.
    let peer =
        peer.and_then(|peer| SocketAddr::try_from(peer).ok()).ok_or(io::ErrorKind::ConnectionAborted)?;
    Ok((socket.into(), peer))
}

#[cfg(target_vendor = "apple")]
pub(crate) fn accept(listener: &net::TcpListener) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (stream, peer) = listener.accept()?;
    no_sigpipe(&stream)?;
    stream.set_nonblocking(true)?;
    Ok((stream, peer))
}
