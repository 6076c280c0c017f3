//! The end of a runtime: what is left is dropped, on the thread that it belongs to.

use super::call::Ready;
use super::local::Local;
use crate::sync::deque::Steal;
use crate::sync::thread;
use crate::task::harness;
use crate::task::header::TaskRef;

/// Drops the tasks that are pinned to a worker which is about to end, on its thread.
pub(crate) fn drop_pinned_tasks(local: &Local) {
    let pinned = |task: &TaskRef| task.header().state.is_pinned();
    loop {
        local.empty_inbox();
        loop {
            let task = local.pinned.borrow_mut().pop_front();
            let Some(task) = task else { break };
            drop_scheduled(task);
        }
        let left: Vec<_> = local.shared.registry.shard(local.index);
        let left: Vec<_> = left.iter().map(|handle| handle.task()).filter(pinned).collect();
        if left.is_empty() {
            break;
        }
        left.into_iter().for_each(drop_idle);
        // Somebody elsewhere has scheduled a task, and is about to put it into the inbox.
        thread::yield_now();
    }
    // What others may drop, they get.
    while let Some(task) = local.queue.pop(|| {}).or_else(|| local.remote().lifo.take()) {
        local.shared.injector.push(task);
    }
}

/// Drops every task that is left, and closes the registry. The other workers have ended.
pub(crate) fn drop_all_tasks(local: &Local) {
    let shared = &local.shared;
    loop {
        local.empty_inbox();
        local.empty_outside();
        shared.strand.clear();
        while let Some(task) = next_scheduled(local) {
            drop_scheduled(task);
        }
        for shard in 0..shared.registry.shards() {
            shared.registry.shard(shard).iter().for_each(|handle| drop_idle(handle.task()));
        }
        // A destructor may have made new tasks; a waker elsewhere may be about to push.
        if shared.registry.close() {
            local.empty_outside();
            while let Some(task) = next_scheduled(local) {
                drop_scheduled(task);
            }
            shared.strand.clear();
            // It may have the loop.
            shared.exceptions.set(None);
            return;
        }
        thread::yield_now();
    }
}

fn next_scheduled(local: &Local) -> Option<TaskRef> {
    loop {
        let ready = local.ready.borrow_mut().pop_front();
        match ready {
            Some(Ready::Task(task)) => return Some(task),
            Some(Ready::Call(call)) => call.discard(),
            None => break,
        }
    }
    let pinned = local.pinned.borrow_mut().pop_front();
    pinned.or_else(|| local.queue.pop(|| {})).or_else(|| local.remote().lifo.take()).or_else(|| {
        loop {
            match local.shared.injector.steal() {
                Steal::Success(task) => return Some(task),
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    })
}

/// Drops a task that came out of a queue.
fn drop_scheduled(task: TaskRef) {
    let _start = task.header().state.start();
    harness::abandon(task);
}

/// Drops a task that is suspended. One that is scheduled comes out of a queue.
fn drop_idle(task: TaskRef) {
    if task.header().state.seize() {
        harness::abandon(task);
    }
}
