//! The connections of a listener, as a stream.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::tcp_listener::TcpListener;
use crate::tcp_stream::TcpStream;

/// An `accept` that has begun. Boxed, so that the stream can be moved while it waits.
type Accepting<'a> = Pin<Box<dyn Future<Output = io::Result<(TcpStream, SocketAddr)>> + Send + 'a>>;

/// The connections of a listener, made by [`TcpListener::incoming`]. It does not end; errors are those of
/// [`accept`](TcpListener::accept), and the stream goes on after them.
#[must_use = "streams do nothing unless polled"]
pub struct Incoming<'a> {
    /// Where the connections come from.
    listener: &'a TcpListener,
    /// The one we wait for; `None` between items.
    accepting: Option<Accepting<'a>>,
}

impl<'a> Incoming<'a> {
    pub(crate) fn new(listener: &'a TcpListener) -> Incoming<'a> {
        Incoming { listener, accepting: None }
    }
}

impl Stream for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<TcpStream>>> {
        let this = self.get_mut();
        let listener = this.listener;
        let accepting = this.accepting.get_or_insert_with(|| Box::pin(listener.accept()));
        let accepted = ready!(accepting.as_mut().poll(cx));
        this.accepting = None;
        Poll::Ready(Some(accepted.map(|(stream, _)| stream)))
    }
}

impl fmt::Debug for Incoming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Incoming").field(self.listener).finish()
    }
}
