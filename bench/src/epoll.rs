//! The echo rows on bare epoll: what is left when there is no runtime.
//!
//! Each thread has an epoll instance of its own and both ends of its share of the connections, so that nothing
//! crosses threads. Registration is edge-triggered and made once; a short read is taken as the end of what is there.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::sync::Barrier;
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};

use crate::measure::Stopwatch;
use crate::rows::Measured;
use crate::rows::echo::Shape;

/// Events taken per wait.
const EVENTS: usize = 256;

/// One side of a connection.
struct End {
    /// The socket, non-blocking.
    stream: TcpStream,
    /// Where a message is put together, and sent from.
    buffer: Vec<u8>,
    /// How much of the buffer is to be sent; 0 when there is nothing.
    filled: usize,
    /// How much of that has been sent.
    sent: usize,
    /// Whether a read may find something: set by an event, cleared by a short read.
    readable: bool,
}

impl End {
    /// An end with nothing to send.
    fn new(stream: TcpStream, shape: Shape) -> io::Result<End> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        Ok(End { stream, buffer: vec![7; shape.room()], filled: 0, sent: 0, readable: false })
    }

    /// Sends what is to be sent; false if the socket takes no more now.
    fn flush(&mut self) -> io::Result<bool> {
        while self.sent < self.filled {
            match self.stream.write(&self.buffer[self.sent..self.filled]) {
                Ok(count) => self.sent += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        (self.filled, self.sent) = (0, 0);
        Ok(true)
    }

    /// Reads behind the first `at` bytes of the buffer; `None` if there is nothing now.
    fn receive(&mut self, at: usize) -> io::Result<Option<usize>> {
        if !self.readable {
            return Ok(None);
        }
        match self.stream.read(&mut self.buffer[at..]) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => {
                self.readable = at + count == self.buffer.len();
                Ok(Some(count))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Both ends of a connection.
struct Connection {
    /// Sends and waits for the echo.
    client: End,
    /// Echoes.
    server: End,
    /// Bytes of the current message that have come back.
    received: usize,
    /// Round trips still to make.
    left: usize,
}

impl Connection {
    /// Connects to the listener and accepts.
    fn new(listener: &TcpListener, shape: Shape) -> io::Result<Connection> {
        let client = End::new(TcpStream::connect(listener.local_addr()?)?, shape)?;
        let server = End::new(listener.accept()?.0, shape)?;
        Ok(Connection { client, server, received: 0, left: shape.trips })
    }

    /// Echoes all there is.
    fn drive_server(&mut self) -> io::Result<()> {
        while self.server.flush()? {
            match self.server.receive(0)? {
                Some(count) => self.server.filled = count,
                None => break,
            }
        }
        Ok(())
    }

    /// Goes on as far as possible; true when the last message has come back.
    fn drive_client(&mut self, message: usize) -> io::Result<bool> {
        while self.left > 0 && self.client.flush()? {
            match self.client.receive(self.received)? {
                Some(count) => self.received += count,
                None => break,
            }
            if self.received == message {
                self.received = 0;
                self.left -= 1;
                self.client.filled = if self.left > 0 { message } else { 0 };
            }
        }
        Ok(self.left == 0)
    }
}

/// The work of `shape` on at most `workers` threads.
pub(crate) fn echo(workers: usize, shape: Shape) -> Measured {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let threads = workers.min(shape.connections);
    let mut shares: Vec<Vec<Connection>> = (0..threads).map(|_| Vec::new()).collect();
    for index in 0..shape.connections {
        shares[index % threads].push(Connection::new(&listener, shape)?);
    }
    let start = Barrier::new(threads + 1);
    let sample = thread::scope(|scope| {
        let handles: Vec<_> =
            shares.into_iter().map(|share| scope.spawn(|| run_share(share, shape, &start))).collect();
        start.wait();
        let watch = Stopwatch::start();
        let results: Vec<io::Result<()>> =
            handles.into_iter().map(|handle| handle.join().expect("an epoll thread panicked")).collect();
        let sample = watch.per(shape.connections * shape.trips);
        results.into_iter().collect::<io::Result<()>>().map(|()| sample)
    })?;
    Ok(sample)
}

/// One thread's connections, from the first message to the last echo.
fn run_share(mut share: Vec<Connection>, shape: Shape, start: &Barrier) -> io::Result<()> {
    let poller = register(&share);
    // Waited for even if registering failed: the other threads count on it.
    start.wait();
    let poller = poller?;
    let mut busy = share.len();
    for connection in &mut share {
        connection.client.filled = shape.message;
        connection.drive_client(shape.message)?;
    }
    let mut events = Vec::with_capacity(EVENTS);
    while busy > 0 {
        epoll::wait(&poller, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            let (flags, data) = (event.flags, event.data.u64());
            let readable = flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR);
            let connection = &mut share[(data >> 1) as usize];
            if data & 1 == 0 {
                connection.server.readable |= readable;
                connection.drive_server()?;
            } else if connection.left > 0 {
                connection.client.readable |= readable;
                busy -= usize::from(connection.drive_client(shape.message)?);
            }
        }
    }
    Ok(())
}

/// An epoll instance that knows both ends of every connection: the index doubled, plus one for the client.
fn register(share: &[Connection]) -> io::Result<OwnedFd> {
    let poller = epoll::create(CreateFlags::CLOEXEC)?;
    let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
    for (index, connection) in share.iter().enumerate() {
        let data = (index as u64) << 1;
        epoll::add(&poller, &connection.server.stream, EventData::new_u64(data), flags)?;
        epoll::add(&poller, &connection.client.stream, EventData::new_u64(data | 1), flags)?;
    }
    Ok(poller)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_comes_to_its_end() {
        for (connections, message) in [(1, 64), (5, 64), (3, 1 << 20)] {
            let sample = echo(2, Shape { connections, message, trips: 20 }).expect("it echoes");
            assert!(sample[0] > 0.0);
        }
    }
}
