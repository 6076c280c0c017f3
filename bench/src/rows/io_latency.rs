//! How long a small request waits: alone, beside a handler that blocks, beside tasks that compute.
//!
//! The client that measures is a plain thread with a blocking socket. Two workers in every one of these rows.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures_channel::oneshot;

use super::echo::start_server;
use super::{Measured, Row};
use crate::countdown::Countdown;
use crate::measure::{Metric, Plan, percentiles, spin};
use crate::runtimes::{Listener, Runtime, Stream};

/// How long the client measures.
const PERIOD: Duration = Duration::from_secs(3);
/// Requests before it begins to count.
const UNCOUNTED: usize = 20;
/// Bytes of a message.
const MESSAGE: usize = 64;
/// How long the blocking handler holds its thread for a message.
const STALL: Duration = Duration::from_millis(100);
/// CPU between two yields of a computing task.
const CHUNK: Duration = Duration::from_millis(5);

/// Tells the disturbance to end.
static STOP: AtomicBool = AtomicBool::new(false);
/// Counts the computing tasks that have not ended yet.
static COMPUTING: Countdown = Countdown::new();

/// What all rows here measure.
const METRICS: &[Metric] = &[Metric::P50, Metric::P99, Metric::P999];

/// io_alone
pub(crate) struct Alone;

impl Row for Alone {
    const NAME: &'static str = "io_alone";
    const OPERATION: &'static str = "latency";
    const WORK: &'static str =
        "a 64-byte echo (client: a plain thread, every 0.2 ms) and nothing else; 2 workers";
    const METRICS: &'static [Metric] = METRICS;
    const WORKERS: Option<usize> = Some(2);
    const MOST_ROUNDS: usize = 3;
    const WARM_UP: bool = false;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        probe(rt, Duration::from_micros(200), plan).await
    }
}

/// io_stall
pub(crate) struct Stall;

impl Row for Stall {
    const NAME: &'static str = "io_stall";
    const OPERATION: &'static str = "latency";
    const WORK: &'static str =
        "the echo (every 0.7 ms) while another connection's handler blocks its thread for 100 ms per message";
    const METRICS: &'static [Metric] = METRICS;
    const WORKERS: Option<usize> = Some(2);
    const MOST_ROUNDS: usize = 3;
    const WARM_UP: bool = false;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        STOP.store(false, Ordering::Relaxed);
        let (address, handler) = start_blocking_handler(rt)?;
        let client = start_stalling_client(address)?;
        let sample = probe(rt, Duration::from_micros(700), plan).await;
        STOP.store(true, Ordering::Relaxed);
        handler.await?;
        client.join().expect("the stalling client does not panic")?;
        sample
    }
}

/// io_under_cpu_1
pub(crate) struct UnderCpu1;

impl Row for UnderCpu1 {
    const NAME: &'static str = "io_under_cpu_1";
    const OPERATION: &'static str = "latency";
    const WORK: &'static str = "the echo (every 0.2 ms) while one task runs 5 ms of CPU between yields";
    const METRICS: &'static [Metric] = METRICS;
    const WORKERS: Option<usize> = Some(2);
    const MOST_ROUNDS: usize = 3;
    const WARM_UP: bool = false;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        under_cpu(rt, 1, plan).await
    }
}

/// io_under_cpu_2
pub(crate) struct UnderCpu2;

impl Row for UnderCpu2 {
    const NAME: &'static str = "io_under_cpu_2";
    const OPERATION: &'static str = "latency";
    const WORK: &'static str = "the same while two tasks do";
    const METRICS: &'static [Metric] = METRICS;
    const WORKERS: Option<usize> = Some(2);
    const MOST_ROUNDS: usize = 3;
    const WARM_UP: bool = false;

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        under_cpu(rt, 2, plan).await
    }
}

/// Measures while so many tasks compute.
async fn under_cpu<R: Runtime>(rt: R, tasks: usize, plan: Plan) -> Measured {
    STOP.store(false, Ordering::Relaxed);
    let ended = COMPUTING.arm(tasks);
    for _ in 0..tasks {
        rt.detach(async move {
            while !STOP.load(Ordering::Relaxed) {
                spin(CHUNK);
                rt.yield_now().await;
            }
            COMPUTING.tick();
        });
    }
    let sample = probe(rt, Duration::from_micros(200), plan).await;
    STOP.store(true, Ordering::Relaxed);
    ended.await?;
    sample
}

/// Starts an echo server in `rt` and times requests to it from a plain thread, `pause` apart.
async fn probe<R: Runtime>(rt: R, pause: Duration, plan: Plan) -> Measured {
    let (address, server) = start_server(rt, 1, 1024)?;
    let (result, latencies) = oneshot::channel();
    let client = thread::spawn(move || {
        let _ = result.send(time_requests(address, pause, plan.period(PERIOD)));
    });
    let latencies = latencies.await??;
    client.join().expect("the client has sent its result");
    server.await?;
    Ok(percentiles(latencies))
}

/// The measuring client: nanoseconds of each round trip.
fn time_requests(address: SocketAddr, pause: Duration, period: Duration) -> io::Result<Vec<u64>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut buffer = [7; MESSAGE];
    let mut latencies = Vec::with_capacity(1 << 16);
    for _ in 0..UNCOUNTED {
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
        thread::sleep(pause);
    }
    let end = Instant::now() + period;
    while Instant::now() < end {
        let start = Instant::now();
        stream.write_all(&buffer)?;
        stream.read_exact(&mut buffer)?;
        latencies.push(start.elapsed().as_nanos() as u64);
        thread::sleep(pause);
    }
    Ok(latencies)
}

/// A server for one connection, whose handler blocks its thread for every message.
fn start_blocking_handler<R: Runtime>(rt: R) -> io::Result<(SocketAddr, R::Join<io::Result<()>>)> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    let mut listener = rt.listen(socket)?;
    let handler = rt.spawn(async move {
        let mut stream = listener.accept().await?;
        let mut buffer = [0; MESSAGE];
        loop {
            match stream.read(&mut buffer).await? {
                0 => return Ok(()),
                count => {
                    thread::sleep(STALL);
                    stream.write_all(&buffer[..count]).await?;
                }
            }
        }
    });
    Ok((address, handler))
}

/// The client that keeps the blocking handler busy.
fn start_stalling_client(address: SocketAddr) -> io::Result<JoinHandle<io::Result<()>>> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    Ok(thread::spawn(move || {
        let mut buffer = [7; MESSAGE];
        while !STOP.load(Ordering::Relaxed) {
            stream.write_all(&buffer)?;
            stream.read_exact(&mut buffer)?;
        }
        Ok(())
    }))
}
