//! Connecting, reading, writing, ends and errors.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::{self, Shutdown, SocketAddr};
use std::thread;

use futures_util::join;
use kumihimo_net::{TcpListener, TcpStream};

use crate::tiny::run;
use crate::{pair, pattern, read_to_end};

/// An address on which nobody listens.
fn closed_addr() -> SocketAddr {
    net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn echo() {
    run(async {
        let (mut caller, mut called) = pair().await;
        assert_eq!(caller.peer_addr().unwrap(), called.local_addr().unwrap());
        let echo = async {
            let mut buf = [0; 64];
            for _ in 0..1000 {
                let n = called.read(&mut buf).await.unwrap();
                called.write_all(&buf[..n]).await.unwrap();
            }
        };
        let call = async {
            let mut reply = [0; 5];
            for i in 0..1000 {
                let message = format!("{i:05}");
                caller.write_all(message.as_bytes()).await.unwrap();
                caller.read_exact(&mut reply).await.unwrap();
                assert_eq!(reply, message.as_bytes());
            }
        };
        join!(echo, call);
    });
}

#[test]
fn a_megabyte_through_small_buffers() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let sent = pattern(4 << 20);
        let send = async {
            caller.write_all(&sent).await.unwrap();
            caller.shutdown(Shutdown::Write).unwrap();
        };
        let (_, received) = join!(send, read_to_end(&mut called));
        assert!(sent == received);
    });
}

#[test]
fn end_of_stream_that_arrives_with_the_data() {
    run(async {
        let (mut caller, mut called) = pair().await;
        caller.write_all(b"bye").await.unwrap();
        drop(caller);
        let mut buf = [0; 64];
        assert_eq!(called.read(&mut buf).await.unwrap(), 3);
        for _ in 0..3 {
            assert_eq!(called.read(&mut buf).await.unwrap(), 0, "the end stays the end");
        }
    });
}

#[test]
fn end_of_stream_that_arrives_between_reads() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let mut buf = [0; 64];
        let (_, n) = join!(caller.write_all(b"x"), called.read(&mut buf));
        assert_eq!(n.unwrap(), 1);
        let (_, n) = join!(async { drop(caller) }, called.read(&mut buf));
        assert_eq!(n.unwrap(), 0);
        let error = called.read_exact(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(error.to_string(), "the peer closed the connection after 0 of 64 bytes");
    });
}

#[test]
fn exactly_full_buffers_then_the_end() {
    run(async {
        let (mut caller, mut called) = pair().await;
        caller.write_all(&[7; 128]).await.unwrap();
        drop(caller);
        let mut buf = [0; 64];
        assert_eq!(called.read(&mut buf).await.unwrap(), 64);
        assert_eq!(called.read(&mut buf).await.unwrap(), 64);
        assert_eq!(called.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn empty_buffers_wait_for_nothing() {
    run(async {
        let (mut caller, _called) = pair().await;
        assert_eq!(caller.read(&mut []).await.unwrap(), 0);
        assert_eq!(caller.peek(&mut []).await.unwrap(), 0);
        assert_eq!(caller.write(&[]).await.unwrap(), 0);
        assert_eq!(caller.read_vectored(&mut []).await.unwrap(), 0);
        assert_eq!(caller.write_vectored(&[IoSlice::new(&[])]).await.unwrap(), 0);
        caller.read_exact(&mut []).await.unwrap();
    });
}

#[test]
fn peek_leaves_the_data() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let mut buf = [0; 8];
        let (_, n) = join!(caller.write_all(b"peek"), called.peek(&mut buf));
        assert_eq!(n.unwrap(), 4);
        assert_eq!(called.peek(&mut buf[..2]).await.unwrap(), 2);
        assert_eq!(called.peek(&mut buf).await.unwrap(), 4);
        assert_eq!(called.read(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf[..4], b"peek");
    });
}

#[test]
fn vectored() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two "), IoSlice::new(b"three")];
        assert_eq!(caller.write_vectored(&parts).await.unwrap(), 13);
        let (mut a, mut b) = ([0; 6], [0; 20]);
        let n = called.read_vectored(&mut [IoSliceMut::new(&mut a), IoSliceMut::new(&mut b)]).await.unwrap();
        assert_eq!((n, &a, &b[..7]), (13, b"one tw", b"o three".as_slice()));
        caller.write_all(b"again").await.unwrap();
        assert_eq!(called.read(&mut b).await.unwrap(), 5, "the short read left no stale readiness");
    });
}

#[test]
fn more_slices_than_the_system_takes_at_once() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let many: Vec<_> = (0..3000).map(|_| IoSlice::new(b"x")).collect();
        assert_eq!(caller.write_vectored(&many).await.unwrap(), 1024);
        assert_eq!(called.read(&mut [0; 4096]).await.unwrap(), 1024);
    });
}

