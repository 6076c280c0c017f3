//! What hyper needs from a runtime: feature `hyper`.
//!
//! [`TcpStream`](crate::net::TcpStream) implements hyper's `rt::Read` and `rt::Write`, [`HyperExecutor`] runs hyper's
//! tasks, [`HyperTimer`] its time-outs. A server is then a task per connection; `examples/serve` is one in full.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http_body_util::{BodyExt, Empty, Full};
//! use hyper::body::{Bytes, Incoming};
//! use hyper::service::service_fn;
//! use hyper::{Request, Response};
//! use kumihimo as asyncio;
//! use kumihimo::hyper::{HyperExecutor, HyperTimer};
//! use kumihimo::net::{TcpListener, TcpStream};
//!
//! async fn greet(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
//!     Ok(Response::new(Full::from("hello")))
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! asyncio::run(async {
//!     let listener = TcpListener::bind("127.0.0.1:0").await?;
//!     let address = listener.local_addr()?;
//!     let server = asyncio::create_task(async move {
//!         while let Ok((stream, _)) = listener.accept().await {
//!             let mut http = hyper::server::conn::http2::Builder::new(HyperExecutor);
//!             drop(asyncio::create_task(http.timer(HyperTimer).serve_connection(stream, service_fn(greet))));
//!         }
//!     });
//!
//!     let stream = TcpStream::connect(address).await?;
//!     let (mut client, connection) = hyper::client::conn::http2::handshake(HyperExecutor, stream).await?;
//!     drop(asyncio::create_task(connection));
//!     let request = Request::get(format!("http://{address}/")).body(Empty::<Bytes>::new())?;
//!     let answer = client.send_request(request).await?.collect().await?;
//!     assert_eq!(answer.to_bytes(), "hello");
//!     server.cancel();
//!     Ok(())
//! })
//! # }
//! ```

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll};
use std::time::{self, Duration};

use hyper::rt::{self, Executor, Timer};
use kumihimo_executor::create_task;
use kumihimo_reactor::{Instant, Sleep, sleep, sleep_until};

/// Runs hyper's futures as tasks of the running loop.
///
/// # Panics
///
/// hyper hands over its futures while it is polled; that panics, as [`create_task`] does, where no
/// loop runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperExecutor;

impl<F> Executor<F> for HyperExecutor
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, future: F) {
        // Detached: hyper keeps in touch with what it starts by channels of its own.
        drop(create_task(future));
    }
}

/// Gives hyper the clock and the timers of the running loop.
///
/// hyper's time-outs (for a request's header, say) work only where its builder is given a timer. They follow a
/// [mock clock](crate::clock), too.
#[derive(Clone, Copy, Debug, Default)]
pub struct HyperTimer;

impl Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(sleep(duration)))
    }

    fn sleep_until(&self, deadline: time::Instant) -> Pin<Box<dyn rt::Sleep>> {
        Box::pin(HyperSleep(sleep_until(ours(deadline))))
    }

    fn now(&self) -> time::Instant {
        theirs(Instant::now())
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn rt::Sleep>>, deadline: time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<HyperSleep>() {
            Some(sleep) => sleep.get_mut().0.reset(ours(deadline)),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}

/// A sleep that hyper may hold.
struct HyperSleep(Sleep);

impl rt::Sleep for HyperSleep {}

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

/// One moment on both clocks; all conversions count from it, so they are exact both ways, and hyper's idea of the time
/// goes as the loop's does.
fn anchor() -> (time::Instant, Instant) {
    static ANCHOR: OnceLock<(time::Instant, Instant)> = OnceLock::new();
    *ANCHOR.get_or_init(|| (time::Instant::now(), Instant::now()))
}

/// hyper's instant on the loop's clock.
fn ours(theirs: time::Instant) -> Instant {
    let (their_anchor, our_anchor) = anchor();
    match theirs.checked_duration_since(their_anchor) {
        Some(later) => our_anchor.saturating_add(later),
        // Before the loop's clock began is long due.
        None => our_anchor.checked_sub(their_anchor - theirs).unwrap_or(our_anchor),
    }
}

/// The loop's instant on hyper's clock.
fn theirs(ours: Instant) -> time::Instant {
    let (their_anchor, our_anchor) = anchor();
    if ours >= our_anchor {
        their_anchor + (ours - our_anchor)
    } else {
        their_anchor.checked_sub(our_anchor - ours).unwrap_or(their_anchor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_convert_both_ways() {
        let (their_anchor, our_anchor) = anchor();
        for offset in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1 << 30)] {
            assert_eq!(ours(their_anchor + offset), our_anchor + offset);
            assert_eq!(theirs(our_anchor + offset), their_anchor + offset);
        }
        if let Some(earlier) = our_anchor.checked_sub(Duration::from_nanos(5)) {
            assert_eq!(ours(theirs(earlier)), earlier);
        }
    }

    #[test]
    fn hyper_may_send_and_share_sleeps() {
        fn send_and_sync<T: Send + Sync>() {}
        send_and_sync::<HyperSleep>();
    }
}
