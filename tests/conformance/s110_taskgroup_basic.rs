//! The group waits for all children, also for those that children create after the body's end.

use std::convert::Infallible;
use std::pin::Pin;

use kumihimo as asyncio;
use kumihimo::{TaskGroup, task};

use crate::trace::seconds;

type Tg = TaskGroup<Infallible>;

/// A box, as a future can't contain itself.
type Child = Pin<Box<dyn Future<Output = Result<String, Infallible>> + Send>>;

fn child(tg: Tg, label: String, delay: f64, more: u32) -> Child {
    Box::pin(async move {
        asyncio::sleep(seconds(delay)).await;
        log!(label, "ends, name", asyncio::current_task().unwrap().name());
        if more > 0 {
            let label = format!("{label}+");
            let name = task::Builder::new().name(&label);
            tg.create_task_with(name, child(tg.clone(), label, delay, more - 1));
        }
        Ok(label)
    })
}

pub(crate) async fn main() {
    let group = asyncio::task_group(async |tg: Tg| {
        let a = tg.create_task_with(task::Builder::new().name("first"), child(tg.clone(), "a".into(), 0.02, 2));
        let b = tg.create_task_with(task::Builder::new().name("second"), child(tg.clone(), "b".into(), 0.2, 0));
        log!("body ends, children done", a.done(), b.done());
        Ok((a, b))
    });
    let (a, b) = group.await.unwrap();
    log!("group ends", a.try_result(), b.try_result());
    asyncio::task_group(async |_: Tg| Ok(())).await.unwrap();
    log!("empty group");
}
