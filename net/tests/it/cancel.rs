//! Cancelled and dropped calls lose nothing.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use futures_util::{AsyncReadExt, FutureExt};
use kumihimo_context::{UNLIMITED, enter};

use crate::tiny::run;
use crate::{pair, pattern};

/// Polls once while a cancellation is being delivered to a task; true if it got through to the root.
async fn poll_delivering<F: Future + Unpin>(future: &mut F) -> (bool, Poll<F::Output>) {
    poll_fn(|cx| {
        let task = &raw const *cx;
        // SAFETY: nothing here follows the address.
        let guard = unsafe { enter(task.cast(), UNLIMITED) };
        guard.deliver(None, false);
        let polled = future.poll_unpin(cx);
        Poll::Ready((guard.ending().cancelled, polled))
    })
    .await
}

#[test]
fn a_dropped_read_loses_no_data() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let mut buf = [0; 16];
        for i in 0..100_u8 {
            assert!(called.read(&mut buf).now_or_never().is_none());
            caller.write_all(&[i]).await.unwrap();
            // Waits until the byte is there, so that the read that is dropped next could have had it.
            called.peek(&mut buf).await.unwrap();
            drop(called.read(&mut buf));
            called.read_exact(&mut buf[..1]).await.unwrap();
            assert_eq!(buf[0], i);
        }
    });
}

#[test]
fn a_read_that_waits_gives_way_to_a_cancellation_and_keeps_the_data() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let mut buf = [0; 16];
        {
            let mut read = pin!(called.read(&mut buf));
            assert!(poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await);
            caller.write_all(b"kept").await.unwrap();
            let (cancelled, polled) = poll_delivering(&mut read).await;
            assert!(cancelled && polled.is_pending());
        }
        called.read_exact(&mut buf[..4]).await.unwrap();
        assert_eq!(&buf[..4], b"kept");
    });
}

#[test]
fn a_read_that_is_ready_at_once_is_not_cancelled() {
    run(async {
        let (mut caller, mut called) = pair().await;
        // An earlier read that waited and was dropped must not count as this one's waiting.
        assert!(called.read(&mut [0; 4]).now_or_never().is_none());
        caller.write_all(b"now!").await.unwrap();
        called.peek(&mut [0]).await.unwrap();
        let mut buf = [0; 4];
        let mut read = Box::pin(called.read(&mut buf));
        let (cancelled, polled) = poll_delivering(&mut read).await;
        assert!(!cancelled || polled.is_ready());
        assert!(matches!(polled, Poll::Ready(Ok(4))));
    });
}

#[test]
fn a_trait_read_that_waited_gives_way_too() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let mut buf = [0; 4];
        {
            let mut read = AsyncReadExt::read(&mut called, &mut buf);
            assert!(poll_fn(|cx| Poll::Ready(read.poll_unpin(cx).is_pending())).await);
            caller.write_all(b"kept").await.unwrap();
            let (cancelled, polled) = poll_delivering(&mut read).await;
            assert!(cancelled && polled.is_pending());
        }
        assert_eq!(AsyncReadExt::read(&mut called, &mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"kept");
    });
}

#[test]
fn a_dropped_write_has_written_what_it_returned() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let data = pattern(1 << 20);
        // `write` says how much it took, so with one that is dropped while it waits, no byte is unaccounted for.
        let mut sent = 0;
        while let Some(n) = caller.write(&data[sent % data.len()..]).now_or_never() {
            sent += n.unwrap();
        }
        drop(caller);
        let received = crate::read_to_end(&mut called).await;
        assert_eq!(received.len(), sent);
        assert!(received.chunks(data.len()).all(|chunk| chunk == &data[..chunk.len()]));
    });
}

#[test]
fn a_spent_budget_makes_a_ready_read_yield() {
    run(async {
        let (mut caller, mut called) = pair().await;
        caller.write_all(b"xxxx").await.unwrap();
        called.peek(&mut [0]).await.unwrap();
        let mut buf = [0];
        let mut read = Box::pin(called.read_exact(&mut buf));
        let polled = poll_fn(|cx| {
            // SAFETY: nothing here follows the address.
            let _guard = unsafe { enter((&raw const *cx).cast(), 0) };
            Poll::Ready(read.poll_unpin(cx))
        })
        .await;
        assert!(polled.is_pending());
        read.await.unwrap();
    });
}
