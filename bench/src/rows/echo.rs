//! Round trips over TCP, server and clients in the process.

use std::io;
use std::net::SocketAddr;

use super::{Measured, Row};
use crate::epoll;
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::{Listener, Runtime, Stream};

/// How many, how large, how often.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Connections at the same time.
    pub(crate) connections: usize,
    /// Bytes there and the same back.
    pub(crate) message: usize,
    /// Round trips of each connection.
    pub(crate) trips: usize,
}

impl Shape {
    /// The room that a side reads into: more than a message, as servers have, so that a read which ends the
    /// message comes back short and nobody needs a second one to learn that there is no more.
    pub(crate) fn room(self) -> usize {
        (self.message * 2).max(1024)
    }

    /// The same with a plan's share of the round trips.
    fn under(self, plan: Plan) -> Shape {
        Shape { trips: plan.of(self.trips), ..self }
    }
}

/// Many connections, little in each message.
const MANY_SMALL: Shape = Shape { connections: 64, message: 64, trips: 1_000 };
/// One connection: the latency of a wake-up.
const ONE_SMALL: Shape = Shape { connections: 1, message: 64, trips: 20_000 };
/// Messages that fill the sockets' buffers.
const LARGE: Shape = Shape { connections: 16, message: 64 * 1024, trips: 500 };

/// echo_64x64B
pub(crate) struct ManySmall;

impl Row for ManySmall {
    const NAME: &'static str = "echo_64x64B";
    const OPERATION: &'static str = "round trip";
    const WORK: &'static str =
        "64 TCP connections x 1000 round trips of 64 bytes, server and clients in the process";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        echo(rt, MANY_SMALL.under(plan)).await
    }

    fn epoll(plan: Plan) -> Option<Measured> {
        Some(epoll::echo(plan.workers, MANY_SMALL.under(plan)))
    }
}

/// echo_1x64B
pub(crate) struct OneSmall;

impl Row for OneSmall {
    const NAME: &'static str = "echo_1x64B";
    const OPERATION: &'static str = "round trip";
    const WORK: &'static str = "one connection, 20 000 round trips of 64 bytes: the latency of a wake-up";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        echo(rt, ONE_SMALL.under(plan)).await
    }

    fn epoll(plan: Plan) -> Option<Measured> {
        Some(epoll::echo(plan.workers, ONE_SMALL.under(plan)))
    }
}

/// echo_16x64KiB
pub(crate) struct Large;

impl Row for Large {
    const NAME: &'static str = "echo_16x64KiB";
    const OPERATION: &'static str = "round trip";
    const WORK: &'static str = "16 connections x 500 round trips of 64 KiB";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        echo(rt, LARGE.under(plan)).await
    }

    fn epoll(plan: Plan) -> Option<Measured> {
        Some(epoll::echo(plan.workers, LARGE.under(plan)))
    }
}

/// Connects everybody untimed, then times the round trips.
async fn echo<R: Runtime>(rt: R, shape: Shape) -> Measured {
    let (address, server) = start_server(rt, shape.connections, shape.room())?;
    let mut streams = Vec::with_capacity(shape.connections);
    for _ in 0..shape.connections {
        let stream = rt.connect(address).await?;
        stream.set_nodelay()?;
        streams.push(stream);
    }
    let watch = Stopwatch::start();
    let clients: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            rt.spawn(async move {
                let message = vec![7; shape.message];
                let mut buffer = vec![0; shape.room()];
                for _ in 0..shape.trips {
                    round_trip(&mut stream, &message, &mut buffer).await?;
                }
                io::Result::Ok(())
            })
        })
        .collect();
    for client in clients {
        client.await?;
    }
    let sample = watch.per(shape.connections * shape.trips);
    server.await?;
    Ok(sample)
}

/// A server that echoes on so many connections, each handled by a task with so much room, and then ends.
pub(super) fn start_server<R: Runtime>(
    rt: R,
    connections: usize,
    room: usize,
) -> io::Result<(SocketAddr, R::Join<io::Result<()>>)> {
    let socket = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = socket.local_addr()?;
    let mut listener = rt.listen(socket)?;
    let server = rt.spawn(async move {
        let mut handlers = Vec::with_capacity(connections);
        for _ in 0..connections {
            let stream = listener.accept().await?;
            stream.set_nodelay()?;
            handlers.push(rt.spawn(serve(stream, room)));
        }
        for handler in handlers {
            handler.await?;
        }
        Ok(())
    });
    Ok((address, server))
}

/// Sends back what comes until the client closes.
async fn serve<S: Stream>(mut stream: S, room: usize) -> io::Result<()> {
    let mut buffer = vec![0; room];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

/// Sends `message` and reads until as much has come back.
pub(super) async fn round_trip<S: Stream>(
    stream: &mut S,
    message: &[u8],
    buffer: &mut [u8],
) -> io::Result<()> {
    stream.write_all(message).await?;
    let mut received = 0;
    while received < message.len() {
        match stream.read(&mut buffer[received..]).await? {
            0 => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the echo server closed the connection",
                ));
            }
            count => received += count,
        }
    }
    Ok(())
}
