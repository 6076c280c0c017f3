//! What a pool's roster knows, all under one lock, and the small steps that change it.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use kumihimo_executor::WeakScheduler;

use super::broken::Death;
use super::call::{Call, Frame};
use super::line::BYTES_AHEAD;
use super::roster::Config;
use super::worker::{Sent, Worker};

/// So many starts may fail in a row before the calls that wait fail for it.
const FAILED_STARTS: u32 = 3;

/// After that, as long as others do the work, it is tried again after this time only.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Who waits, who works, and how the pool is.
pub(super) struct State {
    /// The calls that have not begun, and some that never will.
    pub(super) queue: VecDeque<Arc<Call>>,
    /// How many of them were withdrawn, at least.
    pub(super) litter: usize,
    /// Processes that take calls, or soon will.
    pub(super) workers: Vec<Arc<Worker>>,
    /// Those of them that rest, the latest on top, and how to wake their drivers.
    pub(super) resting: Vec<(Arc<Worker>, Waker)>,
    /// Processes that are being started and being ended.
    pub(super) starting: usize,
    pub(super) ending: usize,
    /// Those of the workers that have said that they are ready.
    pub(super) ready: usize,
    /// Starts that failed since one last did not, and when the last did.
    failed_starts: u32,
    failed_at: Instant,
    /// When somebody last looked whether each worker gets on.
    pub(super) looked: Instant,
    /// The loop whose reactor polls the sockets.
    pub(super) home: Option<WeakScheduler>,
    /// It tells us when it stands still.
    pub(super) is_watched: bool,
    pub(super) end: End,
    /// A process has died, and will have broken the pool when it is known how.
    pub(super) is_breaking: bool,
    /// Who waits for the last process to end.
    pub(super) waiters: Vec<(u64, Waker)>,
    /// The next one's number.
    pub(super) next_waiter: u64,
}

/// Whether the pool takes calls.
pub(super) enum End {
    Open,
    /// It does not, but has those that are there done.
    Closed,
    /// The owner had its processes ended.
    Forced,
    /// A process died.
    Broken(Death),
}

/// What is to be done after a look at the queue, without the lock.
#[must_use]
pub(super) enum Summons {
    None,
    Wake(Waker),
    Start(usize),
}

impl State {
    pub(super) fn new() -> State {
        State {
            queue: VecDeque::new(),
            litter: 0,
            workers: Vec::new(),
            resting: Vec::new(),
            starting: 0,
            ending: 0,
            ready: 0,
            failed_starts: 0,
            failed_at: Instant::now(),
            looked: Instant::now(),
            home: None,
            is_watched: false,
            end: End::Open,
            is_breaking: false,
            waiters: Vec::new(),
            next_waiter: 0,
        }
    }

    /// Somebody for the calls that wait: one that rests, or as many new ones as they need.
    pub(super) fn summon(&mut self, config: &Config) -> Summons {
        if self.is_drained() || self.is_over() {
            return Summons::None;
        }
        if let Some((_, waker)) = self.resting.pop() {
            return Summons::Wake(waker);
        }
        if self.is_futile() {
            return Summons::None;
        }
        let possible = config.max_workers.saturating_sub(self.workers.len() + self.starting);
        let count = self.queue.len().saturating_sub(self.starting).min(possible);
        self.starting += count;
        if count == 0 { Summons::None } else { Summons::Start(count) }
    }

    /// Puts calls that have not begun back in the queue, before the others. Returns those that can't be.
    pub(super) fn put_back(&mut self, mut calls: Vec<Sent>, has_died: bool) -> Vec<Sent> {
        calls.sort_by_key(|sent| sent.call.number);
        let mut rejected = Vec::new();
        for sent in calls.into_iter().rev() {
            match sent.call.put_back(&sent.frame, has_died) {
                true => self.queue.push_front(sent.call),
                false => rejected.push(sent),
            }
        }
        rejected
    }

