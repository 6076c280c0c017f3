//! Registering and deregistering.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use kumihimo_context::Leaf;
use kumihimo_reactor::{Async, Backend, Direction, Turn};

use crate::executor::{Executor, poll_once};
use crate::with_both_pollers;

with_both_pollers! {
    closing_wakes_whoever_waits_with_an_error
    closing_from_another_thread_wakes
    a_descriptor_can_be_taken_back_and_registered_anew
    a_new_descriptor_under_an_old_number_gets_only_its_own_events
    what_can_not_be_registered_is_refused
}

fn closing_wakes_whoever_waits_with_an_error(backend: Backend) {
    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let (near, mut far) = UnixStream::pair().unwrap();
    let near = Async::new(near).unwrap();
    let mut leaf = Leaf::new();
    let mut poll_slot = |waker: &Waker| {
        near.poll_read_with(&mut leaf, &mut Context::from_waker(waker), |mut io| io.read(&mut [0; 8]))
    };
    let wakers = [executor.woken(), executor.woken(), executor.woken()];
    let [first, second, third] = wakers.clone().map(Waker::from);
    let (mut readable, mut reading) =
        (Box::pin(near.readable()), Box::pin(near.read_with(|mut io| io.read(&mut [0; 8]))));
    assert!(poll_slot(&first).is_pending());
    assert!(readable.as_mut().poll(&mut Context::from_waker(&second)).is_pending());
    assert!(reading.as_mut().poll(&mut Context::from_waker(&third)).is_pending());

    near.close().unwrap();
    near.close().unwrap();
    for waker in wakers {
        assert_eq!(waker.count.load(std::sync::atomic::Ordering::Relaxed), 1);
    }
    let aborted = |result: Poll<io::Result<()>>| matches!(result, Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted);
    assert!(aborted(poll_slot(&first).map_ok(drop)));
    assert!(aborted(poll_once(readable.as_mut())));
    assert!(aborted(poll_once(reading.as_mut()).map_ok(drop)));
    assert!(aborted(Poll::Ready(near.try_io(Direction::Read, |_| Ok(())))));
    assert!(aborted(poll_once(pin!(near.writable()))));

    // The descriptor itself is still open.
    drop((readable, reading));
    far.write_all(b"x").unwrap();
    executor.reactor.turn(Turn::Poll);
    assert_eq!(near.into_inner().unwrap().read(&mut [0; 8]).unwrap(), 1);
}

fn closing_from_another_thread_wakes(backend: Backend) {
    for _ in 0..200 {
        let mut executor = Executor::new(backend);
        let (near, _far) = UnixStream::pair().unwrap();
        let near = {
            let _entered = executor.reactor.enter(0);
            Arc::new(Async::new(near).unwrap())
        };
        let closer = near.clone();
        let thread = std::thread::spawn(move || closer.close().unwrap());
        let error = executor.block_on(near.read_with(|mut io| io.read(&mut [0; 8]))).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error}");
        thread.join().unwrap();
    }
}

fn a_descriptor_can_be_taken_back_and_registered_anew(backend: Backend) {
    let mut executor = Executor::new(backend);
    let (mut near, mut far) = UnixStream::pair().unwrap();
    executor.block_on(async {
        for _ in 0..5 {
            let registered = Async::new(near).unwrap();
            far.write_all(b"x").unwrap();
            registered.readable().await.unwrap();
            assert_eq!(registered.read_with(|mut io| io.read(&mut [0; 8])).await.unwrap(), 1);
            near = registered.into_inner().unwrap();
        }
    });
}

fn a_new_descriptor_under_an_old_number_gets_only_its_own_events(backend: Backend) {
    let mut executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let (near, mut far) = UnixStream::pair().unwrap();
    let old_number = near.as_raw_fd();
    let near = Async::new(near).unwrap();
    assert!(poll_once(pin!(near.readable())).is_pending());
    // An event of the old descriptor is in the system when it is closed.
    far.write_all(b"x").unwrap();
    drop(near);
    let (new_near, mut new_far) = UnixStream::pair().unwrap();
    // Other tests open descriptors at the same time, so the number may be another one; then only the key is reused.
    let reused = [&new_near, &new_far].iter().any(|new| new.as_raw_fd() == old_number);
    let new_near = Async::new(new_near).unwrap();
    let mut readable = pin!(new_near.readable());
    assert!(poll_once(readable.as_mut()).is_pending());
    executor.reactor.turn(Turn::Poll);
    executor.reactor.turn(Turn::Poll);
    assert!(poll_once(readable.as_mut()).is_pending(), "got an event of its predecessor (reused: {reused})");
    new_far.write_all(b"x").unwrap();
    executor.block_on(readable).unwrap();
}

fn what_can_not_be_registered_is_refused(backend: Backend) {
    let (near, _far) = UnixStream::pair().unwrap();
    let error = Async::new(near.as_fd()).unwrap_err();
    assert!(error.to_string().contains("running loop"), "{error}");

    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let _first = Async::new(near.as_fd()).unwrap();
    let error = Async::new(near.as_fd()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    assert!(error.to_string().contains("registered already"), "{error}");

    if cfg!(all(target_os = "linux", not(polling_test_poll_backend))) {
        let file = std::fs::File::open(std::env::current_exe().unwrap()).unwrap();
        let error = Async::new_nonblocking(file).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
        assert!(error.to_string().contains("use a thread"), "{error}");
    }
}
