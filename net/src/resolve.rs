//! Name resolution.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};

use crate::addr::{Target, ToSocketAddrs};

/// Looks up the addresses that `addr` stands for, in the order in which to try them.
///
/// Literals are converted on the spot; a host name is looked up by the system (`getaddrinfo`) on a thread of the default
/// pool. The list is never empty.
///
/// # Cancellation
///
/// The awaiter is cancelled at once; a look-up that has begun runs to its end on its thread, and its result is dropped.
///
/// # Errors
///
/// `InvalidInput` where `addr` is malformed; what the system says where the name cannot be looked up; where a name is
/// looked up and no loop runs on this thread.
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// for addr in kumihimo_net::resolve("localhost:80").await? {
///     println!("{addr}");
/// }
/// # Ok(())
/// # }
/// ```
#[doc(alias = "asyncio.loop.getaddrinfo")]
pub async fn resolve(addr: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
    match addr.to_target()? {
        Target::One(addr) => Ok(vec![addr]),
        Target::Many(addrs) => Ok(addrs),
        Target::Host(host, port) => {
            // There `to_thread` would panic, and registering the socket, which comes next, is an error.
            if kumihimo_blocking_pool::current().is_none() {
                return Err(io::Error::other(format!(
                    "no loop is running on this thread: look up host \"{host}\" from within a running loop"
                )));
            }
            kumihimo_blocking_pool::to_thread(move || look_up(&host, port)).await
        }
    }
}

fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let found = (host, port).to_socket_addrs();
    let addrs: Vec<_> = found
        .map_err(|e| io::Error::new(e.kind(), format!("could not look up host \"{host}\": {e}")))?
        .collect();
    if addrs.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("host \"{host}\" has no address")));
    }
    Ok(addrs)
}
