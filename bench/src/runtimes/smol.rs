//! smol: async-executor's `Executor` with as many threads, each inside async-io's `block_on`.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;
use std::time::Duration;

use ::smol::io::{AsyncReadExt, AsyncWriteExt};
use ::smol::lock::{Mutex, MutexGuard, SemaphoreGuard};
use ::smol::net::{TcpListener, TcpStream};
use ::smol::{Async, Executor, Task, Timer, channel};

use super::{Consumer, Listener, Lock, Producer, Remote, Runtime, Semaphore, Stream};

/// Inside a smol task: the executor to spawn on.
#[derive(Clone, Copy)]
pub(crate) struct Smol(&'static Executor<'static>);

/// async-io's timer without the instant it resolves to.
struct Sleep(Timer);

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx).map(drop)
    }
}

impl Runtime for Smol {
    type Join<T: Send + 'static> = Task<T>;
    type Remote = Smol;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Lock = Mutex<u64>;
    type Semaphore = ::smol::lock::Semaphore;
    type Producer = channel::Sender<u64>;
    type Consumer = channel::Receiver<u64>;

    fn host<M, F>(workers: usize, make: M) -> io::Result<F::Output>
    where
        M: FnOnce(Self) -> F,
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        // Leaked: smol's own global executor is a static too, and reference counts would slow spawning down.
        // An executor without tasks is a few hundred bytes, and the rows leave no task behind.
        let executor: &'static Executor<'static> = Box::leak(Box::new(Executor::new()));
        let (stop, stopped) = channel::bounded::<()>(1);
        let mut threads = Vec::with_capacity(workers);
        for index in 0..workers {
            let stopped = stopped.clone();
            // Receiving fails once the sender is dropped, which is the sign to end.
            let worker = move || ::smol::block_on(executor.run(stopped.recv())).is_err();
            threads.push(thread::Builder::new().name(format!("smol-{index}")).spawn(worker)?);
        }
        let task = executor.spawn(make(Smol(executor)));
        // Not async-io's `block_on`: that would make the main thread one more driver of the reactor.
        let output = futures_lite::future::block_on(task);
        drop(stop);
        for thread in threads {
            thread.join().expect("a smol worker panicked");
        }
        Ok(output)
    }

    fn spawn<F>(self, future: F) -> Self::Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        self.0.spawn(future)
    }

    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.spawn(future).detach();
    }

    fn remote(self) -> Smol {
        self
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        ::smol::future::yield_now()
    }

    fn sleep(self, time: Duration) -> impl Future<Output = ()> + Send {
        Sleep(Timer::after(time))
    }

    fn blocking<T, J>(self, job: J) -> impl Future<Output = T> + Send + Unpin
    where
        J: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        ::smol::unblock(job)
    }

    fn listen(self, socket: std::net::TcpListener) -> io::Result<TcpListener> {
        Async::new(socket).map(TcpListener::from)
    }

    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send {
        TcpStream::connect(address)
    }

    fn queue(self, capacity: usize) -> (channel::Sender<u64>, channel::Receiver<u64>) {
        channel::bounded(capacity)
    }
}

impl Remote for Smol {
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Runtime::detach(*self, future);
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
        AsyncReadExt::read(self, buffer).await
    }

    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        AsyncWriteExt::write_all(self, bytes).await
    }

    fn set_nodelay(&self) -> io::Result<()> {
        TcpStream::set_nodelay(self, true)
    }
}

impl Lock for Mutex<u64> {
    type Guard<'a> = MutexGuard<'a, u64>;

    fn new(value: u64) -> Self {
        Mutex::new(value)
    }

    fn acquire(&self) -> impl Future<Output = MutexGuard<'_, u64>> + Send {
        self.lock()
    }
}

impl Semaphore for ::smol::lock::Semaphore {
    type Permit<'a> = SemaphoreGuard<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    fn acquire(&self) -> impl Future<Output = SemaphoreGuard<'_>> + Send {
        Self::acquire(self)
    }
}

impl Producer for channel::Sender<u64> {
    async fn put(&self, item: u64) {
        self.send(item).await.expect("a consumer is there");
    }
}

impl Consumer for channel::Receiver<u64> {
    async fn get(&mut self) -> u64 {
        self.recv().await.expect("a producer is there")
    }

    fn another(&self) -> Option<Self> {
        Some(self.clone())
    }
}
