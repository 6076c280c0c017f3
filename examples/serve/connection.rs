//! One client, from its first byte to its last.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use kumihimo as asyncio;
use kumihimo::hyper::{HyperExecutor, HyperTimer};
use kumihimo::net::TcpStream;

use super::args::Options;
use super::first::first;
use super::site::Site;
use super::stop::Stop;
use super::transport::{Progress, Protocol, Transport};

/// The most that a request's header may take; hyper answers 431 to more.
const MOST_HEADER: usize = 16 * 1024;

/// Requests that one HTTP/2 connection may run at once.
const MOST_STREAMS: u32 = 100;

/// What all connections are served with.
pub(crate) struct Server {
    pub(crate) site: Arc<Site>,
    pub(crate) options: Options,
    /// Set when connections are to finish.
    pub(crate) stop: Stop,
    http1: http1::Builder,
    http2: http2::Builder<HyperExecutor>,
}

impl Server {
    pub(crate) fn new(site: Arc<Site>, options: Options) -> Server {
        let mut http1 = http1::Builder::new();
        http1.timer(HyperTimer).header_read_timeout(options.header_timeout).max_header_size(MOST_HEADER);
        let mut http2 = http2::Builder::new(HyperExecutor);
        http2.timer(HyperTimer).max_header_list_size(MOST_HEADER as u32).max_concurrent_streams(MOST_STREAMS);
        Server { site, options, stop: Stop::default(), http1, http2 }
    }

    /// Serves one connection until it ends, by whichever side's wish.
    pub(crate) async fn serve(self: Arc<Server>, stream: TcpStream, peer: SocketAddr) {
        self.site.stats.connections.add(1);
        // Small answers shouldn't wait for more to send; where it can't be set they are merely later.
        let _ = stream.set_nodelay(true);
        let Some((protocol, transport)) = self.first_bytes(stream).await else {
            return;
        };
        let progress = transport.progress();
        let ended = match protocol {
            Protocol::Http1 => {
                let service = service_fn(|request| Arc::clone(&self.site).respond(peer, request));
                let mut connection = self.http1.serve_connection(transport, service);
                self.drive(Pin::new(&mut connection), |it| it.graceful_shutdown(), progress).await
            }
            Protocol::Http2 => {
                let site = Arc::clone(&self.site);
                let service = service_fn(move |request| Arc::clone(&site).respond(peer, request));
                let mut connection = pin!(self.http2.serve_connection(transport, service));
                self.drive(connection.as_mut(), |it| it.graceful_shutdown(), progress).await
            }
        };
        match ended {
            Err(End::Http(error)) if error.is_parse() || error.is_timeout() => self.site.stats.refused.add(1),
            // A client that left. If that cost it an answer, the answer has been counted as broken off.
            Ok(()) | Err(_) => {}
        }
    }

    /// Waits for the first bytes, as long as for a whole header.
    async fn first_bytes(&self, stream: TcpStream) -> Option<(Protocol, Transport)> {
        let arrive = async { Transport::open(stream).await.ok().flatten() };
        let too_late = async {
            asyncio::sleep(self.options.header_timeout).await;
            self.site.stats.refused.add(1);
            None
        };
        let stopped = async {
            self.stop.wait().await;
            None
        };
        first(arrive, first(too_late, stopped)).await
    }

    /// Runs hyper's side of a connection; `finish` tells it to end after the running requests.
    async fn drive<C>(
        &self,
        mut connection: Pin<&mut C>,
        finish: fn(Pin<&mut C>),
        progress: Progress,
    ) -> Result<(), End>
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let mut stop = pin!(self.stop.wait());
        let mut stopped = false;
        let mut look = pin!(asyncio::sleep(self.options.idle_timeout));
        poll_fn(|cx| {
            if !stopped && stop.as_mut().poll(cx).is_ready() {
                stopped = true;
                finish(connection.as_mut());
            }
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended.map_err(End::Http));
            }
            // Looking once in a while costs less than setting a timer anew for every byte.
            while look.as_mut().poll(cx).is_ready() {
                if !progress.take() {
                    return Poll::Ready(Err(End::Idle));
                }
                look.set(asyncio::sleep(self.options.idle_timeout));
            }
            Poll::Pending
        })
        .await
    }
}

/// Why a connection ended early.
enum End {
    Http(hyper::Error),
    /// Nothing was sent for too long: the client is gone, or asks for nothing.
    Idle,
}
