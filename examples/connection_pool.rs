//! A pool of TCP connections: a `Semaphore` has a permit for each, and who finds none free waits for one, but not for ever.
//! Run it with `cargo run --example connection_pool`; `-- --help` behind that tells of the options.
//!
//! The server is part of the program. It closes connections now and then, and leaves some requests without an answer, as
//! servers do. The pool throws away what broke and opens another in its place; what was taken from it comes back on every way
//! out, Ctrl-C included, and at the end it waits until everything has.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use std::{convert::Infallible, env, fmt, io};

use asyncio::net::{TcpListener, TcpStream};
use asyncio::{OwnedPermit, Semaphore, TimeoutError};
use futures_util::{AsyncBufReadExt, FutureExt, io::BufReader};
use kumihimo as asyncio;

const USAGE: &str =
    "usage: connection_pool [--connections N] [--clients N] [--requests N] [--wait MILLISECONDS]

N clients (16 unless given) make N requests each (25) to a server, and share N connections (4).
Who gets no connection in time (500 ms) gives the request up.
";

/// How long a request may wait for its answer.
const PATIENCE: Duration = Duration::from_millis(100);

// === the pool ===

/// Connections to one server.
struct Pool {
    server: SocketAddr,
    size: usize,
    /// How long `get` waits.
    patience: Duration,
    /// One for each connection that there may be.
    permits: Arc<Semaphore>,
    /// Connections that nobody uses: never more than there are free permits.
    idle: Mutex<Vec<Connection>>,
    closed: AtomicBool,
    counts: Counts,
}

/// What has happened so far.
#[derive(Debug, Default)]
struct Counts {
    opened: AtomicUsize,
    reused: AtomicUsize,
    broken: AtomicUsize,
    closed: AtomicUsize,
}

impl Pool {
    fn new(server: SocketAddr, size: usize, patience: Duration) -> Arc<Pool> {
        let (idle, permits) = (Mutex::default(), Arc::new(Semaphore::new(size)));
        let (closed, counts) = (AtomicBool::new(false), Counts::default());
        Arc::new(Pool { server, size, patience, permits, idle, closed, counts })
    }

    /// A connection, once one is free; who asked first is served first. It comes back when it is dropped.
    async fn get(self: &Arc<Self>) -> Result<Pooled, PoolError> {
        let permit = asyncio::wait_for(self.permits.acquire_owned(), self.patience).await;
        // From here on the permit is given back if anything fails, or we are cancelled.
        let permit = permit.map_err(|TimeoutError| self.exhausted())?;
        if self.closed.load(SeqCst) {
            return Err(PoolError::Closed);
        }
        let (connection, is_new) = match self.take_idle() {
            Some(connection) => (connection, false),
            None => (self.open().await?, true),
        };
        Ok(Pooled { connection: Some(connection), is_new, pool: self.clone(), _permit: permit })
    }

    /// The connection that was used last: the others may rest, and be closed by the server.
    fn take_idle(&self) -> Option<Connection> {
        loop {
            let mut connection = self.idle().pop()?;
            if connection.is_alive() {
                self.counts.reused.fetch_add(1, SeqCst);
                return Some(connection);
            }
            self.counts.broken.fetch_add(1, SeqCst);
        }
    }

    async fn open(&self) -> Result<Connection, PoolError> {
        let opened = asyncio::wait_for(Connection::open(self.server), self.patience).await;
        let opened = opened.unwrap_or_else(|TimeoutError| Err(io::ErrorKind::TimedOut.into()));
        let connection = opened.map_err(|error| PoolError::Connect(self.server, error))?;
        self.counts.opened.fetch_add(1, SeqCst);
        Ok(connection)
    }

    /// Hands out no more connections, waits until all are back, and closes them.
    async fn close(&self) {
        self.closed.store(true, SeqCst);
        let mut permits = Vec::new();
        for _ in 0..self.size {
            permits.push(self.permits.acquire().await);
        }
        let idle = std::mem::take(&mut *self.idle());
        self.counts.closed.fetch_add(idle.len(), SeqCst);
        // The permits go back, for those who ask still: they are told that it is closed.
    }

