//! One task is awaited by several tasks, before and after its end; all get the same value or error.

use std::sync::{Arc, Mutex};

use kumihimo as asyncio;
use kumihimo::SharedTask;

use crate::trace::{LookupError, seconds};

/// Shared, so that one can see that everybody gets the same one.
type Row = Result<Arc<Vec<&'static str>>, Arc<LookupError>>;

async fn database_request(fail: bool) -> Row {
    log!("request runs");
    asyncio::sleep(seconds(0.04)).await;
    if fail {
        return Err(Arc::new(LookupError("no such row")));
    }
    Ok(Arc::new(vec!["row"]))
}

async fn process(label: String, task: SharedTask<Row>, seen: Arc<Mutex<Vec<Row>>>) {
    let row = task.await;
    match &row {
        Ok(value) => log!(label, "got", value),
        Err(error) => log!(label, "raised", error),
    }
    seen.lock().unwrap().push(row);
}

fn same_object(a: &Row, b: &Row) -> bool {
    match (a, b) {
        (Ok(a), Ok(b)) => Arc::ptr_eq(a, b),
        (Err(a), Err(b)) => Arc::ptr_eq(a, b),
        _ => false,
    }
}

pub(crate) async fn main() {
    for fail in [false, true] {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let task = asyncio::create_task(database_request(fail)).shared();
        let process = |label: &str| process(label.into(), task.clone(), seen.clone());
        let mut waiting: Vec<_> =
            (0..3).map(|i| asyncio::create_task(process(&format!("early {i}")))).collect();
        asyncio::sleep(seconds(0.02)).await;
        waiting.push(asyncio::create_task(process("late")));
        asyncio::wait(waiting).await;
        process("after the end").await;
        process("once more").await;
        let seen = seen.lock().unwrap();
        log!("all the same object", seen.iter().all(|row| same_object(row, &seen[0])), seen.len());
    }
}
