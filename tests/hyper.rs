//! hyper's time on kumihimo's clock.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::rt::Timer;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use kumihimo as asyncio;
use kumihimo::hyper::HyperTimer;
use kumihimo::net::{TcpListener, TcpStream};

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn time_outs_follow_the_mock_clock() {
    let start = Instant::now();
    asyncio::run(async {
        asyncio::clock::pause();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut http = http1::Builder::new();
        http.timer(HyperTimer).header_read_timeout(HOUR);
        let began = asyncio::Instant::now();
        let error = http.serve_connection(stream, service_fn(answer)).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(began.elapsed() >= HOUR);
    });
    assert!(start.elapsed() < HOUR / 10);
}

async fn answer(_: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Infallible> {
    Ok(Response::new(Empty::new()))
}

#[test]
fn a_sleep_can_be_moved() {
    asyncio::run(async {
        asyncio::clock::pause();
        let (timer, began) = (HyperTimer, asyncio::Instant::now());
        let mut sleep = timer.sleep(HOUR);
        timer.reset(&mut sleep, timer.now() + 2 * HOUR);
        sleep.as_mut().await;
        assert!(began.elapsed() >= 2 * HOUR);
        // An earlier time, and one that is over.
        timer.reset(&mut sleep, timer.now() + HOUR);
        sleep.as_mut().await;
        timer.reset(&mut sleep, timer.now() - HOUR);
        sleep.as_mut().await;
        timer.sleep_until(timer.now()).await;
        assert!(began.elapsed() >= 3 * HOUR && began.elapsed() < 4 * HOUR);
    });
}