    fn exhausted(&self) -> PoolError {
        let others = self.permits.statistics().waiting;
        PoolError::Exhausted { size: self.size, waited: self.patience, others }
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no connection.
#[derive(Debug)]
enum PoolError {
    Exhausted { size: usize, waited: Duration, others: usize },
    Connect(SocketAddr, io::Error),
    Closed,
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::Exhausted { size, waited, others } => write!(
                f,
                "no connection was free within {waited:?}: the pool has {size}, and the number of those who wait is \
                 {others}; use more connections, or fewer clients"
            ),
            PoolError::Connect(server, error) => write!(f, "can't connect to {server}: {error}"),
            PoolError::Closed => f.write_str("the pool is closed"),
        }
    }
}

/// A connection out of the pool.
struct Pooled {
    /// Until it goes back.
    connection: Option<Connection>,
    /// Nobody has used it before.
    is_new: bool,
    pool: Arc<Pool>,
    /// Dropped last, when the connection is back: who gets it finds the connection.
    _permit: OwnedPermit,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if connection.is_alive() {
            self.pool.idle().push(connection);
        } else {
            // Whoever has the permit next opens another.
            self.pool.counts.broken.fetch_add(1, SeqCst);
        }
    }
}

impl Deref for Pooled {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("it is there until the drop")
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut Connection {
        self.connection.as_mut().expect("it is there until the drop")
    }
}

/// A connection, over which numbers go, and squares come back: a line each.
struct Connection {
    stream: BufReader<TcpStream>,
    /// Every request was answered. Else the next answer would be that to another's question.
    in_step: bool,
}

impl Connection {
    async fn open(server: SocketAddr) -> io::Result<Connection> {
        Ok(Connection { stream: BufReader::new(TcpStream::connect(server).await?), in_step: true })
    }

    /// Whether it can be used again: there is nothing to read, not even the end that a server has sent which closed it.
    fn is_alive(&mut self) -> bool {
        self.in_step && self.stream.get_mut().read(&mut [0]).now_or_never().is_none()
    }

    async fn square(&mut self, number: u64) -> io::Result<u64> {
        // If we are cancelled on the way, it stays so.
        self.in_step = false;
        self.stream.get_mut().write_all(format!("{number}\n").as_bytes()).await?;
        let mut answer = String::new();
        if self.stream.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let answer = answer.trim_end().parse().map_err(io::Error::other)?;
        self.in_step = true;
        Ok(answer)
    }
}

// === the clients ===

/// What became of the requests.
#[derive(Default)]
struct Tally {
    answered: AtomicUsize,
    unanswered: AtomicUsize,
    unconnected: AtomicUsize,
}

/// Why there is no square.
enum RequestError {
    Pool(PoolError),
    Broken(io::Error),
    TooSlow,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RequestError::Pool(error) => error.fmt(f),
            RequestError::Broken(error) => write!(f, "the connection broke: {error}"),
            RequestError::TooSlow => write!(f, "no answer within {PATIENCE:?}"),
        }
    }
}

/// Asks for a square.
async fn square(pool: &Arc<Pool>, number: u64) -> Result<u64, RequestError> {
    loop {
        let mut connection = pool.get().await.map_err(RequestError::Pool)?;
        match asyncio::wait_for(connection.square(number), PATIENCE).await {
            Ok(Ok(square)) => return Ok(square),
            // The server has closed it since it was used last. Asking twice does no harm here.
            Ok(Err(_)) if !connection.is_new => {}
            Ok(Err(error)) => return Err(RequestError::Broken(error)),
            Err(TimeoutError) => return Err(RequestError::TooSlow),
        }
    }
}

