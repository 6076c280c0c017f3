//! Crawls a site that it serves itself: a limit on requests at once, time-outs, retries, and a clean Ctrl-C.
//! Run it with `cargo run --example crawler -- --help`. `crawler.py` beside it is the same in Python.

use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{convert::Infallible, env, io, process};

use asyncio::TimeoutError;
use asyncio::net::{TcpListener, TcpStream};
use futures_util::{AsyncBufReadExt, AsyncReadExt, FutureExt, TryStreamExt, io::BufReader};
use kumihimo as asyncio;

/// Milliseconds to wait before each attempt to get a page.
const BACK_OFF: [u64; 3] = [0, 100, 200];

/// The site. Its pages link to each other; some never answer, some are slow, some fail at first.
async fn answer(mut stream: TcpStream, pages: usize, failed: Arc<Mutex<HashSet<usize>>>) -> io::Result<()> {
    let request = BufReader::new(&mut stream).lines().try_next().await?.unwrap_or_default();
    let page: usize = request.split(['/', ' ']).nth(2).and_then(|page| page.parse().ok()).unwrap_or(0);
    let (silent, slow) = (page % 11 == 10, page % 7 == 3);
    asyncio::sleep(Duration::from_millis(if silent { 3_600_000 } else { 100 * u64::from(slow) })).await;
    let fails = page % 5 == 4 && failed.lock().is_ok_and(|mut failed| failed.insert(page));
    let status = if fails { "503 Service Unavailable" } else { "200 OK" };
    let links = (2 * page + 1..pages.min(2 * page + 5)).map(|link| format!("<a href=\"/{link}\">\n"));
    stream.write_all(format!("HTTP/1.1 {status}\r\n\r\n{}", links.collect::<String>()).as_bytes()).await
}

/// Requests a page, and gives the links on it.
async fn get(site: SocketAddr, page: usize) -> io::Result<Vec<usize>> {
    let mut stream = TcpStream::connect(site).await?;
    stream.write_all(format!("GET /{page} HTTP/1.1\r\nHost: {site}\r\n\r\n").as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (status, body) = response.split_once("\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let links = body.split('"').filter_map(|text| text.strip_prefix('/')?.parse().ok()).collect();
    if status.ends_with(" 200 OK") { Ok(links) } else { Err(io::Error::other(status)) }
}

/// Requests a page until it answers, but not for ever. Gives its links, and the errors on the way.
async fn visit(site: SocketAddr, page: usize, limit: Duration) -> (usize, Vec<usize>, Vec<io::Error>) {
    let mut errors = vec![];
    for back_off in BACK_OFF {
        asyncio::sleep(Duration::from_millis(back_off)).await;
        errors.push(match asyncio::wait_for(get(site, page), limit).await {
            Ok(Ok(links)) => return (page, links, errors),
            Ok(Err(error)) => error,
            Err(TimeoutError) => io::Error::new(io::ErrorKind::TimedOut, format!("no answer in {limit:?}")),
        });
    }
    (page, vec![], errors)
}

#[asyncio::main]
async fn main() -> io::Result<()> {
    let number = |place, default: f64| env::args().nth(place).map_or(Ok(default), |text| text.parse());
    let numbers = [number(1, 60.0), number(2, 8.0), number(3, 0.5)];
    let [Ok(pages @ 1.0..), Ok(at_once @ 1.0..), Ok(seconds @ 0.001..1e6)] = numbers else {
        println!("usage: crawler [PAGES [REQUESTS AT ONCE [SECONDS FOR EACH]]]; without, 60, 8 and 0.5");
        process::exit(if env::args().any(|argument| argument == "--help") { 0 } else { 2 })
    };
    let (pages, at_once, limit) = (pages as usize, at_once as usize, Duration::from_secs_f64(seconds));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (site, failed) = (listener.local_addr()?, Arc::default());
    let _server = asyncio::create_task(async move {
        while let Ok((stream, _)) = listener.accept().await {
            drop(asyncio::create_task(answer(stream, pages, Arc::clone(&failed))));
        }
    });
    let (start, mut fetched, mut retries, mut timeouts) = (Instant::now(), 0, 0, 0);
    let (mut frontier, mut found, mut pending) = (VecDeque::from([0]), HashSet::from([0]), vec![]);
    let crawl = asyncio::task_group(async |tg| {
        while !frontier.is_empty() || !pending.is_empty() {
            for page in frontier.drain(..frontier.len().min(at_once - pending.len())) {
                pending.push(tg.create_task(visit(site, page, limit).map(Ok::<_, Infallible>)));
            }
            let visits = asyncio::wait(pending).return_when(asyncio::FirstCompleted).await;
            pending = visits.pending;
            for visit in visits.done {
                let (page, links, errors) = visit.await;
                errors.iter().for_each(|error| println!("/{page}: {error}"));
                fetched += usize::from(errors.len() < BACK_OFF.len());
                retries += errors.len().min(BACK_OFF.len() - 1);
                timeouts += errors.iter().filter(|error| error.kind() == io::ErrorKind::TimedOut).count();
                frontier.extend(links.into_iter().filter(|link| found.insert(*link)));
            }
        }
        Ok(())
    });
    let crawled = asyncio::catch_cancelled(crawl).await;
    let (found, elapsed) = (found.len(), start.elapsed());
    println!("fetched {fetched} of {found} pages, {retries} retries, {timeouts} time-outs in {elapsed:.2?}");
    let Err(interrupted) = crawled else { return Ok(()) };
    interrupted.raise().await
}
