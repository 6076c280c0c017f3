//! Reading and writing: edges, short reads, ends of streams.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kumihimo_context::Leaf;
use kumihimo_reactor::{Async, Backend, Direction, Turn};

use crate::executor::{Executor, poll_once};
use crate::with_both_pollers;

with_both_pollers! {
    reads_what_arrives_later
    reads_what_was_there_before_without_a_turn
    reads_and_writes_at_the_same_time
    a_short_read_saves_the_next_attempt
    an_end_that_came_with_the_data_survives_a_short_read
    chunks_from_another_thread_all_arrive
    readable_waits_for_a_report_and_lasts_until_an_attempt_blocks
    pipes_end
    an_operation_that_is_interrupted_is_repeated
}

/// The strict reader of streams: takes a short read as the end of what is there.
async fn read(io: &Async<UnixStream>, buf: &mut [u8]) -> io::Result<usize> {
    let (mut leaf, room) = (Leaf::new(), buf.len());
    poll_fn(|cx| io.poll_read_drained(&mut leaf, cx, |mut io| io.read(buf), |&n| n < room)).await
}

fn pair(executor: &Executor) -> (Async<UnixStream>, UnixStream) {
    let _entered = executor.reactor.enter(0);
    let (near, far) = UnixStream::pair().unwrap();
    (Async::new(near).unwrap(), far)
}

fn reads_what_arrives_later(backend: Backend) {
    let mut executor = Executor::new(backend);
    let (near, mut far) = pair(&executor);
    let writer = std::thread::spawn(move || {
        for byte in 0..100 {
            std::thread::sleep(Duration::from_micros(100));
            far.write_all(&[byte]).unwrap();
        }
    });
    executor.block_on(async {
        for byte in 0..100 {
            let mut buf = [0];
            assert_eq!(near.read_with(|mut io| io.read(&mut buf)).await.unwrap(), 1);
            assert_eq!(buf, [byte]);
        }
        assert_eq!(near.read_with(|mut io| io.read(&mut [0])).await.unwrap(), 0);
    });
    writer.join().unwrap();
}

fn reads_what_was_there_before_without_a_turn(backend: Backend) {
    let executor = Executor::new(backend);
    let _entered = executor.reactor.enter(0);
    let (near, mut far) = UnixStream::pair().unwrap();
    far.write_all(b"hello").unwrap();
    let near = Async::new(near).unwrap();
    let mut buf = [0; 8];
    let mut reading = pin!(read(&near, &mut buf));
    assert!(poll_once(reading.as_mut()).is_ready());
}

fn reads_and_writes_at_the_same_time(backend: Backend) {
    const TOTAL: usize = 4 << 20;
    let mut executor = Executor::new(backend);
    let (near, far) = pair(&executor);
    let near = Arc::new(near);
    let echo = std::thread::spawn(move || {
        let (mut reader, mut writer) = (&far, &far);
        io::copy(&mut reader, &mut writer).unwrap();
    });
    let writer = near.clone();
    executor.spawn(async move {
        let (mut leaf, mut left) = (Leaf::new(), TOTAL);
        let chunk = vec![7; 100_000];
        while left > 0 {
            let chunk = &chunk[..left.min(chunk.len())];
            let write = |mut io: &UnixStream| io.write(chunk);
            left -= poll_fn(|cx| writer.poll_write_drained(&mut leaf, cx, write, |&n| n < chunk.len()))
                .await
                .unwrap();
        }
        writer.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    });
    executor.spawn(async move {
        let (mut total, mut buf) = (0, vec![0; 30_000]);
        loop {
            match read(&near, &mut buf).await.unwrap() {
                0 => break,
                n => total += n,
            }
        }
        assert_eq!(total, TOTAL);
    });
    executor.run();
    echo.join().unwrap();
}

fn a_short_read_saves_the_next_attempt(backend: Backend) {
    let mut executor = Executor::new(backend);
    let (near, mut far) = pair(&executor);
    let (attempts, seen) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (attempts_in_task, seen_in_task) = (attempts.clone(), seen.clone());
    executor.spawn(async move {
        let mut leaf = Leaf::new();
        while seen_in_task.get() < 6 {
            let read = |mut io: &UnixStream| {
                attempts_in_task.set(attempts_in_task.get() + 1);
                io.read(&mut [0; 8])
            };
            let n = poll_fn(|cx| near.poll_read_drained(&mut leaf, cx, read, |&n| n < 8)).await.unwrap();
            seen_in_task.set(seen_in_task.get() + n);
        }
    });
    let _entered = executor.reactor.enter(0);
    executor.poll_woken();
    // The one try of a descriptor of which nothing is known.
    assert_eq!(attempts.get(), 1);
    for round in 1..=2 {
        far.write_all(b"abc").unwrap();
        while seen.get() < 3 * round {
            executor.reactor.turn(Turn::Wait);
            executor.poll_woken();
        }
    }
    assert_eq!(attempts.get(), 3);
}