async fn client(pool: Arc<Pool>, numbers: std::ops::Range<u64>, tally: Arc<Tally>) -> Result<(), Infallible> {
    for number in numbers {
        let count = match square(&pool, number).await {
            Ok(answer) => {
                assert_eq!(answer, number * number, "that is another's answer");
                &tally.answered
            }
            Err(error) => {
                println!("{number}: {error}");
                if let RequestError::Pool(_) = error { &tally.unconnected } else { &tally.unanswered }
            }
        };
        count.fetch_add(1, SeqCst);
    }
    Ok(())
}

// === the server ===

/// A connection is closed after so many answers.
const ANSWERS: usize = 20;
/// One request out of so many is not answered.
const IGNORED: u64 = 40;
/// How long an answer takes.
const WORK: Duration = Duration::from_millis(5);

async fn serve(listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        drop(asyncio::create_task(answer(stream)));
    }
}

async fn answer(stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    for _ in 0..ANSWERS {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            break;
        }
        let number: u64 = line.trim_end().parse().map_err(io::Error::other)?;
        let ignored = number % IGNORED == IGNORED - 1;
        asyncio::sleep(if ignored { Duration::from_secs(60) } else { WORK }).await;
        stream.get_mut().write_all(format!("{}\n", number * number).as_bytes()).await?;
    }
    Ok(())
}

// === the program ===

/// What was asked for.
struct Args {
    connections: usize,
    clients: u64,
    requests: u64,
    wait: Duration,
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Args, String> {
    let mut args = Args { connections: 4, clients: 16, requests: 25, wait: Duration::from_millis(500) };
    while let Some(option) = arguments.next() {
        let mut number = |most: u64| {
            let text = arguments.next().unwrap_or_default();
            let number = text.parse().ok().filter(|n| (1..=most).contains(n));
            number.ok_or_else(|| format!("{option} takes a number from 1 to {most}, not {text:?}"))
        };
        match option.as_str() {
            "--connections" => args.connections = number(1000)? as usize,
            "--clients" => args.clients = number(10_000)?,
            "--requests" => args.requests = number(1_000_000)?,
            "--wait" => args.wait = Duration::from_millis(number(3_600_000)?),
            _ => return Err(format!("what is {option} for?")),
        }
    }
    Ok(args)
}

/// Has all clients do what they are there for, and tells how it went; also when Ctrl-C comes in between.
async fn run(args: Args) -> io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let pool = Pool::new(listener.local_addr()?, args.connections, args.wait);
    let server = asyncio::create_task(serve(listener));
    let (begin, tally) = (Instant::now(), Arc::new(Tally::default()));
    let clients = asyncio::task_group(async |tg| {
        for client_number in 0..args.clients {
            let first = client_number * args.requests;
            drop(tg.create_task(client(pool.clone(), first..first + args.requests, tally.clone())));
        }
        Ok(())
    });
    // Ctrl-C cancels `main`, and with it the clients, wherever they are: waiting for a connection, or using one.
    let clients = asyncio::catch_cancelled(clients).await;
    pool.close().await;
    server.cancel();

    let count = |count: &AtomicUsize| count.load(SeqCst);
    println!(
        "{} requests: {} answered, {} without an answer, {} without a connection; {:.2?}",
        args.clients * args.requests,
        count(&tally.answered),
        count(&tally.unanswered),
        count(&tally.unconnected),
        begin.elapsed()
    );
    let Counts { opened, reused, broken, closed } = &pool.counts;
    println!(
        "connections: {} opened, {} times used again, {} broken, {} closed at the end",
        count(opened),
        count(reused),
        count(broken),
        count(closed)
    );
    match clients {
        Ok(_) => Ok(()),
        Err(interrupted) => interrupted.raise().await,
    }
}

#[asyncio::main]
async fn main() -> ExitCode {
    if env::args().skip(1).any(|argument| argument == "--help") {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    }
    let args = match parse(env::args().skip(1)) {
        Ok(args) => args,
        Err(error) => {
            eprint!("connection_pool: {error}\n\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    match run(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("connection_pool: {error}");
            ExitCode::FAILURE
        }
    }
}
