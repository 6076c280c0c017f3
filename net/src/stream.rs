//! Reading and writing, for any kind of stream socket and any owner of one (a stream, or a half of it).
//!
//! The functions work on a registered socket and a [`Leaf`]. Poll-style traits keep the leaf in the stream, because
//! it must outlive one call; the `async` methods have one of their own, so that a call that was dropped half-way
//! leaves nothing behind.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use kumihimo_context::Leaf;
use kumihimo_reactor::Async;

use crate::socket;

/// Polls one receive into `room` bytes. A short one has emptied the socket, which saves the call that would say so.
///
/// Not the end of the stream, though: that stays readable.
#[inline]
fn poll_receive<S: AsFd>(
    io: &Async<S>,
    leaf: &mut Leaf,
    cx: &mut Context<'_>,
    room: usize,
    op: impl FnMut(&S) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    if room == 0 {
        return Poll::Ready(Ok(0));
    }
    io.poll_read_drained(leaf, cx, op, |&n| 0 < n && n < room)
}

/// Polls one send of `len` bytes. A short one has filled the socket.
#[inline]
fn poll_transmit<S: AsFd>(
    io: &Async<S>,
    leaf: &mut Leaf,
    cx: &mut Context<'_>,
    len: usize,
    op: impl FnMut(&S) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    if len == 0 {
        return Poll::Ready(Ok(0));
    }
    io.poll_write_drained(leaf, cx, op, |&n| n < len)
}

#[inline]
pub(crate) fn poll_read<S: AsFd>(
    io: &Async<S>,
    leaf: &mut Leaf,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>> {
    poll_receive(io, leaf, cx, buf.len(), |s| socket::recv(s, buf))
}

/// As [`poll_read`]; that many bytes at the start of `buf` are initialised then.
#[cfg(feature = "hyper")]
#[inline]
pub(crate) fn poll_read_uninit<S: AsFd>(
    io: &Async<S>,
    leaf: &mut Leaf,
    cx: &mut Context<'_>,
    buf: &mut [std::mem::MaybeUninit<u8>],
) -> Poll<io::Result<usize>> {
    poll_receive(io, leaf, cx, buf.len(), |s| socket::recv_uninit(s, buf))
}

pub(crate) fn poll_read_vectored<S: AsFd>(
    io: &Async<S>,
    leaf: &mut Leaf,
    cx: &mut Context<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> Poll<io::Result<usize>> {
    let room = socket::total_len(bufs.iter().map(|buf| buf.len()));
    poll_receive(io, leaf, cx, room, |s| socket::recv_vectored(s, bufs))
}

#[inline]
pub(crate) fn poll_write<S: AsFd>(
    io: &Async<S>,
    leaf: &mut Leaf,
    cx: &mut Context<'_>,
    buf: &[u8],
) -> Poll<io::Result<usize>> {
    poll_transmit(io, leaf, cx, buf.len(), |s| socket::send(s, buf))
}

#[inline]
pub(crate) fn poll_write_vectored<S: AsFd>(
    io: &Async<S>,
    leaf: &mut Leaf,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    let len = socket::total_len(bufs.iter().map(|buf| buf.len()));
    poll_transmit(io, leaf, cx, len, |s| socket::send_vectored(s, bufs))
}

pub(crate) fn close_write<S: AsFd>(io: &Async<S>) -> io::Result<()> {
    socket::shutdown(io.get_ref(), Shutdown::Write)
}

pub(crate) async fn read<S: AsFd>(io: &Async<S>, buf: &mut [u8]) -> io::Result<usize> {
    let mut leaf = Leaf::new();
    poll_fn(|cx| poll_read(io, &mut leaf, cx, buf)).await
}

pub(crate) async fn read_exact<S: AsFd>(io: &Async<S>, buf: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buf.len() {
        match read(io, &mut buf[filled..]).await? {
            0 => return Err(ended_early(filled, buf.len())),
            n => filled += n,
        }
    }
    Ok(())
}

pub(crate) async fn read_vectored<S: AsFd>(io: &Async<S>, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    let mut leaf = Leaf::new();
    poll_fn(|cx| poll_read_vectored(io, &mut leaf, cx, bufs)).await
}

pub(crate) async fn peek<S: AsFd>(io: &Async<S>, buf: &mut [u8]) -> io::Result<usize> {
    if buf.is_empty() {
        return Ok(0);
    }
    let mut leaf = Leaf::new();
    poll_fn(|cx| io.poll_read_with(&mut leaf, cx, |s| socket::peek(s, buf))).await
}

pub(crate) async fn write<S: AsFd>(io: &Async<S>, buf: &[u8]) -> io::Result<usize> {
    let mut leaf = Leaf::new();
    poll_fn(|cx| poll_write(io, &mut leaf, cx, buf)).await
}

pub(crate) async fn write_all<S: AsFd>(io: &Async<S>, buf: &[u8]) -> io::Result<()> {
    let mut left = buf;
    while !left.is_empty() {
        match write(io, left).await? {
            0 => return Err(took_nothing(buf.len() - left.len(), buf.len())),
            n => left = &left[n..],
        }
    }
    Ok(())
}

pub(crate) async fn write_vectored<S: AsFd>(io: &Async<S>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut leaf = Leaf::new();
    poll_fn(|cx| poll_write_vectored(io, &mut leaf, cx, bufs)).await
}

#[cold]
fn ended_early(got: usize, wanted: usize) -> io::Error {
    let message = format!("the peer closed the connection after {got} of {wanted} bytes");
    io::Error::new(io::ErrorKind::UnexpectedEof, message)
}

#[cold]
fn took_nothing(sent: usize, wanted: usize) -> io::Error {
    let message = format!("the socket took {sent} of {wanted} bytes and then no more");
    io::Error::new(io::ErrorKind::WriteZero, message)
}

/// Gives a type with a registered socket `io` and a leaf for reading its reading methods and `AsyncRead`.
macro_rules! impl_read {
    ([$($generics:tt)*] $ty:ty, $leaf:ident) => {
        impl<$($generics)*> $ty {
            /// Reads what has arrived, at most `buf.len()` bytes, waiting for at least one; 0 is the end of the stream.
            ///
            /// # Cancellation
            ///
            /// Loses nothing: what was not returned stays in the socket.
            ///
            /// # Errors
            ///
            /// Those of `recv`: `ConnectionReset` where the peer broke the connection off.
            pub async fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                crate::stream::read(&self.io, buf).await
            }

            /// Reads until `buf` is full.
            ///
            /// # Cancellation
            ///
            /// Loses what had been read into `buf`.
            ///
            /// # Errors
            ///
            /// `UnexpectedEof` where the stream ends first; else as [`read`](Self::read).
            pub async fn read_exact(&mut self, buf: &mut [u8]) -> std::io::Result<()> {
                crate::stream::read_exact(&self.io, buf).await
            }

            /// Reads what has arrived into several buffers, filling each before the next; 0 is the end of the stream.
            ///
            /// # Cancellation
            ///
            /// Loses nothing.
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read).
            pub async fn read_vectored(
                &mut self,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::io::Result<usize> {
                crate::stream::read_vectored(&self.io, bufs).await
            }

            /// Reads what has arrived and leaves it in the socket, for the next read to get again.
            ///
            /// Waits for at least one byte; 0 is the end of the stream.
            ///
            /// # Cancellation
            ///
            /// Loses nothing.
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read).
            pub async fn peek(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
                crate::stream::peek(&self.io, buf).await
            }
        }

        impl<$($generics)*> futures_io::AsyncRead for $ty {
            #[inline]
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut [u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let this = self.get_mut();
                crate::stream::poll_read(&this.io, &mut this.$leaf, cx, buf)
            }

            #[inline]
            fn poll_read_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &mut [std::io::IoSliceMut<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let this = self.get_mut();
                crate::stream::poll_read_vectored(&this.io, &mut this.$leaf, cx, bufs)
            }
        }
    };
}

