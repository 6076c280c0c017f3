//! Several that accept at once.

use std::collections::HashSet;
use std::io::Write as _;
use std::net;
use std::thread;

use futures_util::future::{join_all, select};
use futures_util::{FutureExt, StreamExt, join};
use kumihimo_net::{DEFAULT_BACKLOG, TcpListener, TcpStream};

use crate::tiny::run;

#[test]
fn a_hundred_tasks_accept_from_one_listener() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let accept = join_all((0..100).map(|_| async {
            let (mut stream, peer) = listener.accept().await.unwrap();
            stream.write_all(b"!").await.unwrap();
            (stream, peer)
        }));
        let connect = join_all((0..100).map(|_| async {
            let mut stream = TcpStream::connect(addr).await.unwrap();
            stream.read_exact(&mut [0]).await.unwrap();
            stream.local_addr().unwrap()
        }));
        let (accepted, callers) = join!(accept, connect);
        let peers: HashSet<_> = accepted.iter().map(|(_, peer)| *peer).collect();
        assert_eq!(peers, callers.into_iter().collect());
    });
}

#[test]
fn a_burst_in_the_backlog_is_accepted_one_by_one() {
    run(async {
        const { assert!(DEFAULT_BACKLOG >= 200) };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        // All of them are in the queue before the first accept: one edge of readiness for 200 connections.
        let callers: Vec<_> = (0..200).map(|_| net::TcpStream::connect(addr).unwrap()).collect();
        for _ in &callers {
            listener.accept().await.unwrap();
        }
        assert!(listener.accept().now_or_never().is_none(), "the queue is empty");
    });
}

#[test]
fn a_dropped_accept_loses_no_connection() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        for _ in 0..50 {
            let given_up = Box::pin(listener.accept());
            let connected = Box::pin(TcpStream::connect(addr));
            // The first accept may win or be dropped after it was woken; the second must get what is left.
            let kept = match select(connected, given_up).await {
                futures_util::future::Either::Left((stream, accept)) => {
                    drop(accept);
                    listener.accept().await.unwrap();
                    stream.unwrap()
                }
                futures_util::future::Either::Right((_, connected)) => connected.await.unwrap(),
            };
            drop(kept);
        }
        assert!(listener.accept().now_or_never().is_none());
    });
}

#[test]
fn incoming_goes_on() {
    run(async {
        let listener = TcpListener::bind_with_backlog("127.0.0.1:0", 64).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let callers = thread::spawn(move || {
            for i in 0..20_u8 {
                net::TcpStream::connect(addr).unwrap().write_all(&[i]).unwrap();
            }
        });
        let mut incoming = listener.incoming();
        for i in 0..20 {
            let mut stream = incoming.next().await.unwrap().unwrap();
            let mut buf = [0];
            stream.read_exact(&mut buf).await.unwrap();
            assert_eq!(buf, [i]);
        }
        callers.join().unwrap();
    });
}

#[test]
fn several_streams_of_connections_share_a_listener() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let mut all: Vec<_> = (0..3).map(|_| listener.incoming()).collect();
        let accept = join_all(all.iter_mut().map(|incoming| async {
            for _ in 0..10 {
                incoming.next().await.unwrap().unwrap().write_all(b"!").await.unwrap();
            }
        }));
        let connect = async {
            for _ in 0..30 {
                let mut stream = TcpStream::connect(addr).await.unwrap();
                stream.read_exact(&mut [0]).await.unwrap();
            }
        };
        join!(accept, connect);
    });
}
