//! kumihimo, through its facade.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::kumihimo as asyncio;
use asyncio::net::{TcpListener, TcpStream};
use asyncio::{EventLoop, LockGuard, Permit, Queue, Runner, Task};

use super::{Consumer, Listener, Lock, Producer, Remote, Runtime, Semaphore, Stream};

/// Inside a kumihimo task.
#[derive(Clone, Copy)]
pub(crate) struct Kumihimo;

impl Runtime for Kumihimo {
    type Join<T: Send + 'static> = Task<T>;
    type Remote = EventLoop;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Lock = asyncio::Lock<u64>;
    type Semaphore = asyncio::Semaphore;
    type Producer = Queue<u64>;
    type Consumer = Queue<u64>;

    fn host<M, F>(workers: usize, make: M) -> io::Result<F::Output>
    where
        M: FnOnce(Self) -> F,
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        // The calling thread is one of the workers.
        let runner = Runner::builder().worker_threads(workers).build()?;
        let body = make(Kumihimo);
        runner.run(async { asyncio::create_task(body).await }).map_err(io::Error::other)
    }

    fn spawn<F>(self, future: F) -> Self::Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        asyncio::create_task(future)
    }

    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(asyncio::create_task(future));
    }

    fn remote(self) -> EventLoop {
        asyncio::get_running_loop()
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        asyncio::yield_now()
    }

    fn sleep(self, time: Duration) -> impl Future<Output = ()> + Send {
        asyncio::sleep(time)
    }

    fn blocking<T, J>(self, job: J) -> impl Future<Output = T> + Send + Unpin
    where
        J: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        asyncio::to_thread(job)
    }

    fn submit_blocking<T, J>(self, job: J) -> impl Future<Output = T> + Send + Unpin
    where
        J: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        // `to_thread` begins when it is awaited, this at once.
        asyncio::get_running_loop().run_in_executor(None, job)
    }

    fn listen(self, socket: std::net::TcpListener) -> io::Result<TcpListener> {
        TcpListener::from_std(socket)
    }

    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send {
        TcpStream::connect(address)
    }

    fn queue(self, capacity: usize) -> (Queue<u64>, Queue<u64>) {
        let queue = Queue::new(capacity);
        (queue.clone(), queue)
    }
}

impl Remote for EventLoop {
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.create_task(future));
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        TcpListener::accept(self).await.map(|(stream, _)| stream)
    }
}

impl Stream for TcpStream {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        TcpStream::read(self, buffer).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        TcpStream::write_all(self, bytes).await
    }

    fn set_nodelay(&self) -> io::Result<()> {
        TcpStream::set_nodelay(self, true)
    }
}

impl Lock for asyncio::Lock<u64> {
    type Guard<'a> = LockGuard<'a, u64>;

    fn new(value: u64) -> Self {
        Self::with_value(value)
    }

    fn acquire(&self) -> impl Future<Output = LockGuard<'_, u64>> + Send {
        Self::acquire(self)
    }
}

impl Semaphore for asyncio::Semaphore {
    type Permit<'a> = Permit<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn acquire(&self) -> impl Future<Output = Permit<'_>> + Send {
        Self::acquire(self)
    }
}

impl Producer for Queue<u64> {
    async fn put(&self, item: u64) {
        Queue::put(self, item).await.expect("nobody shuts it down");
    }
}

impl Consumer for Queue<u64> {
    async fn get(&mut self) -> u64 {
        Queue::get(self).await.expect("nobody shuts it down")
    }

    fn another(&self) -> Option<Self> {
        Some(self.clone())
    }
}
