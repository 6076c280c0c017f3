//! The task that talks to one worker.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use kumihimo_context::Leaf;
use kumihimo_reactor::{Instant, Reactor, Timer};

use super::call::{Call, Outcome};
use super::error::ProcessError;
use super::line::Line;
use super::roster::{LOOK, Next, Parting, Roster};
use super::wire::Reply;
use super::worker::Worker;

/// Sends a worker the pool's calls, one after another, and passes its answers on. A hidden task of a loop.
///
/// Dropped with the loop, it leaves the worker to the next one.
pub(super) struct Driver {
    roster: Arc<Roster>,
    worker: Arc<Worker>,
    /// It may use the line as long as that has this number.
    epoch: u64,
    /// It is over: nothing is left behind.
    is_over: bool,
    sending: Leaf,
    receiving: Leaf,
    dying: Leaf,
    /// Wakes it to look again whether another worker has calls that it does not get to.
    look_again: Option<Timer>,
}

/// What a driver does after it has let go of the line.
enum Step {
    /// It waits.
    Wait,
    /// Somebody else has the line now.
    Yield,
    /// A call has ended.
    Ended(Arc<Call>, Outcome),
    /// The worker is given up.
    Part(Parting),
}

impl Driver {
    pub(super) fn new(roster: Arc<Roster>, worker: Arc<Worker>, epoch: u64) -> Driver {
        let (sending, receiving, dying) = (Leaf::new(), Leaf::new(), Leaf::new());
        Driver { roster, worker, epoch, is_over: false, sending, receiving, dying, look_again: None }
    }

    /// Goes on until it has to wait, or to do something without the line.
    fn advance(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Step {
        if line.epoch != self.epoch {
            return Step::Yield;
        }
        if let Err(error) = line.tie() {
            return Step::Part(Parting::killed(format!("its socket can't be polled: {error}")));
        }
        line.drop_past_turns(self.worker.turn());
        loop {
            line.poll_send(&mut self.sending, cx);
            if let Some(step) = self.answered(line) {
                return step;
            }
            // Before it gets calls, so that none is given to a worker that has died meanwhile.
            match line.poll_receive(&mut self.receiving, cx) {
                Poll::Ready(Ok(0) | Err(_)) => return Step::Part(Parting::died()),
                Poll::Ready(Ok(_)) => continue,
                Poll::Pending => {}
            }
            match self.refill(line, cx) {
                Next::Calls(frames) => line.send(frames),
                Next::Nothing => return self.wait(line, cx),
                Next::LookAgain => {
                    self.look_again_soon(cx);
                    return self.wait(line, cx);
                }
                Next::Leave => return Step::Part(Parting::Orderly),
            }
        }
    }

    /// Has itself woken in a while.
    fn look_again_soon(&mut self, cx: &Context<'_>) {
        match Reactor::current() {
            // A paused clock waits for the very calls that this is about.
            Some(reactor) if reactor.is_paused() => cx.waker().wake_by_ref(),
            _ => self.look_again = Some(Timer::new(Instant::now() + LOOK, cx.waker().clone())),
        }
    }

    /// Looks for calls, if the worker may have more.
    fn refill(&mut self, line: &mut Line, cx: &Context<'_>) -> Next {
        self.look_again = None;
        if !line.is_ready || line.is_deaf {
            return Next::Nothing;
        }
        let (calls, _) = self.worker.burden();
        let left = self.roster.may_serve(line.served).saturating_sub(calls);
        match line.wants(calls).min(left) {
            0 if calls == 0 => Next::Leave,
            0 => Next::Nothing,
            wanted => self.roster.next(&self.worker, cx.waker(), calls == 0, wanted),
        }
    }

    /// Waits for the line, or for the end of the process.
    fn wait(&mut self, line: &mut Line, cx: &mut Context<'_>) -> Step {
        if line.poll_death(&mut self.dying, cx).is_pending() {
            return Step::Wait;
        }
        // What it said last is there by now, whatever the reactor has heard of it.
        loop {
            if let Some(step) = self.answered(line) {
                return step;
            }
            if !line.receive_what_is_there() {
                return Step::Part(Parting::died());
            }
        }
    }

    /// Takes the next answer of those that were received.
    fn answered(&mut self, line: &mut Line) -> Option<Step> {
        let reply = match line.decoder.next_reply() {
            Ok(Some(reply)) => reply,
            Ok(None) => {
                line.look_at_pace();
                return None;
            }
            Err(error) => return Some(Step::Part(Parting::killed(error.to_string()))),
        };
        let (id, outcome) = match reply {
            Reply::Ready if !line.is_ready => {
                line.is_ready = true;
                self.roster.has_started();
                return None;
            }
            Reply::Ready => return Some(Step::Part(Parting::killed("it started twice".into()))),
            Reply::Refused { text } => return Some(Step::Part(Parting::refused(text))),
            Reply::InitializerFailed { panic } => {
                return Some(Step::Part(Parting::refused(format!(
                    "the pool's initializer panicked: {panic}"
                ))));
            }
            Reply::Value { id, bytes } => (id, Ok(bytes.to_vec())),
            Reply::Panicked { id, panic } => (id, Err(ProcessError::Panicked(panic))),
            Reply::Failed { id, failure } => (id, Err(ProcessError::Unsendable(failure.to_string()))),
        };
        match self.worker.answered(id) {
            Some(call) => {
                line.served = line.served.wrapping_add(1);
                Some(Step::Ended(call, outcome))
            }
            None => {
                let text = format!("it answered call {id}, which is not the one that it had to answer next");
                Some(Step::Part(Parting::killed(text)))
            }
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let worker = Arc::clone(&this.worker);
        loop {
            // The guard is gone before the step is taken: what it wakes may want the line.
            let step = this.advance(&mut worker.line(), cx);
            match step {
                Step::Wait => return Poll::Pending,
                Step::Ended(call, outcome) => call.end(outcome),
                Step::Yield => break,
                Step::Part(parting) => {
                    this.roster.part(&worker, Some(this.epoch), parting);
                    break;
                }
            }
        }
        this.is_over = true;
        Poll::Ready(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if !self.is_over {
            self.roster.set_adrift(&self.worker, self.epoch);
        }
    }
}
