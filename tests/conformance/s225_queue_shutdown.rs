//! `shutdown`: no more puts; what is in the queue can still be fetched; blocked getters and putters are woken with an
//! error.

use kumihimo as asyncio;
use kumihimo::{GetError, PutError, Queue};

use crate::trace::{Show, seconds};

impl<T> Show for PutError<T> {
    fn show(&self) -> String {
        match self {
            PutError::Full(_) => "QueueFull".into(),
            PutError::ShutDown(error, _) => error.show(),
        }
    }
}

impl Show for GetError {
    fn show(&self) -> String {
        match self {
            GetError::Empty(_) => "QueueEmpty".into(),
            GetError::ShutDown(error) => error.show(),
        }
    }
}

async fn attempt<T: Show, E: Show>(label: impl Show, f: impl Future<Output = Result<T, E>>) -> Vec<String> {
    match f.await {
        Ok(r) => vec![label.show(), "gave".show(), r.show()],
        Err(error) => vec![label.show(), error.show()],
    }
}

pub(crate) async fn main() {
    let q = Queue::new(2);
    q.put_nowait("x").unwrap();
    q.put_nowait("y").unwrap();
    let blocked = q.clone();
    let blocked = asyncio::create_task(async move { attempt("blocked put", blocked.put("z")).await });
    asyncio::sleep(seconds(0.02)).await;
    q.shutdown(false);
    log!(blocked.await);
    log!(attempt("put", q.put("z")).await);
    log!(attempt("put_nowait", async { q.put_nowait("z") }).await);
    for _ in 0..3 {
        log!(attempt("get", q.get()).await);
    }
    log!(attempt("get_nowait", async { q.get_nowait() }).await);
    q.task_done().unwrap();
    q.task_done().unwrap();
    q.join().await;
    log!("joined");
    let q = Queue::<&str>::new(0);
    let getters = [0, 1].map(|i| {
        let q = q.clone();
        asyncio::create_task(async move { attempt(format!("getter {i}"), q.get()).await })
    });
    asyncio::sleep(seconds(0.02)).await;
    q.shutdown(false);
    log!(asyncio::gather(getters).await);
}
