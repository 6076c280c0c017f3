//! Halves of streams.

use std::io::ErrorKind;

use futures_util::join;

use crate::tiny::run;
use crate::{pair, pattern, read_to_end};

#[test]
fn both_directions_at_once_borrowed() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let data = pattern(1 << 20);
        // Both send more than the buffers hold before anybody could answer: one direction at a time would hang.
        let exchange = async |stream: &mut kumihimo_net::TcpStream| {
            let (mut read, mut write) = stream.split();
            let mut received = vec![0; data.len()];
            let (sent, got) = join!(write.write_all(&data), read.read_exact(&mut received));
            sent.unwrap();
            got.unwrap();
            assert!(received == data);
        };
        join!(exchange(&mut caller), exchange(&mut called));
        caller.write_all(b"whole again").await.unwrap();
        called.read_exact(&mut [0; 11]).await.unwrap();
    });
}

#[test]
fn both_directions_at_once_owned() {
    run(async {
        let (caller, called) = pair().await;
        let data = pattern(1 << 20);
        let (mut caller_read, mut caller_write) = caller.into_split();
        let (mut called_read, mut called_write) = called.into_split();
        let send = async {
            caller_write.write_all(&data).await.unwrap();
            drop(caller_write);
        };
        let echo = async {
            let mut buf = [0; 10_000];
            loop {
                match called_read.read(&mut buf).await.unwrap() {
                    0 => break,
                    n => called_write.write_all(&buf[..n]).await.unwrap(),
                }
            }
            drop(called_write);
        };
        let (_, _, back) = join!(send, echo, read_to_end(&mut caller_read));
        assert!(back == data);
    });
}

#[test]
fn dropping_the_owned_write_half_ends_the_stream() {
    run(async {
        let (caller, mut called) = pair().await;
        let (mut read, write) = caller.into_split();
        drop(write);
        assert_eq!(called.read(&mut [0; 8]).await.unwrap(), 0);
        called.write_all(b"late").await.unwrap();
        assert_eq!(read.read(&mut [0; 8]).await.unwrap(), 4, "reading goes on");
    });
}

#[test]
fn shutdown_and_forget() {
    run(async {
        let (caller, mut called) = pair().await;
        let (read, mut write) = caller.into_split();
        assert_eq!(read.peer_addr().unwrap(), called.local_addr().unwrap());
        assert_eq!(write.local_addr().unwrap(), called.peer_addr().unwrap());
        write.write_all(b"x").await.unwrap();
        write.shutdown().unwrap();
        assert_eq!(called.read(&mut [0; 8]).await.unwrap(), 1);
        assert_eq!(called.read(&mut [0; 8]).await.unwrap(), 0);

        let (caller, mut called) = pair().await;
        let (read, write) = caller.into_split();
        write.forget();
        let mut std = called.into_std().unwrap();
        let error = std::io::Read::read(&mut std, &mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "the stream is still open");
        called = kumihimo_net::TcpStream::from_std(std).unwrap();
        drop(read);
        assert_eq!(called.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn halves_of_one_stream_reunite() {
    run(async {
        let (caller, mut called) = pair().await;
        let (read, write) = caller.into_split();
        let mut caller = read.reunite(write).unwrap();
        caller.write_all(b"one").await.unwrap();
        assert_eq!(called.read(&mut [0; 8]).await.unwrap(), 3, "reuniting did not shut down writing");

        let (caller_read, caller_write) = caller.into_split();
        let (called_read, called_write) = called.into_split();
        let error = caller_read.reunite(called_write).unwrap_err();
        assert!(error.to_string().contains("different streams"));
        let mut called = error.1.reunite(called_read).unwrap();
        let mut caller = caller_write.reunite(error.0).unwrap();
        called.write_all(b"two").await.unwrap();
        assert_eq!(caller.read(&mut [0; 8]).await.unwrap(), 3);
    });
}