#[test]
fn shutdown_ends_one_direction() {
    run(async {
        let (mut caller, mut called) = pair().await;
        caller.shutdown(Shutdown::Write).unwrap();
        assert_eq!(called.read(&mut [0; 8]).await.unwrap(), 0);
        called.write_all(b"still here").await.unwrap();
        let mut buf = [0; 10];
        caller.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"still here");
        assert_eq!(caller.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_peer_that_goes_away_is_an_error_to_the_writer() {
    run(async {
        let (mut caller, called) = pair().await;
        drop(called);
        let error = loop {
            if let Err(e) = caller.write_all(&[0; 65536]).await {
                break e;
            }
        };
        assert!(matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{error}");
    });
}

#[test]
fn a_writer_that_waits_learns_that_the_peer_is_gone() {
    run(async {
        let (mut caller, called) = pair().await;
        let flood = async { while caller.write_all(&[0; 65536]).await.is_ok() {} };
        let leave = async {
            // Once a little was read, the other side is in full flow and soon stuck.
            let mut called = called;
            called.read_exact(&mut vec![0; 1 << 20]).await.unwrap();
            called.set_linger(Some(std::time::Duration::ZERO)).unwrap();
        };
        join!(flood, leave);
    });
}

#[test]
fn a_reset_is_an_error_to_the_reader() {
    run(async {
        let (caller, mut called) = pair().await;
        let mut buf = [0; 8];
        let reset = async {
            caller.set_linger(Some(std::time::Duration::ZERO)).unwrap();
            drop(caller);
        };
        let (n, ()) = join!(called.read(&mut buf), reset);
        assert_eq!(n.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn refused_connections_name_the_address() {
    run(async {
        let addr = closed_addr();
        let error = TcpStream::connect(addr).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&format!("could not connect to {addr}: ")), "{error}");
        let source = std::error::Error::source(&error).unwrap().downcast_ref::<io::Error>().unwrap();
        assert!(source.raw_os_error().is_some());

        let error = TcpStream::connect([closed_addr(), closed_addr(), addr]).await.unwrap_err();
        assert!(error.to_string().contains(&addr.to_string()), "the last one: {error}");
        assert!(error.to_string().ends_with("(and the 2 addresses tried before failed too)"), "{error}");
    });
}

#[test]
fn connect_tries_every_address() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let addrs = vec![closed_addr(), addr, closed_addr()];
        let (caller, called) = join!(TcpStream::connect(&addrs), listener.accept());
        assert_eq!(caller.unwrap().peer_addr().unwrap(), addr);
        called.unwrap();
    });
}

#[test]
fn connect_by_text() {
    run(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let text = listener.local_addr().unwrap().to_string();
        let (caller, called) = join!(TcpStream::connect(text.as_str()), listener.accept());
        assert_eq!(caller.unwrap().local_addr().unwrap(), called.unwrap().1);
        let error = TcpStream::connect("nonsense").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn bound_twice_names_the_address() {
    run(async {
        let first = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = first.local_addr().unwrap();
        let error = TcpListener::bind(addr).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with(&format!("could not listen on {addr}: ")), "{error}");
        let second = TcpListener::bind([addr, "127.0.0.1:0".parse().unwrap()]).await.unwrap();
        assert_ne!(second.local_addr().unwrap(), addr);
    });
}

#[test]
fn there_and_back_to_std() {
    run(async {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let caller = net::TcpStream::connect(addr).unwrap();
        let (mut called, _) = listener.accept().await.unwrap();
        let mut caller = TcpStream::from_std(caller).unwrap();
        caller.write_all(b"hi").await.unwrap();
        called.read_exact(&mut [0; 2]).await.unwrap();

        let mut caller = caller.into_std().unwrap();
        caller.set_nonblocking(false).unwrap();
        let blocking = thread::spawn(move || {
            let mut buf = [0; 4];
            caller.read_exact(&mut buf).unwrap();
            caller.write_all(&buf).unwrap();
            caller
        });
        called.write_all(b"echo").await.unwrap();
        let mut buf = [0; 4];
        called.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"echo");

        // The same descriptor, registered anew.
        let mut caller = TcpStream::from_std(blocking.join().unwrap()).unwrap();
        caller.write_all(b"more").await.unwrap();
        called.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"more");

        let listener = listener.into_std().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
    });
}

#[test]
fn outside_of_a_loop_it_says_so() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let error = TcpListener::from_std(listener).unwrap_err();
    assert!(!error.to_string().is_empty());
}