    /// Has calls back from the other workers than this one. Returns how many.
    pub(super) fn recall_from(
        &mut self,
        worker: &Arc<Worker>,
        recall: impl Fn(&Worker, &mut Vec<Waker>) -> Vec<Sent>,
        wakers: &mut Vec<Waker>,
    ) -> usize {
        let others = self.workers.iter().filter(|other| !Arc::ptr_eq(other, worker));
        let calls: Vec<Sent> = others.flat_map(|other| recall(other, wakers)).collect();
        let found = calls.len();
        self.put_back(calls, false);
        found
    }

    /// Gives so many calls to a worker.
    pub(super) fn deal(&mut self, worker: &Arc<Worker>, wanted: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        // Without a way to have them back, one at a time.
        let wanted = if worker.gives_back() { wanted } else { wanted.min(1) };
        let (mut calls, mut bytes) = worker.burden();
        while frames.len() < wanted
            && let Some(call) = self.queue.front()
            && (calls == 0 || bytes + call.length <= BYTES_AHEAD)
            && let Some(call) = self.queue.pop_front()
        {
            match call.send_to(worker) {
                Some(frame) => {
                    (calls, bytes) = (calls + 1, bytes + frame.len());
                    frames.push(worker.give(call, frame));
                }
                None => self.litter = self.litter.saturating_sub(1),
            }
        }
        frames
    }

    /// The waker of one that rests, if there is something for it to do.
    pub(super) fn wake_another(&mut self) -> Option<Waker> {
        if self.is_drained() { None } else { self.resting.pop().map(|(_, waker)| waker) }
    }

    /// Whether no call waits. Takes those off the front that were withdrawn.
    pub(super) fn is_drained(&mut self) -> bool {
        while self.queue.front().is_some_and(|call| !call.is_waiting()) {
            self.queue.pop_front();
            self.litter = self.litter.saturating_sub(1);
        }
        self.queue.is_empty()
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.end, End::Open)
    }

    /// Whether the processes are being ended.
    pub(super) fn is_over(&self) -> bool {
        self.is_breaking || matches!(self.end, End::Forced | End::Broken(_))
    }

    /// A worker is ready for calls.
    pub(super) fn has_started(&mut self) {
        self.ready += 1;
        self.failed_starts = 0;
    }

    /// A start has failed. Gives the calls that wait, if there is no process for them and there won't be.
    pub(super) fn has_failed_to_start(&mut self) -> Vec<Arc<Call>> {
        self.failed_starts += 1;
        self.failed_at = Instant::now();
        if self.failed_starts < FAILED_STARTS || self.ready > 0 {
            return Vec::new();
        }
        self.failed_starts = 0;
        mem::take(&mut self.queue).into()
    }

    /// Whether it is no use to start another process now: some have failed, and there are others that do the work.
    fn is_futile(&self) -> bool {
        self.failed_starts >= FAILED_STARTS && self.ready > 0 && self.failed_at.elapsed() < TRY_AGAIN
    }

    /// Takes a worker off those that rest: its driver is gone.
    pub(super) fn wakes_no_more(&mut self, worker: &Arc<Worker>) {
        self.resting.retain(|(resting, _)| !Arc::ptr_eq(resting, worker));
    }

    /// The death that broke the pool.
    pub(super) fn first_death(&self) -> Option<Death> {
        match &self.end {
            End::Broken(death) => Some(death.clone()),
            _ => None,
        }
    }

    pub(super) fn has_ended(&mut self) -> bool {
        let is_idle = self.workers.is_empty() && self.starting == 0 && self.ending == 0;
        is_idle && !matches!(self.end, End::Open) && self.is_drained()
    }

    /// Who waits for the end, if it has come.
    pub(super) fn take_waiters(&mut self) -> Vec<Waker> {
        if !self.has_ended() {
            return Vec::new();
        }
        mem::take(&mut self.waiters).into_iter().map(|(_, waker)| waker).collect()
    }

    pub(super) fn forget_waiter(&mut self, waiter: u64) -> Option<Waker> {
        let at = self.waiters.iter().position(|(known, _)| *known == waiter)?;
        Some(self.waiters.swap_remove(at).1)
    }
}
