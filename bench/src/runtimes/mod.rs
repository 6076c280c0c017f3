//! The interface that the rows are written against: what every runtime has, under one name.
//!
//! All of it is resolved at compile time; a method is the runtime's own function with nothing around it.

#[cfg(feature = "kumihimo")]
pub(crate) mod kumihimo;
pub(crate) mod smol;
pub(crate) mod tokio;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::ops::DerefMut;
use std::time::Duration;

/// A runtime as seen from inside one of its tasks.
pub(crate) trait Runtime: Copy + Send + Sync + 'static {
    /// Resolves to what the task returned; dropping it leaves the task running or not, so drop none.
    type Join<T: Send + 'static>: Future<Output = T> + Send + Unpin + 'static;
    /// Spawns from threads that are no workers.
    type Remote: Remote;
    /// A listening TCP socket.
    type Listener: Listener<Stream = Self::Stream>;
    /// A connected TCP socket.
    type Stream: Stream;
    /// A lock that tasks wait for.
    type Lock: Lock;
    /// A semaphore that tasks wait for.
    type Semaphore: Semaphore;
    /// Where items are put into a queue.
    type Producer: Producer;
    /// Where they are got.
    type Consumer: Consumer;

    /// Starts the runtime with so many workers, runs the future that `make` gives as a spawned task, and
    /// shuts the runtime down again.
    fn host<M, F>(workers: usize, make: M) -> io::Result<F::Output>
    where
        M: FnOnce(Self) -> F,
        F: Future<Output: Send + 'static> + Send + 'static;

    /// Starts a task that will be joined.
    fn spawn<F>(self, future: F) -> Self::Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static;

    /// Starts a task that nobody joins.
    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static;

    /// What another thread needs in order to spawn here.
    fn remote(self) -> Self::Remote;

    /// Lets the other tasks run first.
    fn yield_now(self) -> impl Future<Output = ()> + Send;

    /// Ends after `time`.
    fn sleep(self, time: Duration) -> impl Future<Output = ()> + Send;

    /// Runs `job` on the blocking pool; is awaited at once.
    fn blocking<T, J>(self, job: J) -> impl Future<Output = T> + Send + Unpin
    where
        J: FnOnce() -> T + Send + 'static,
        T: Send + 'static;

    /// The same, but hands the job to the pool before anybody awaits it.
    fn submit_blocking<T, J>(self, job: J) -> impl Future<Output = T> + Send + Unpin
    where
        J: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        self.blocking(job)
    }

    /// Takes over a bound socket. Binding is std's for all, so that the backlog is the same.
    fn listen(self, socket: std::net::TcpListener) -> io::Result<Self::Listener>;

    /// Connects, with the runtime's own `connect`.
    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Stream>> + Send;

    /// A queue that holds so many items.
    fn queue(self, capacity: usize) -> (Self::Producer, Self::Consumer);
}

/// Spawns into a runtime from any thread.
pub(crate) trait Remote: Clone + Send + 'static {
    /// Starts a task that nobody joins.
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static;
}

/// A listening TCP socket.
pub(crate) trait Listener: Send + 'static {
    /// What it accepts.
    type Stream: Stream;

    /// The next connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

/// A connected TCP socket.
pub(crate) trait Stream: Send + 'static {
    /// Reads what there is; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> impl Future<Output = io::Result<usize>> + Send;

    /// Writes everything.
    fn write_all(&mut self, bytes: &[u8]) -> impl Future<Output = io::Result<()>> + Send;

    /// Sends small messages at once.
    fn set_nodelay(&self) -> io::Result<()>;
}

/// A lock that tasks wait for, around a number.
pub(crate) trait Lock: Send + Sync + 'static {
    /// Holds the lock until it is dropped.
    type Guard<'a>: DerefMut<Target = u64> + Send;

    /// One that nobody holds.
    fn new(value: u64) -> Self;

    /// Waits until it is ours.
    fn acquire(&self) -> impl Future<Output = Self::Guard<'_>> + Send;
}

/// A semaphore that tasks wait for.
pub(crate) trait Semaphore: Send + Sync + 'static {
    /// Gives the permit back when it is dropped.
    type Permit<'a>: Send;

    /// One with so many permits.
    fn new(permits: usize) -> Self;

    /// Waits for a permit.
    fn acquire(&self) -> impl Future<Output = Self::Permit<'_>> + Send;
}

/// Where numbers are put into a bounded queue.
pub(crate) trait Producer: Clone + Send + Sync + 'static {
    /// Waits until there is room.
    fn put(&self, item: u64) -> impl Future<Output = ()> + Send;
}

/// Where they are got.
pub(crate) trait Consumer: Sized + Send + Sync + 'static {
    /// Waits until there is one.
    fn get(&mut self) -> impl Future<Output = u64> + Send;

    /// One more consumer of the same queue; `None` if there can be one only.
    fn another(&self) -> Option<Self>;
}

/// Who takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Contender {
    /// Ours.
    Kumihimo,
    /// The first peer.
    Tokio,
    /// The second peer.
    Smol,
    /// No runtime: the limit, for the rows that have one.
    Epoll,
    /// The first peer of the process pool: CPython's `concurrent.futures`.
    CPython,
    /// The second one.
    Procspawn,
}

impl Contender {
    /// All that this program was built with.
    pub(crate) fn all() -> Vec<Contender> {
        let mut all = vec![
            Contender::Tokio,
            Contender::Smol,
            Contender::Epoll,
            Contender::CPython,
            Contender::Procspawn,
        ];
        if cfg!(feature = "kumihimo") {
            all.insert(0, Contender::Kumihimo);
        }
        all
    }

    /// The one called `name`.
    pub(crate) fn find(name: &str) -> Result<Contender, String> {
        let mut all = Contender::all().into_iter();
        all.find(|contender| contender.name() == name)
            .ok_or(format!("no contender is called {name:?}; see --help"))
    }

    /// As in tables and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Contender::Kumihimo => "kumihimo",
            Contender::Tokio => "tokio",
            Contender::Smol => "smol",
            Contender::Epoll => "epoll",
            Contender::CPython => "cpython",
            Contender::Procspawn => "procspawn",
        }
    }
}
