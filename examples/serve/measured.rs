//! A body that counts what is sent of it, and logs the request when it is gone.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Method, Response, StatusCode, Uri, Version};
use http_body_util::{Either, Full};
use hyper::body::{Body, Bytes, Frame, SizeHint};
use kumihimo as asyncio;

use super::file_body::FileBody;
use super::log::Line;
use super::site::Site;
use super::terminal::complain;

/// What a response can carry.
pub(crate) type Content = Either<Full<Bytes>, FileBody>;

/// A response's content, and what the log will say about it.
pub(crate) struct Measured {
    content: Content,
    site: Arc<Site>,
    request: Asked,
    status: StatusCode,
    /// Bytes handed over so far.
    sent: u64,
    /// The file couldn't be read to its end.
    failed: bool,
}

/// What the log says about a request.
pub(crate) struct Asked {
    pub(crate) peer: SocketAddr,
    pub(crate) method: Method,
    pub(crate) target: Uri,
    pub(crate) version: Version,
    pub(crate) since: asyncio::Instant,
}

impl Measured {
    /// Puts the measuring around a response's content.
    pub(crate) fn wrap(response: Response<Content>, site: Arc<Site>, request: Asked) -> Response<Measured> {
        let status = response.status();
        response.map(|content| Measured { content, site, request, status, sent: 0, failed: false })
    }
}

impl Body for Measured {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.content).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => self.sent += frame.data_ref().map_or(0, |data| data.len() as u64),
            Some(Err(error)) => {
                self.failed = true;
                complain(format_args!("{}: {error}", self.request.target.path().escape_default()));
            }
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.content.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.content.size_hint()
    }
}

impl Drop for Measured {
    /// hyper drops a body when it has the last of it, or when the client is gone.
    fn drop(&mut self) {
        let complete = self.content.is_end_stream() && !self.failed;
        let stats = &self.site.stats;
        stats.requests.add(1);
        stats.bytes.add(self.sent);
        if self.failed || self.status.is_server_error() {
            stats.errors.add(1);
        } else if !complete {
            stats.broken_off.add(1);
        }
        self.site.log.write(|| Line {
            peer: self.request.peer,
            method: self.request.method.clone(),
            target: self.request.target.clone(),
            version: self.request.version,
            status: self.status,
            bytes: self.sent,
            took: self.request.since.elapsed(),
            complete,
        });
    }
}

/// A body of known bytes.
pub(crate) fn full(bytes: impl Into<Bytes>) -> Content {
    Either::Left(Full::new(bytes.into()))
}