/// Gives a type with a registered socket `io` and a leaf for writing its writing methods and `AsyncWrite`.
macro_rules! impl_write {
    ([$($generics:tt)*] $ty:ty, $leaf:ident) => {
        impl<$($generics)*> $ty {
            /// Writes as much of `buf` as the socket takes, waiting until it takes some.
            ///
            /// # Cancellation
            ///
            /// Either the returned number of bytes was written, or none.
            ///
            /// # Errors
            ///
            /// Those of `send`: `BrokenPipe` or `ConnectionReset` where the peer has gone.
            pub async fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
                crate::stream::write(&self.io, buf).await
            }

            /// Writes all of `buf`.
            ///
            /// # Cancellation
            ///
            /// Some of `buf` may have been written; nobody knows how much.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            pub async fn write_all(&mut self, buf: &[u8]) -> std::io::Result<()> {
                crate::stream::write_all(&self.io, buf).await
            }

            /// Writes as much of several buffers, one after the other, as the socket takes in one call.
            ///
            /// # Cancellation
            ///
            /// As [`write`](Self::write).
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            pub async fn write_vectored(&mut self, bufs: &[std::io::IoSlice<'_>]) -> std::io::Result<usize> {
                crate::stream::write_vectored(&self.io, bufs).await
            }
        }

        impl<$($generics)*> futures_io::AsyncWrite for $ty {
            #[inline]
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let this = self.get_mut();
                crate::stream::poll_write(&this.io, &mut this.$leaf, cx, buf)
            }

            #[inline]
            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                let this = self.get_mut();
                crate::stream::poll_write_vectored(&this.io, &mut this.$leaf, cx, bufs)
            }

            /// Nothing is buffered here.
            #[inline]
            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(Ok(()))
            }

            /// Shuts down writing, so that the peer reads the end of the stream.
            fn poll_close(
                self: std::pin::Pin<&mut Self>,
                _cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                std::task::Poll::Ready(crate::stream::close_write(&self.io))
            }
        }
    };
}

pub(crate) use {impl_read, impl_write};
