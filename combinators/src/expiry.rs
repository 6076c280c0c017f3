//! Telling a combinator that its time is up.

use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};
use std::time::Duration;

use kumihimo_executor::Scheduler;
use kumihimo_reactor::{Instant, Timer};

/// What has a time-out.
pub(crate) trait Expire: Send + Sync + 'static {
    /// The time is up. Called once, by the loop, outside of any task.
    fn expire(&self);
}

/// Has `target` told after this time, unless the timer is dropped before.
///
/// On one thread it is told as asyncio's timers are: in line with others that are due, behind all that was ready, and also
/// if the time is zero not before the loop's next pass.
pub(crate) fn expire_after(time: Duration, target: &Arc<impl Expire>) -> Timer {
    let alarm = Alarm(Arc::downgrade(target));
    Timer::new(Instant::now().saturating_add(time), Waker::from(Arc::new(alarm)))
}

/// Goes off in the loop's timers. Weak, as the target may own the timer.
struct Alarm<E>(Weak<E>);

impl<E: Expire> Wake for Alarm<E> {
    fn wake(self: Arc<Self>) {
        let expire = move || {
            if let Some(target) = self.0.upgrade() {
                target.expire();
            }
        };
        // Timers fire on a thread of their loop.
        match Scheduler::try_current() {
            Some(scheduler) => scheduler.call_from_timer(Box::new(expire)),
            None => expire(),
        }
    }
}
