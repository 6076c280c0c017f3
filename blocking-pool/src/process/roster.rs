//! Which workers there are, which calls wait, and who gets what.
//!
//! One lock guards all of it; nothing else is done under it than moving things about. Calls go from the queue to a worker that
//! asks for some ([`Roster::next`]). Who submits wakes one worker that rests or, where none does, has a process started; who takes
//! a worker off the list has another one started if there are calls left. So a call is never left in the queue while a
//! process could take it.
//!
//! A worker whose calls are short gets a few ahead. They are not lost to the others: one that has nothing to do has those that have
//! not begun back, and so does one that sees a worker not get on (`claims.rs` says how).
//!
//! A pool belongs to no loop, but its sockets are polled by one: see `adopt.rs`.

use std::mem;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use kumihimo_executor::WeakScheduler;
use rustix::process::Signal;

use super::broken::{BrokenProcessPool, Death, During, Victim};
use super::builder::OnCrash;
use super::call::{Call, Frame};
use super::child_process::Exit;
use super::driver::Driver;
use super::error::ProcessError;
use super::line::Line;
use super::start::{Started, Starter};
use super::state::{End, State, Summons};
use super::worker::{Sent, Worker};
use crate::quiet::quietly;
use crate::thread_pool::ThreadPoolExecutor;

/// How long a worker that was told to end may take. Then it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one that has closed its socket may take.
const DYING: Duration = Duration::from_secs(1);
/// How often somebody looks whether each worker gets on.
pub(super) const LOOK: Duration = Duration::from_micros(500);
/// So many withdrawn calls may stay in the queue.
const LITTER: usize = 64;

/// The settings of a pool.
pub(super) struct Config {
    pub(super) max_workers: usize,
    pub(super) max_tasks_per_child: Option<u32>,
    pub(super) on_crash: OnCrash,
    /// The most bytes that an argument or a result may have.
    pub(super) frame_limit: u32,
    /// The first frame that each worker gets.
    pub(super) hello: Vec<u8>,
}

/// What the handles of one pool, its calls and its drivers share.
pub(super) struct Roster {
    pub(super) config: Config,
    starter: Starter,
    /// Threads that start processes.
    starters: ThreadPoolExecutor,
    /// Threads that wait for their ends. Others, so that a process that takes its time to end keeps no other from being started.
    enders: ThreadPoolExecutor,
    numbers: AtomicU32,
    state: Mutex<State>,
}

/// What a driver does next.
pub(super) enum Next {
    /// It sends these.
    Calls(Vec<Frame>),
    /// It waits. One whose worker has no calls is woken when there are some, or when it is time to leave.
    Nothing,
    /// The same, but it looks again in a while: another worker has calls, and has not begun the first.
    LookAgain,
    /// It has its worker end.
    Leave,
}

/// Why a worker is given up.
pub(super) enum Parting {
    /// It is not needed any more: it ends when it likes.
    Orderly,
    /// It has died, or said that it will. It may be known why.
    Died { during: Option<During>, patience: Duration, is_final: bool },
    /// The pool ends: it is killed.
    Killed(Victim),
}

impl Parting {
    pub(super) fn died() -> Parting {
        Parting::Died { during: None, patience: DYING, is_final: false }
    }

    /// It lives, but can't be talked to.
    pub(super) fn killed(text: String) -> Parting {
        Parting::Died { during: Some(During::Nonsense(text)), patience: Duration::ZERO, is_final: false }
    }

    /// It will never take calls, and another one would not either.
    pub(super) fn refused(text: String) -> Parting {
        Parting::Died { during: Some(During::Greeting(text)), patience: DYING, is_final: true }
    }
}

/// The calls of a worker that was given up.
struct Left {
    /// Those that it had begun.
    begun: Vec<Arc<Call>>,
    /// Those that it had not.
    rest: Vec<Sent>,
}

impl Roster {
    pub(super) fn new(config: Config, starter: Starter) -> Roster {
        let helpers = |max_workers| {
            let builder =
                ThreadPoolExecutor::builder().max_workers(max_workers).thread_name("kumihimo-procs");
            builder.keep_alive(Duration::from_secs(1)).build()
        };
        // Few, as each start takes a ms of a processor.
        let (starters, enders) = (helpers(4), helpers(16));
        let state = State::new();
        Roster { config, starter, starters, enders, numbers: AtomicU32::new(1), state: Mutex::new(state) }
    }

