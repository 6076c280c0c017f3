//! Who is woken: many tasks on one descriptor, tasks that stop waiting, wakers that panic.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use kumihimo_context::Leaf;
use kumihimo_reactor::{Async, Backend, Turn};

use crate::executor::{Executor, poll_once};
use crate::with_both_pollers;

with_both_pollers! {
    many_tasks_accept_from_one_listener
    a_waiter_that_goes_away_loses_nobody_a_connection
    a_reader_and_a_writer_are_woken_apart
    a_waker_that_panics_does_not_keep_the_others_asleep
    a_cancellation_that_is_delivered_leaves_the_data
    an_exhausted_budget_gives_way
    thousands_of_sources_are_all_served
}

fn many_tasks_accept_from_one_listener(backend: Backend) {
    let mut executor = Executor::new(backend);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let listener = {
        let _entered = executor.reactor.enter(0);
        Arc::new(Async::new(listener).unwrap())
    };
    let accepted = Arc::new(AtomicUsize::new(0));
    for _ in 0..16 {
        let (listener, accepted) = (listener.clone(), accepted.clone());
        executor.spawn(async move {
            listener.read_with(|listener| listener.accept()).await.unwrap();
            accepted.fetch_add(1, Ordering::Relaxed);
        });
    }
    let clients =
        std::thread::spawn(move || (0..16).map(|_| TcpStream::connect(address).unwrap()).collect::<Vec<_>>());
    executor.run();
    assert_eq!(accepted.load(Ordering::Relaxed), 16);
    clients.join().unwrap();
}

fn a_waiter_that_goes_away_loses_nobody_a_connection(backend: Backend) {
    let mut executor = Executor::new(backend);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    executor.block_on(async {
        let listener = Async::new(listener).unwrap();
        let mut stays = pin!(listener.read_with(|listener| listener.accept()));
        {
            let mut goes = pin!(listener.read_with(|listener| listener.accept()));
            assert!(poll_once(goes.as_mut()).is_pending());
            let polled = poll_fn(|cx| Poll::Ready(stays.as_mut().poll(cx))).await;
            assert!(polled.is_pending());
        }
        let _client = TcpStream::connect(address).unwrap();
        stays.await.unwrap();
    });
}

fn a_reader_and_a_writer_are_woken_apart(backend: Backend) {
    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near).unwrap();
    while near.try_io(kumihimo_reactor::Direction::Write, |mut io| io.write(&[0; 65536])).is_ok() {}
    let (reader, writer) = (executor.woken(), executor.woken());
    let (reader_waker, writer_waker) = (Waker::from(reader.clone()), Waker::from(writer.clone()));
    let (mut read_leaf, mut write_leaf) = (Leaf::new(), Leaf::new());
    let mut poll = |read: bool| {
        let waker = if read { &reader_waker } else { &writer_waker };
        let cx = &mut Context::from_waker(waker);
        if read {
            near.poll_read_with(&mut read_leaf, cx, |mut io| io.read(&mut [0; 8])).is_ready()
        } else {
            near.poll_write_with(&mut write_leaf, cx, |mut io| io.write(&[0; 8])).is_ready()
        }
    };
    assert!(!poll(true) && !poll(false));

    // Let what the registration reported go by.
    while executor.reactor.turn(Turn::Poll) {
        assert!(!poll(true) && !poll(false));
    }
    let (reads, writes) = (reader.count.load(Ordering::Relaxed), writer.count.load(Ordering::Relaxed));
    far.write_all(b"x").unwrap();
    executor.reactor.turn(Turn::Wait);
    assert_eq!(reader.count.load(Ordering::Relaxed), reads + 1);
    // A oneshot registration is disarmed by the event, so both come back to arm it again.
    let oneshot = cfg!(any(kumihimo_oneshot, polling_test_poll_backend, not(target_os = "linux")));
    if backend == Backend::Native && !oneshot {
        assert_eq!(writer.count.load(Ordering::Relaxed), writes);
    }
    assert!(poll(true) && !poll(false));

    let writes = writer.count.load(Ordering::Relaxed);
    far.set_nonblocking(true).unwrap();
    while far.read(&mut [0; 65536]).is_ok() {}
    executor.reactor.turn(Turn::Wait);
    assert_eq!(writer.count.load(Ordering::Relaxed), writes + 1);
    assert!(poll(false));
}

fn a_waker_that_panics_does_not_keep_the_others_asleep(backend: Backend) {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new("a waker panicked"));
        }
    }
    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near).unwrap();
    let (mut first, mut second) = (Box::pin(near.readable()), Box::pin(near.readable()));
    assert!(first.as_mut().poll(&mut Context::from_waker(&Arc::new(Panics).into())).is_pending());
    let woken = executor.woken();
    assert!(second.as_mut().poll(&mut Context::from_waker(&woken.clone().into())).is_pending());
    far.write_all(b"x").unwrap();
    let turned = std::panic::catch_unwind(AssertUnwindSafe(|| executor.reactor.turn(Turn::Wait)));
    assert!(turned.unwrap());
    assert_eq!(woken.count.load(Ordering::Relaxed), 1);
}

fn a_cancellation_that_is_delivered_leaves_the_data(backend: Backend) {
    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near).unwrap();
    let mut reading = pin!(near.read_with(|mut io| io.read(&mut [0; 8])));
    assert!(poll_once(reading.as_mut()).is_pending());
    far.write_all(b"x").unwrap();
    executor.reactor.turn(Turn::Wait);
    let task = std::ptr::dangling::<u64>().cast();
    // SAFETY: nothing here follows the address.
    let poll = unsafe { kumihimo_context::enter(task, kumihimo_context::UNLIMITED) };
    poll.deliver(None, false);
    assert!(poll_once(reading.as_mut()).is_pending());
    assert!(poll.ending().cancelled);
    drop(poll);
    assert!(poll_once(reading.as_mut()).is_ready());
}

fn an_exhausted_budget_gives_way(backend: Backend) {
    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let (near, _far) = UnixStream::pair().unwrap();
    let near = Async::new(near).unwrap();
    // SAFETY: nothing here follows the address.
    let _poll = unsafe { kumihimo_context::enter(std::ptr::dangling::<u64>().cast(), 1) };
    let mut writing = pin!(near.write_with(|mut io| io.write(b"x")));
    assert!(poll_once(writing.as_mut()).is_ready());
    let woken = executor.woken();
    let mut writing =
        pin!(near.write_with(|_| -> std::io::Result<()> { panic!("there was no budget for this") }));
    assert!(writing.as_mut().poll(&mut Context::from_waker(&woken.clone().into())).is_pending());
    assert_eq!(woken.count.load(Ordering::Relaxed), 1);
}

/// More events than one batch holds.
fn thousands_of_sources_are_all_served(backend: Backend) {
    let mut executor = Executor::new(backend);
    let mut far_ends = Vec::new();
    for _ in 0..400 {
        let (near, far) = UnixStream::pair().unwrap();
        far_ends.push(far);
        executor.spawn(async move {
            let near = Async::new(near).unwrap();
            assert_eq!(near.read_with(|mut io| io.read(&mut [0; 8])).await.unwrap(), 1);
        });
    }
    {
        let _entered = executor.reactor.enter(0);
        executor.poll_woken();
    }
    for far in &mut far_ends {
        far.write_all(b"x").unwrap();
    }
    executor.run();
}
