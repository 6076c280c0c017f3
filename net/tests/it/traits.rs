//! The traits of other crates, and Send and Sync.

use futures_util::{AsyncReadExt, AsyncWriteExt, join};
use kumihimo_net::{
    Incoming, OwnedReadHalf, OwnedWriteHalf, ReadHalf, Signal, TcpListener, TcpStream, WriteHalf, resolve,
};

use crate::tiny::run;
use crate::{pair, pattern, read_to_end};

#[test]
fn futures_io() {
    run(async {
        let (mut caller, mut called) = pair().await;
        let data = pattern(300_000);
        let send = async {
            AsyncWriteExt::write_all(&mut caller, &data).await.unwrap();
            caller.flush().await.unwrap();
            caller.close().await.unwrap();
        };
        let (_, received) = join!(send, read_to_end(&mut called));
        assert!(received == data);
    });
}

#[test]
fn futures_io_on_halves() {
    run(async {
        let (caller, called) = pair().await;
        let (mut read, mut write) = caller.into_split();
        let data = pattern(300_000);
        let send = async {
            AsyncWriteExt::write_all(&mut write, &data).await.unwrap();
            write.close().await.unwrap();
        };
        let echo = async {
            let (read, mut write) = called.split();
            futures_util::io::copy(read, &mut write).await.unwrap();
            write.close().await.unwrap();
        };
        let (_, _, received) = join!(send, echo, async {
            let mut all = Vec::new();
            AsyncReadExt::read_to_end(&mut read, &mut all).await.unwrap();
            all
        });
        assert!(received == data);
    });
}

#[cfg(feature = "hyper")]
#[test]
fn hyper_reads_into_what_is_not_initialised() {
    use std::future::poll_fn;
    use std::io::IoSlice;
    use std::mem::MaybeUninit;
    use std::pin::Pin;

    use hyper::rt::{Read, ReadBuf, Write};

    run(async {
        let (mut caller, mut called) = pair().await;
        assert!(caller.is_write_vectored());
        let parts = [IoSlice::new(b"hel"), IoSlice::new(b"lo")];
        let sent = poll_fn(|cx| Write::poll_write_vectored(Pin::new(&mut caller), cx, &parts)).await;
        assert_eq!(sent.unwrap(), 5);
        let sent = poll_fn(|cx| Write::poll_write(Pin::new(&mut caller), cx, b" you")).await;
        assert_eq!(sent.unwrap(), 4);
        poll_fn(|cx| Write::poll_flush(Pin::new(&mut caller), cx)).await.unwrap();
        poll_fn(|cx| Write::poll_shutdown(Pin::new(&mut caller), cx)).await.unwrap();

        let mut room = [MaybeUninit::uninit(); 64];
        let mut buf = ReadBuf::uninit(&mut room);
        loop {
            let before = buf.filled().len();
            poll_fn(|cx| Read::poll_read(Pin::new(&mut called), cx, buf.unfilled())).await.unwrap();
            if buf.filled().len() == before {
                break;
            }
        }
        assert_eq!(buf.filled(), b"hello you");
    });
}

#[test]
fn everything_can_move_between_threads() {
    fn send_sync<T: Send + Sync>() {}
    fn send<T: Send>(_: &T) {}
    fn is_send<T: Send>() {}

    send_sync::<TcpStream>();
    send_sync::<TcpListener>();
    send_sync::<ReadHalf<'_>>();
    send_sync::<WriteHalf<'_>>();
    send_sync::<OwnedReadHalf>();
    send_sync::<OwnedWriteHalf>();
    send_sync::<Signal>();
    is_send::<Incoming<'_>>();

    send(&TcpStream::connect("localhost:80"));
    send(&TcpListener::bind(String::from("localhost:80")));
    send(&resolve(("localhost", 80)));
    send(&async {
        let (mut caller, called) = pair().await;
        let _ = caller.read_exact(&mut [0]).await;
        let _ = caller.write_vectored(&[]).await;
        let (mut read, mut write) = called.into_split();
        let _ = read.peek(&mut []).await;
        let _ = write.write_all(&[]).await;
    });
}
