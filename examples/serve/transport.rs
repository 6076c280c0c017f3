//! A connection's bytes as hyper sees them.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::io::AsyncRead;
use hyper::rt::{Read, ReadBufCursor, Write};
use kumihimo as asyncio;
use kumihimo::net::TcpStream;

/// What an HTTP/2 client sends first.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The two that one port speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http1,
    Http2,
}

/// A stream that first gives again what was read to find out its protocol, and that notes when something is sent.
pub(crate) struct Transport {
    stream: TcpStream,
    /// What hyper has still to see; at most a preface.
    replay: Vec<u8>,
    progress: Progress,
    /// Once we have said all.
    linger: Option<Linger>,
}

/// Tells whether something was sent since the last question.
#[derive(Clone, Default)]
pub(crate) struct Progress(Arc<AtomicBool>);

impl Progress {
    /// `true` if something was sent since the last call. Asked and noted by one task, hence relaxed.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    fn note(&self, sent: &Poll<io::Result<usize>>) {
        if matches!(sent, Poll::Ready(Ok(1..))) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

impl Transport {
    /// Waits for the first bytes and finds out what they begin; `None` if the client leaves without one.
    ///
    /// # Errors
    ///
    /// Where the connection breaks.
    pub(crate) async fn open(mut stream: TcpStream) -> io::Result<Option<(Protocol, Transport)>> {
        let mut seen = [0; PREFACE.len()];
        let mut length = 0;
        let protocol = loop {
            let read = stream.read(&mut seen[length..]).await?;
            length += read;
            if !PREFACE.starts_with(&seen[..length]) {
                break Protocol::Http1;
            } else if length == PREFACE.len() {
                break Protocol::Http2;
            } else if read == 0 {
                return Ok(None);
            }
        };
        let replay = seen[..length].to_vec();
        Ok(Some((protocol, Transport { stream, replay, progress: Progress::default(), linger: None })))
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

/// The end of a connection that we close.
///
/// To close a socket with bytes unread resets the connection, and the client may lose our last words: the refusal of a
/// header that it still sends, the end of a file whose receipt it still reports. So what comes is read, and thrown away,
/// until the client closes too; but not for ever.
struct Linger {
    /// How long it may take.
    end: asyncio::future::Sleep,
    /// Bytes that may still come.
    most: usize,
}

impl Linger {
    const TIME: Duration = Duration::from_secs(1);
    const BYTES: usize = 4 << 20;

    fn new() -> Linger {
        Linger { end: asyncio::sleep(Linger::TIME), most: Linger::BYTES }
    }

    fn poll(&mut self, stream: &mut TcpStream, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [0; 4096];
        while self.most > 0 {
            match AsyncRead::poll_read(Pin::new(&mut *stream), cx, &mut bytes) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(()),
                Poll::Ready(Ok(read)) => self.most = self.most.saturating_sub(read),
                Poll::Pending => return Pin::new(&mut self.end).poll(cx),
            }
        }
        Poll::Ready(())
    }
}

impl Read for Transport {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.replay.is_empty() {
            return Read::poll_read(Pin::new(&mut self.stream), cx, buf);
        }
        let count = self.replay.len().min(buf.remaining());
        buf.put_slice(&self.replay[..count]);
        self.replay.drain(..count);
        Poll::Ready(Ok(()))
    }
}

impl Write for Transport {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let sent = Write::poll_write(Pin::new(&mut self.stream), cx, buf);
        self.progress.note(&sent);
        sent
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Write::poll_flush(Pin::new(&mut self.stream), cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let transport = &mut *self;
        if transport.linger.is_none() {
            ready!(Write::poll_shutdown(Pin::new(&mut transport.stream), cx))?;
        }
        transport.linger.get_or_insert_with(Linger::new).poll(&mut transport.stream, cx).map(Ok)
    }

    fn is_write_vectored(&self) -> bool {
        Write::is_write_vectored(&self.stream)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Write::poll_write_vectored(Pin::new(&mut self.stream), cx, bufs);
        self.progress.note(&sent);
        sent
    }
}
