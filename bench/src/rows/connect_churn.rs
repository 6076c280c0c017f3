//! Connections that come and go.

use std::io;

use super::echo::{round_trip, start_server};
use super::{Measured, Row};
use crate::measure::{Plan, Stopwatch};
use crate::runtimes::{Runtime, Stream};

/// Clients at the same time.
const CLIENTS: usize = 8;
/// Connections of each, one after the other.
const CONNECTIONS: usize = 500;
/// Bytes of the one message.
const MESSAGE: usize = 64;

/// connect_churn
pub(crate) struct ConnectChurn;

impl Row for ConnectChurn {
    const NAME: &'static str = "connect_churn";
    const OPERATION: &'static str = "connection";
    const WORK: &'static str = "8 clients x 500 connections, one round trip of 64 bytes each";

    async fn body<R: Runtime>(rt: R, plan: Plan) -> Measured {
        let connections = plan.of(CONNECTIONS);
        let (address, server) = start_server(rt, CLIENTS * connections, 1024)?;
        let watch = Stopwatch::start();
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                rt.spawn(async move {
                    let mut buffer = [0; 1024];
                    for _ in 0..connections {
                        let mut stream = rt.connect(address).await?;
                        stream.set_nodelay()?;
                        round_trip(&mut stream, &[7; MESSAGE], &mut buffer).await?;
                    }
                    io::Result::Ok(())
                })
            })
            .collect();
        for client in clients {
            client.await?;
        }
        server.await?;
        Ok(watch.per(CLIENTS * connections))
    }
}
