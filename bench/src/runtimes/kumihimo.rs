//! kumihimo, through its facade.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use ::kumihimo as asyncio;
use asyncio::net::{TcpListener, TcpStream};
use asyncio::{EventLoop, Runner, Task};

use super::{Listener, Remote, Runtime, Stream};

/// Inside a kumihimo task.
#[derive(Clone, Copy)]
pub(crate) struct Kumihimo;

impl Runtime for Kumihimo {
    type Join<T: Send + 'static> = Task<T>;
    type Remote = EventLoop;
    type Listener = TcpListener;
    type Stream = TcpStream;

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