fn an_end_that_came_with_the_data_survives_a_short_read(backend: Backend) {
    for tcp in [false, true] {
        let mut executor = Executor::new(backend);
        let (near, mut far) = if tcp { tcp_pair() } else { unix_pair() };
        let near = {
            let _entered = executor.reactor.enter(0);
            Async::new(near).unwrap()
        };
        executor.block_on(async {
            let mut leaf = Leaf::new();
            assert!(poll_once(pin!(near.read_with(|io| io.borrow_read(&mut [0; 8])))).is_pending());
            // Both before the next turn, so in one event.
            far.write_all(b"abc").unwrap();
            drop(far);
            near.readable().await.unwrap();
            for expected in [3, 0, 0] {
                let n = poll_fn(|cx| {
                    near.poll_read_drained(&mut leaf, cx, |io| io.borrow_read(&mut [0; 8]), |&n| n < 8)
                });
                assert_eq!(n.await.unwrap(), expected);
            }
        });
    }
}

/// Either kind of stream.
trait Socket: std::os::fd::AsFd {
    fn borrow_read(&self, buf: &mut [u8]) -> io::Result<usize>;
}

impl Socket for TcpStream {
    fn borrow_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Socket for UnixStream {
    fn borrow_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

fn tcp_pair() -> (Box<dyn Socket>, Box<dyn Write>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (Box::new(near), Box::new(listener.accept().unwrap().0))
}

fn unix_pair() -> (Box<dyn Socket>, Box<dyn Write>) {
    let (near, far) = UnixStream::pair().unwrap();
    (Box::new(near), Box::new(far))
}

/// Reads race with reports: nothing is lost, and the end always comes.
fn chunks_from_another_thread_all_arrive(backend: Backend) {
    let mut executor = Executor::new(backend);
    for round in 0..300 {
        let (near, mut far) = pair(&executor);
        let writer = std::thread::spawn(move || {
            for length in 1..=20 {
                far.write_all(&vec![1; length]).unwrap();
                for _ in 0..(round * length) % 97 {
                    std::hint::spin_loop();
                }
            }
        });
        let total = executor.block_on(async {
            let (mut total, mut buf) = (0, [0; 16]);
            loop {
                match read(&near, &mut buf).await.unwrap() {
                    0 => return total,
                    n => total += n,
                }
            }
        });
        assert_eq!(total, (1..=20).sum());
        writer.join().unwrap();
    }
}

fn readable_waits_for_a_report_and_lasts_until_an_attempt_blocks(backend: Backend) {
    let mut executor = Executor::new(backend);
    let (near, mut far) = pair(&executor);
    executor.block_on(async {
        near.writable().await.unwrap();
        assert!(poll_once(pin!(near.readable())).is_pending());
        far.write_all(b"ab").unwrap();
        near.readable().await.unwrap();
        assert!(poll_once(pin!(near.readable())).is_ready());
        let try_read = || near.try_io(Direction::Read, |mut io| io.read(&mut [0]));
        assert_eq!(try_read().unwrap(), 1);
        assert!(poll_once(pin!(near.readable())).is_ready());
        assert_eq!(try_read().unwrap(), 1);
        assert_eq!(try_read().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(poll_once(pin!(near.readable())).is_pending());
        let never = near.try_io(Direction::Read, |_| -> io::Result<()> { panic!("known not to be ready") });
        assert_eq!(never.unwrap_err().kind(), io::ErrorKind::WouldBlock);
    });
}

fn pipes_end(backend: Backend) {
    let mut executor = Executor::new(backend);
    let (reader, mut writer) = io::pipe().unwrap();
    let (dead_reader, dead_writer) = io::pipe().unwrap();
    let (reader, dead_writer) = {
        let _entered = executor.reactor.enter(0);
        (Async::new(reader).unwrap(), Async::new(dead_writer).unwrap())
    };
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(5));
        writer.write_all(b"abc").unwrap();
        drop(writer);
        drop(dead_reader);
    });
    executor.block_on(async {
        let (mut leaf, mut buf) = (Leaf::new(), [0; 8]);
        for expected in [3, 0] {
            let read = |mut io: &io::PipeReader| io.read(&mut buf);
            let n = poll_fn({
                let mut read = read;
                let (reader, leaf) = (&reader, &mut leaf);
                move |cx| reader.poll_read_drained(leaf, cx, &mut read, |&n| n < 8)
            });
            assert_eq!(n.await.unwrap(), expected);
        }
        let error = loop {
            if let Err(error) = dead_writer.write_with(|mut io| io.write(&[0; 4096])).await {
                break error;
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    });
    thread.join().unwrap();
}

fn an_operation_that_is_interrupted_is_repeated(backend: Backend) {
    let mut executor = Executor::new(backend);
    let (near, _far) = pair(&executor);
    let mut attempts = 0;
    let result = executor.block_on(near.write_with(|_| {
        attempts += 1;
        if attempts < 3 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(attempts) }
    }));
    assert_eq!(result.unwrap(), 3);
}
