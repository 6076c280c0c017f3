//! A task group that lives long keeps nothing of tasks that have ended.
//!
//! A counting allocator sees the whole process, so there is one test here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use kumihimo_combinators::task_group;
use kumihimo_executor::{Builder, ParkDriver, yield_now};

/// Counts the bytes that are allocated.
struct Counting;

static BYTES: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: memory comes from the system's allocator and goes back there.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size().cast_signed(), Relaxed);
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size().cast_signed(), Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(block, layout) }
    }
}

const TASKS: usize = if cfg!(miri) { 1_000 } else { 1_000_000 };

/// Tasks at a time.
const BURST: usize = 100;

/// Tables that grow once, and tasks that other workers have not come to. A leak would be a hundred times that.
const SLACK: isize = 1024 * 1024;

async fn child() -> Result<(), ()> {
    yield_now().await;
    Ok(())
}

#[test]
fn a_million_tasks_leave_nothing_behind() {
    for builder in [Builder::new().current_thread(), Builder::new().worker_threads(2)] {
        let runtime = builder.build(Arc::new(ParkDriver::default())).unwrap();
        let ended = runtime.block_on(
            task_group(async |tg| {
                let mut most = (0, 0);
                for round in 0..TASKS / BURST {
                    let mut last = None;
                    for _ in 0..BURST {
                        last = Some(tg.create_task(child()));
                    }
                    last.unwrap().await;
                    let half = if round < TASKS / BURST / 2 { &mut most.0 } else { &mut most.1 };
                    *half = BYTES.load(Relaxed).max(*half);
                }
                Ok(most)
            }),
            |_| {},
        );
        let (before, after) = ended.unwrap().unwrap();
        println!("at most {before} bytes in the first half, {after} in the second");
        assert!(after < before + SLACK, "{TASKS} tasks have left {} bytes", after - before);
    }
}
