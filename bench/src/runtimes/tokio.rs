//! tokio: the multi-threaded runtime, everything enabled, otherwise as it comes.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::runtime::{Builder, Handle};
use ::tokio::sync::{Mutex, MutexGuard, SemaphorePermit, mpsc};
use ::tokio::task::JoinHandle;

use super::{Consumer, Listener, Lock, Producer, Remote, Runtime, Semaphore, Stream};

/// Inside a tokio task.
#[derive(Clone, Copy)]
pub(crate) struct Tokio;

/// A join handle that passes a panic on.
pub(crate) struct Join<T>(JoinHandle<T>);

impl<T> Future for Join<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0).poll(cx).map(|result| result.expect("a task of the row panicked"))
    }
}

impl Runtime for Tokio {
    type Join<T: Send + 'static> = Join<T>;
    type Remote = Handle;
    type Listener = TcpListener;
    type Stream = TcpStream;
    type Lock = Mutex<u64>;
    type Semaphore = ::tokio::sync::Semaphore;
    type Producer = mpsc::Sender<u64>;
    type Consumer = mpsc::Receiver<u64>;

    fn host<M, F>(workers: usize, make: M) -> io::Result<F::Output>
    where
        M: FnOnce(Self) -> F,
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let runtime = Builder::new_multi_thread().worker_threads(workers).enable_all().build()?;
        let task = runtime.spawn(make(Tokio));
        Ok(runtime.block_on(Join(task)))
    }

    fn spawn<F>(self, future: F) -> Self::Join<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        Join(::tokio::spawn(future))
    }

    fn detach<F>(self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(::tokio::spawn(future));
    }

    fn remote(self) -> Handle {
        Handle::current()
    }

    fn yield_now(self) -> impl Future<Output = ()> + Send {
        ::tokio::task::yield_now()
    }

    fn sleep(self, time: Duration) -> impl Future<Output = ()> + Send {
        ::tokio::time::sleep(time)
    }

    fn blocking<T, J>(self, job: J) -> impl Future<Output = T> + Send + Unpin
    where
        J: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Join(::tokio::task::spawn_blocking(job))
    }

    fn listen(self, socket: std::net::TcpListener) -> io::Result<TcpListener> {
        socket.set_nonblocking(true)?;
        TcpListener::from_std(socket)
    }

    fn connect(self, address: SocketAddr) -> impl Future<Output = io::Result<TcpStream>> + Send {
        TcpStream::connect(address)
    }

    fn queue(self, capacity: usize) -> (mpsc::Sender<u64>, mpsc::Receiver<u64>) {
        mpsc::channel(capacity)
    }
}

impl Remote for Handle {
    fn detach<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(self.spawn(future));
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

impl Semaphore for ::tokio::sync::Semaphore {
    type Permit<'a> = SemaphorePermit<'a>;

    fn new(permits: usize) -> Self {
        Self::new(permits)
    }

    async fn acquire(&self) -> SemaphorePermit<'_> {
        Self::acquire(self).await.expect("nobody closes it")
    }
}

impl Producer for mpsc::Sender<u64> {
    async fn put(&self, item: u64) {
        self.send(item).await.expect("the consumer is there");
    }
}

impl Consumer for mpsc::Receiver<u64> {
    async fn get(&mut self) -> u64 {
        self.recv().await.expect("a producer is there")
    }

    fn another(&self) -> Option<Self> {
        None
    }
}