    /// The number of a new call.
    pub(super) fn next_number(&self) -> u32 {
        // Relaxed: it only has to be another one than those of the calls around it.
        self.numbers.fetch_add(1, Relaxed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock panics half-way; a waker's clone leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a call.
    pub(super) fn submit(self: &Arc<Self>, call: &Arc<Call>) -> Result<(), ProcessError> {
        self.look_after();
        let mut state = self.lock();
        match &state.end {
            End::Open => {}
            End::Broken(death) => {
                return Err(ProcessError::Broken(BrokenProcessPool::new(death.clone(), Victim::Later)));
            }
            End::Closed | End::Forced => return Err(ProcessError::ShutDown),
        }
        if !state.has_home() {
            return Err(ProcessError::NoLoop);
        }
        state.queue.push_back(Arc::clone(call));
        let summons = state.summon(&self.config);
        drop(state);
        self.answer(summons);
        Ok(())
    }

    /// A call was withdrawn while it was in the queue.
    pub(super) fn withdrawn(&self) {
        let mut state = self.lock();
        state.litter += 1;
        if state.litter > LITTER && state.litter > state.queue.len() / 2 {
            state.litter = 0;
            let queue = mem::take(&mut state.queue);
            state.queue = queue.into_iter().filter(|call| call.is_waiting()).collect();
        }
        let waiters = state.take_waiters();
        drop(state);
        wake_all(waiters);
    }

    /// Calls for a worker that may have so many more. One that has none left is also given some that others have not begun.
    pub(super) fn next(
        &self,
        worker: &Arc<Worker>,
        waker: &Waker,
        has_none: bool,
        mut wanted: usize,
    ) -> Next {
        worker.set_waker(waker);
        let mut state = self.lock();
        let mut wakers = Vec::new();
        state.wakes_no_more(worker);
        if state.is_over() {
            // What others have is not had back: it is ended with them.
        } else if has_none && state.is_drained() {
            let found = state.recall_from(worker, Worker::recall_if_busy, &mut wakers);
            // The rest is for those that had them, which may come back for more any moment.
            wanted = wanted.min(found.div_ceil(2)).max(1);
        } else if state.looked.elapsed() > LOOK {
            state.looked = Instant::now();
            state.recall_from(worker, Worker::recall_if_stuck, &mut wakers);
        }
        let frames = if state.is_over() { Vec::new() } else { state.deal(worker, wanted) };
        if !frames.is_empty() {
            wakers.extend(state.wake_another());
        }
        let next = match state.end {
            _ if !frames.is_empty() => Next::Calls(frames),
            _ if !has_none => Next::Nothing,
            End::Open => {
                state.resting.push((Arc::clone(worker), waker.clone()));
                if state.workers.iter().any(|other| other.is_about_to_begin()) {
                    Next::LookAgain
                } else {
                    Next::Nothing
                }
            }
            _ => Next::Leave,
        };
        drop(state);
        wake_all(wakers);
        next
    }

    /// Has the calls back that this worker has not begun: one of them is not wanted any more.
    pub(super) fn recall(self: &Arc<Self>, worker: &Arc<Worker>) {
        let mut state = self.lock();
        let mut wakers = Vec::new();
        let calls = worker.recall(&mut wakers);
        let error = match &state.end {
            End::Open | End::Closed => None,
            End::Forced => Some(ProcessError::Cancelled),
            End::Broken(death) => {
                Some(ProcessError::Broken(BrokenProcessPool::new(death.clone(), Victim::Waiting)))
            }
        };
        let ended = match error {
            // Those that are not wanted are dropped here; the others wait again.
            None => state.put_back(calls, false),
            Some(_) => calls,
        };
        let summons = state.summon(&self.config);
        wakers.extend(state.take_waiters());
        drop(state);
        if let Some(error) = error {
            ended.iter().for_each(|sent| sent.call.end(Err(error.clone())));
        }
        self.answer(summons);
        wake_all(wakers);
    }

    /// How many more calls a worker may get that has answered so many.
    pub(super) fn may_serve(&self, served: u32) -> usize {
        self.config.max_tasks_per_child.map_or(usize::MAX, |max| max.saturating_sub(served) as usize)
    }

    /// A worker is ready for calls.
    pub(super) fn has_started(&self) {
        self.lock().has_started();
    }

    fn answer(self: &Arc<Self>, summons: Summons) {
        match summons {
            Summons::None => {}
            Summons::Wake(waker) => quietly(|| waker.wake()),
            Summons::Start(count) => (0..count).for_each(|_| self.start()),
        }
    }

    /// Has a process started. It counts as one that is being started already.
    #[cold]
    fn start(self: &Arc<Self>) {
        let roster = Arc::clone(self);
        let start = move |roster: &Roster| catch_unwind(AssertUnwindSafe(|| roster.starter.start()));
        Self::help(&self.starters, move |has_thread| match has_thread.then(|| start(&roster)) {
            Some(Ok(Ok(started))) => roster.started(started),
            Some(Ok(Err(error))) => roster.not_started(&error.to_string()),
            Some(Err(_)) => roster.not_started("starting it panicked; standard error says why"),
            None => roster.not_started("no thread could be started to start it; raise the limit on threads"),
        });
    }

    /// Has a thread do what blocks: called with true there, or here with false if the system has no thread for it.
    fn help(helpers: &ThreadPoolExecutor, f: impl FnOnce(bool) + Send + 'static) {
        let mut help = Help(Some(f));
        helpers.submit(move || help.call(true)).detach();
    }

    fn started(self: &Arc<Self>, Started { stream, process, claims }: Started) {
        let line = Line::new(stream, process.pidfd(), self.config.hello.clone(), self.config.frame_limit);
        let worker = Arc::new(Worker::new(process, line, claims));
        let mut state = self.lock();
        state.starting -= 1;
        state.workers.push(Arc::clone(&worker));
        let is_drained = state.is_drained();
        let parting = match state.end {
            End::Forced | End::Broken(_) => Some(Parting::Killed(Victim::Ended)),
            End::Closed if is_drained => Some(Parting::Orderly),
            _ => None,
        };
        let home = state.home.as_ref().and_then(WeakScheduler::upgrade);
        drop(state);
        if let Some(parting) = parting {
            return self.part(&worker, None, parting);
        }
        let driver = Driver::new(Arc::clone(self), worker, 0);
        match home {
            Some(scheduler) => scheduler.spawn_hidden(driver),
            None => drop(driver),
        }
    }

    #[cold]
    fn not_started(self: &Arc<Self>, text: &str) {
        let mut state = self.lock();
        state.starting -= 1;
        let calls = state.has_failed_to_start();
        let summons = state.summon(&self.config);
        let waiters = state.take_waiters();
        drop(state);
        calls.into_iter().for_each(|call| call.end(Err(ProcessError::NotStarted(text.into()))));
        self.answer(summons);
        wake_all(waiters);
    }

    /// Gives a worker up: it takes no more calls, and its process ends. From a driver, with its number; it does nothing if the
    /// worker was given up, or to another driver, before.
    pub(super) fn part(self: &Arc<Self>, worker: &Arc<Worker>, driver: Option<u64>, parting: Parting) {
        let mut line = worker.line();
        if driver.is_some_and(|epoch| epoch != line.epoch) {
            return;
        }
        let is_ready = line.is_ready;
        let stream = line.close();
        // Nobody gives it any calls now.
        drop(line);
        let mut state = self.lock();
        let known = state.workers.len();
        state.workers.retain(|known| !Arc::ptr_eq(known, worker));
        state.wakes_no_more(worker);
        if state.workers.len() == known {
            // Given up by somebody else, who takes care of all this.
            return;
        }
        let (begun, rest) = worker.strip();
        let mut left = Left { begun, rest };
        state.ending += 1;
        state.ready -= usize::from(is_ready);
        let during = match &left.begun[..] {
            _ if !is_ready => During::Start,
            [first, ..] => During::Call(first.what),
            [] => During::Rest,
        };
        // There is room for another one, which may have what others were sent ahead. After a death that may break the pool, that
        // is decided first.
        let mut wakers = Vec::new();
        let goes_on =
            self.config.on_crash == OnCrash::Restart && matches!(state.end, End::Open | End::Closed);
        let summons = match parting {
            Parting::Died { is_final: false, .. } if goes_on => {
                let rejected = state.put_back(mem::take(&mut left.rest), true);
                left.rest = rejected;
                state.recall_from(worker, Worker::recall_if_many, &mut wakers);
                // One that could not even be started is counted first.
                if is_ready { state.summon(&self.config) } else { Summons::None }
            }
            Parting::Orderly if !state.is_over() => {
                state.put_back(mem::take(&mut left.rest), false);
                state.recall_from(worker, Worker::recall_if_many, &mut wakers);
                state.summon(&self.config)
            }
            Parting::Died { .. } => {
                state.is_breaking = true;
                Summons::None
            }
            Parting::Orderly | Parting::Killed(_) => Summons::None,
        };
        drop(state);
        self.answer(summons);
        wake_all(wakers);
        let (roster, worker) = (Arc::clone(self), Arc::clone(worker));
        Self::help(&self.enders, move |_| roster.parted(&worker, stream, parting, during, left));
    }

    /// In a thread: waits for the end of a process, and draws the conclusions.
    fn parted(
        self: &Arc<Self>,
        worker: &Arc<Worker>,
        stream: Option<UnixStream>,
        parting: Parting,
        mut during: During,
        left: Left,
    ) {
        let (patience, victim) = match &parting {
            Parting::Orderly => {
                // Only in this direction: one that loses its socket altogether stops at once, in the middle of what it does.
                stream.iter().for_each(|stream| drop(stream.shutdown(std::net::Shutdown::Write)));
                (PATIENCE, Victim::Own)
            }
            Parting::Died { patience, .. } => (*patience, Victim::Own),
            Parting::Killed(victim) => (Duration::ZERO, *victim),
        };
        let exit = worker.take_process().map_or(Exit::Unknown, |mut process| process.end(patience));
        drop(stream);
        if let Parting::Died { during: Some(known), .. } = &parting {
            during = known.clone();
        }
        let death = Death { pid: worker.pid, exit, during };
        match parting {
            Parting::Died { is_final, .. } => self.died(death, left, is_final),
            Parting::Killed(_) => {
                // It may not have been this process that died.
                let first = self.lock().first_death();
                left.end(&first.unwrap_or(death), victim);
            }
            // It had none, or nobody asks it for them any more.
            Parting::Orderly => left.end(&death, Victim::Ended),
        }
        let mut state = self.lock();
        state.ending -= 1;
        let summons = state.summon(&self.config);
        let waiters = state.take_waiters();
        drop(state);
        self.answer(summons);
        wake_all(waiters);
    }

    /// A worker has died by itself: ends what ends with it.
    #[cold]
    fn died(self: &Arc<Self>, death: Death, left: Left, is_final: bool) {
        let mut state = self.lock();
        if let End::Forced = state.end {
            drop(state);
            return left.end(&death, Victim::Ended);
        }
        if let Some(first) = state.first_death() {
            drop(state);
            return left.end(&first, Victim::InFlight);
        }
        if self.config.on_crash == OnCrash::Restart && !is_final {
            let waiting = match death.during {
                During::Start => state.has_failed_to_start(),
                _ => Vec::new(),
            };
            drop(state);
            end_broken(waiting, &death, Victim::Waiting);
            return left.end(&death, Victim::Own);
        }
        state.end = End::Broken(death.clone());
        let waiting = mem::take(&mut state.queue);
        let workers = state.workers.clone();
        drop(state);
        left.end(&death, Victim::Own);
        end_broken(waiting, &death, Victim::Waiting);
        workers.iter().for_each(|worker| self.part(worker, None, Parting::Killed(Victim::InFlight)));
    }

    /// Takes no more calls. Those that wait are done all the same, or withdrawn.
    pub(super) fn close(self: &Arc<Self>, cancel: bool) {
        self.finish(End::Closed, cancel);
        let idle = {
            let state = self.lock();
            if state.is_at_home() { Vec::new() } else { state.workers.clone() }
        };
        // No loop runs that would have them end.
        idle.iter().for_each(|worker| self.retire(worker));
    }

    /// Has a worker end that no loop looks after, if it has nothing to do.
    pub(super) fn retire(self: &Arc<Self>, worker: &Arc<Worker>) {
        // Locked, so that no driver gives it a call meanwhile.
        let mut line = worker.line();
        let (calls, _) = worker.burden();
        let mut state = self.lock();
        let is_needed = calls > 0 || matches!(state.end, End::Open) || !state.is_drained();
        drop(state);
        if is_needed {
            return;
        }
        // Whichever driver it gets meanwhile is none any more.
        line.epoch += 1;
        let epoch = line.epoch;
        drop(line);
        self.part(worker, Some(epoch), Parting::Orderly);
    }

    /// Ends all processes with a signal. `Signal::KILL` needs no help from them.
    pub(super) fn force(self: &Arc<Self>, signal: Signal) {
        self.finish(End::Forced, true);
        let workers = self.lock().workers.clone();
        for worker in workers {
            worker.signal(signal);
            if signal == Signal::KILL {
                self.part(&worker, None, Parting::Killed(Victim::Ended));
            }
        }
    }

    fn finish(&self, end: End, cancel: bool) {
        let mut state = self.lock();
        match (&state.end, &end) {
            (End::Broken(_), _) | (End::Forced, End::Closed) => {}
            _ => state.end = end,
        }
        let mut wakers = Vec::new();
        let mut cancelled = Vec::new();
        if cancel {
            let sent =
                state.workers.iter().flat_map(|worker| worker.recall(&mut wakers)).map(|sent| sent.call);
            cancelled.extend(sent);
            cancelled.extend(mem::take(&mut state.queue));
        }
        wakers.extend(mem::take(&mut state.resting).into_iter().map(|(_, waker)| waker));
        wakers.extend(state.take_waiters());
        drop(state);
        cancelled.into_iter().for_each(|call| call.end(Err(ProcessError::Cancelled)));
        wake_all(wakers);
    }

    pub(super) fn is_shut_down(&self) -> bool {
        !matches!(self.lock().end, End::Open)
    }

    /// The number of somebody who will wait for the end.
    pub(super) fn new_waiter(&self) -> u64 {
        let mut state = self.lock();
        state.next_waiter += 1;
        state.next_waiter
    }

    /// Whether the last process has ended; else `waker` is told when that is so.
    pub(super) fn poll_ended(&self, waiter: u64, waker: &Waker) -> bool {
        // Users' code, so not under the lock.
        let waker = waker.clone();
        let mut state = self.lock();
        let has_ended = state.has_ended();
        let before = state.forget_waiter(waiter);
        if !has_ended {
            state.waiters.push((waiter, waker));
        }
        drop(state);
        drop(before);
        has_ended
    }

    /// Somebody waits no more.
    pub(super) fn forget_waiter(&self, waiter: u64) {
        let before = self.lock().forget_waiter(waiter);
        drop(before);
    }

    /// Has those who wait for the end look again.
    pub(super) fn wake_waiters(&self) {
        let waiters = mem::take(&mut self.lock().waiters);
        wake_all(waiters.into_iter().map(|(_, waker)| waker).collect());
    }

    pub(super) fn pids(&self) -> Vec<u32> {
        self.lock().workers.iter().map(|worker| worker.pid).collect()
    }

    pub(super) fn queue_depth(&self) -> usize {
        self.lock().queue.iter().filter(|call| call.is_waiting()).count()
    }

    /// The calls that have not ended: those in the queue, and those that workers have.
    pub(super) fn open_calls(&self) -> Vec<Arc<Call>> {
        let state = self.lock();
        let mut calls: Vec<_> = state.queue.iter().cloned().collect();
        let workers = state.workers.clone();
        drop(state);
        calls.extend(workers.iter().flat_map(|worker| worker.calls()));
        calls
    }
}

/// Something that is done in any case, if need be when it is dropped.
struct Help<F: FnOnce(bool)>(Option<F>);

impl<F: FnOnce(bool)> Help<F> {
    fn call(&mut self, has_thread: bool) {
        if let Some(f) = self.0.take() {
            f(has_thread);
        }
    }
}

impl<F: FnOnce(bool)> Drop for Help<F> {
    fn drop(&mut self) {
        self.call(false);
    }
}

impl Left {
    /// Ends the calls with an error each.
    fn end(self, death: &Death, victim: Victim) {
        end_broken(self.begun, death, victim);
        for Sent { call, .. } in self.rest {
            match victim {
                Victim::Ended => call.end(Err(ProcessError::Cancelled)),
                _ => end_broken([call], death, Victim::Waiting),
            }
        }
    }
}

fn end_broken(calls: impl IntoIterator<Item = Arc<Call>>, death: &Death, victim: Victim) {
    for call in calls {
        call.end(Err(ProcessError::Broken(BrokenProcessPool::new(death.clone(), victim))));
    }
}

fn wake_all(wakers: Vec<Waker>) {
    wakers.into_iter().for_each(|waker| quietly(|| waker.wake()));
}
