//! In a model, a blocking call is a thread of its own: how the pool's threads share the calls is proved elsewhere.

use std::sync::Arc;

use kumihimo_executor::model::foreign::Foreign;

use crate::job::Job;
use crate::slot::{Run, Slot};
use crate::sync::Builder;

/// Runs a function in a thread that loom knows.
pub(crate) fn start<F, T>(f: F) -> Job<T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let slot = Arc::new(Slot::new(f, None));
    let (job, foreign) = (Arc::clone(&slot), Foreign::enter());
    let thread = Builder::new().spawn(move || {
        job.run(&mut |_| {});
        drop(job);
        drop(foreign);
    });
    thread.expect("loom's threads can always be started");
    Job::new(slot)
}
