//! Sockets and signals on a bare reactor, driven by the loop in `tiny.rs`.

mod accept;
mod cancel;
mod options;
mod resolve;
mod signal;
mod split;
mod tcp;
mod threads;
mod tiny;
mod traits;

use kumihimo_net::{TcpListener, TcpStream};

/// Two connected streams: who called, and who was called.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (caller, called) = futures_util::join!(TcpStream::connect(addr), listener.accept());
    (caller.unwrap(), called.unwrap().0)
}

/// Bytes in which a lost, doubled or swapped part shows.
fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

/// Reads until the end of the stream.
async fn read_to_end(stream: &mut (impl futures_io::AsyncRead + Unpin)) -> Vec<u8> {
    let mut all = Vec::new();
    futures_util::AsyncReadExt::read_to_end(stream, &mut all).await.unwrap();
    all
}
