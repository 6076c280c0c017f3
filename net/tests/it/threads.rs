//! The same sockets on several threads, while another one turns the reactor.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use futures_util::join;
use kumihimo_net::{TcpListener, TcpStream};
use kumihimo_reactor::{Reactor, Turn};

use crate::tiny::watch;
use crate::{pattern, read_to_end};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, which parks while the future waits: somebody else must turn the reactor.
fn run_parked<F: Future>(future: F) -> F::Output {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// Runs `work` with the numbers 1 to `threads`, each on a thread of its own, beside the thread that turns. They share
/// what `setup` makes.
fn run_on<T: Sync>(threads: usize, setup: impl FnOnce() -> T, work: impl Fn(usize, &T) + Sync) {
    let _watched = watch();
    let reactor = Reactor::new(threads + 1).unwrap();
    let left = AtomicUsize::new(threads);
    let _worker = reactor.enter(0);
    let shared = setup();
    thread::scope(|scope| {
        for number in 1..=threads {
            let (reactor, left, shared, work) = (&reactor, &left, &shared, &work);
            scope.spawn(move || {
                let _worker = reactor.enter(number);
                // Dropped in a panic too, so that the turning thread ends and the test can fail.
                let _done = Done(left, reactor);
                work(number, shared);
            });
        }
        // Acquire: pairs with the Release of `Done`.
        while left.load(Ordering::Acquire) > 0 {
            reactor.turn(Turn::Wait);
        }
    });
}

struct Done<'a>(&'a AtomicUsize, &'a Reactor);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of `run_on`.
        self.0.fetch_sub(1, Ordering::Release);
        self.1.interrupt();
    }
}

#[test]
fn servers_and_clients_on_threads_of_their_own() {
    const CLIENTS: usize = 3;
    const CONNECTIONS: usize = 20;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let data = pattern(100_000);
    let served = AtomicUsize::new(0);
    let setup = || TcpListener::from_std(listener).unwrap();
    run_on(2 + CLIENTS, setup, |number, listener| {
        run_parked(async {
            if number <= 2 {
                // Both accept from one listener, until all connections are served.
                // Relaxed: a count of turns taken, and nothing else.
                while served.fetch_add(1, Ordering::Relaxed) < CLIENTS * CONNECTIONS {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let (read, mut write) = stream.split();
                    futures_util::io::copy(read, &mut write).await.unwrap();
                }
            } else {
                for connection in 0..CONNECTIONS {
                    let (mut read, mut write) = TcpStream::connect(addr).await.unwrap().into_split();
                    let part = &data[connection..];
                    let send = async {
                        for chunk in part.chunks(1 + connection * 97) {
                            write.write_all(chunk).await.unwrap();
                        }
                        drop(write);
                    };
                    let (_, back) = join!(send, read_to_end(&mut read));
                    assert!(back == part);
                }
            }
        });
    });
}

#[test]
fn owned_halves_move_to_other_threads() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let data = pattern(2 << 20);
    let setup = || TcpListener::from_std(listener).unwrap();
    run_on(1, setup, |_, listener| {
        run_parked(async {
            let (caller, called) = join!(TcpStream::connect(addr), listener.accept());
            let (mut caller_read, mut caller_write) = caller.unwrap().into_split();
            let (mut called_read, mut called_write) = called.unwrap().0.into_split();
            // These threads are no workers of anything: they only wait for what is registered already.
            thread::scope(|scope| {
                scope.spawn(|| run_parked(async { caller_write.write_all(&data).await.unwrap() }));
                scope.spawn(|| {
                    run_parked(async {
                        let mut back = vec![0; data.len()];
                        called_read.read_exact(&mut back).await.unwrap();
                        assert!(back == data);
                    });
                });
                scope.spawn(|| run_parked(async { called_write.write_all(&data).await.unwrap() }));
                scope.spawn(|| {
                    run_parked(async {
                        let mut back = vec![0; data.len()];
                        caller_read.read_exact(&mut back).await.unwrap();
                        assert!(back == data);
                    });
                });
            });
            caller_read.reunite(caller_write).unwrap();
        });
    });
}
