//! Going through all executions.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, panic_any, resume_unwind};
use std::sync::{Arc, Once};

use kumihimo_context::model as explored;
use kumihimo_executor::model::strike::{self, Plan, Strike};
use kumihimo_executor::model::{self as executor, memory, tape, verdict};
use kumihimo_executor::{ExceptionContext, TaskError};
use kumihimo_reactor as reactor;

use super::builder::{Builder, Exploration};
use super::failure::{self, Failed, Watching};
use super::replay::{Recording, Request};
use super::report::print_schedule;

thread_local! {
    /// Executions of the model that this thread explores.
    static EXECUTIONS: Cell<u64> = const { Cell::new(0) };
    /// A failure that nobody looked at, in this execution.
    static UNSEEN: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Executions between two notes of how far an exploration has come: from the last one a failing execution is found again.
const NOTE_EVERY: usize = 1_000;

/// One part of an exploration: what loom explores in one go.
#[derive(Clone, Debug, Default)]
pub(super) struct Part {
    /// The choices that are not loom's.
    pub(super) choices: Vec<u8>,
    /// Who is cancelled or dropped, and when.
    pub(super) plan: Option<Plan>,
}

impl Part {
    fn deviations(&self) -> usize {
        self.choices.iter().filter(|choice| **choice > 0).count()
    }

    /// The parts that differ from this one in one choice more, after its own.
    fn successors(&self) -> Vec<Part> {
        let options = tape::options().into_iter().enumerate().skip(self.choices.len());
        let choices = options.flat_map(|(at, options)| (1..options).map(move |choice| (at, choice)));
        let part = |(at, choice)| {
            let mut choices = self.choices.clone();
            choices.resize(at, 0);
            choices.push(choice);
            Part { choices, plan: self.plan.clone() }
        };
        choices.map(part).collect()
    }
}

/// Explores the code.
#[track_caller]
pub(super) fn check<F, Fut>(settings: &Builder, code: F) -> Exploration
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    static CONNECT: Once = Once::new();
    CONNECT.call_once(|| reactor::model::on_timer(executor::timer_is_set));
    let request = Request::from_environment().map(|request| request.open());
    let _watching = Watching::begin();
    executor::trace::set_place(Location::caller());
    executor::set_spurious(settings.spurious_polls);
    EXECUTIONS.set(0);
    let execution = execution(settings, code);
    if let Some((recording, part)) = request {
        return replay(settings, &execution, &recording, part);
    }
    let mut deviated = explore(settings, &execution, None);
    if let Some(name) = &settings.cancel_everywhere {
        for strike in [Strike::Cancel, Strike::Drop] {
            let plan = |at| Some(Plan { name: name.clone(), at, strike });
            let mut at = 1;
            loop {
                deviated |= explore(settings, &execution, plan(at));
                if !strike::has_struck() {
                    break;
                }
                at += 1;
            }
            assert!(at > 1, "cancel_everywhere({name:?}): no task of this name is ever suspended");
        }
    }
    strike::plan(None);
    Exploration { executions: EXECUTIONS.get(), bounds: settings.bounds(deviated) }
}

/// Explores all parts with this plan; true if there were more than the bound allows.
fn explore(settings: &Builder, execution: &Execution, plan: Option<Plan>) -> bool {
    let (mut cut, mut parts) = (false, VecDeque::from([Part { choices: Vec::new(), plan: plan.clone() }]));
    strike::plan(plan);
    while let Some(part) = parts.pop_front() {
        explore_part(settings, execution, &part);
        if part.deviations() < settings.deviations {
            parts.extend(part.successors());
        } else {
            cut |= !part.successors().is_empty();
        }
    }
    cut
}

fn explore_part(settings: &Builder, execution: &Execution, part: &Part) {
    let recording = Recording::new();
    tape::insert(part.choices.clone());
    let mut loom = settings.loom();
    loom.checkpoint_file = Some(recording.path().to_owned());
    loom.checkpoint_interval = NOTE_EVERY;
    let before = EXECUTIONS.get();
    let Err(payload) = run(&loom, execution) else {
        let leaked = memory::end();
        assert!(leaked == 0, "{}", leak(leaked));
        return;
    };
    memory::end();
    let failed = failure::take();
    let number = EXECUTIONS.get() - before;
    // From the last note on, noting each execution: the one that fails is the last that is noted.
    loom.checkpoint_interval = 1;
    failure::hush(true);
    let found = run(&loom, execution).is_err();
    memory::end();
    failure::hush(false);
    failed.print();
    let kept = found.then(|| recording.keep(part)).flatten();
    failure::print_end(number, kept.as_deref());
    give_up(payload, &failed)
}

/// Goes on with a panic that says what has failed.
fn give_up(payload: Box<dyn Any + Send>, failed: &Failed) -> ! {
    match payload.is::<verdict::Failed>() {
        true => resume_unwind(Box::new(failed.to_string())),
        false => resume_unwind(payload),
    }
}

/// Runs the one execution that was recorded.
fn replay(settings: &Builder, execution: &Execution, recording: &Recording, part: Part) -> Exploration {
    strike::plan(part.plan.clone());
    tape::insert(part.choices);
    failure::trace_back();
    let mut loom = settings.loom();
    loom.checkpoint_file = Some(recording.path().to_owned());
    loom.checkpoint_interval = 2;
    loom.max_permutations = Some(1);
    loom.location = true;
    let ended = run(&loom, execution);
    memory::end();
    if let Err(payload) = ended {
        let failed = failure::take();
        failed.print();
        give_up(payload, &failed);
    }
    println!("the recorded execution does not fail any more");
    Exploration { executions: 1, bounds: vec!["a replay".into()] }
}

type Execution = Arc<dyn Fn() + Send + Sync>;

fn run(loom: &loom::model::Builder, execution: &Execution) -> std::thread::Result<()> {
    let execution = execution.clone();
    catch_unwind(AssertUnwindSafe(|| loom.check(move || execution())))
}

/// One execution.
fn execution<F, Fut>(settings: &Builder, code: F) -> Execution
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + 'static,
{
    let log = settings.log;
    let runner = crate::builder::Builder::new();
    let runner = runner.worker_threads(settings.workers).start_paused(true).handle_sigint(false);
    let runner = runner.max_blocking_threads(1);
    Arc::new(move || {
        EXECUTIONS.set(EXECUTIONS.get() + 1);
        UNSEEN.set(None);
        executor::rewind();
        reactor::model::rewind();
        let leaked = memory::rewind();
        if leaked > 0 {
            fail(leak(leaked));
        }
        // The loop's own beginning and end are no part of what is explored.
        explored::pause();
        let runner = runner.clone().build().expect("a model's loop takes nothing from the system");
        let unseen = |context: &ExceptionContext| UNSEEN.set(Some(context.to_string()));
        runner.runtime().scheduler().set_exception_handler(Some(Arc::new(unseen)));
        // Not dropped once something has failed: nothing is run any more then, destructors included.
        let runner = ManuallyDrop::new(runner);
        let session = ManuallyDrop::new(runner.runtime().session());
        explored::resume();
        match runner.run(code()) {
            Ok(()) => {}
            Err(TaskError::Cancelled(_)) if strike::is_planned() => {}
            Err(TaskError::Cancelled(error)) => fail(format!("the main task was {error}")),
            Err(TaskError::Panicked(panic)) => fail(format!("the main task panicked: {}", panic.message())),
        }
        if executor::trace::live_tasks() > 0 {
            runner.shut_down();
        }
        explored::pause();
        drop(ManuallyDrop::into_inner(session));
        drop(ManuallyDrop::into_inner(runner));
        if let Some(unseen) = UNSEEN.take() {
            fail(format!("a failure that reached nobody: {unseen}"));
        }
        if log {
            print_schedule(&executor::trace::take());
        }
    })
}

fn leak(tasks: usize) -> String {
    format!("the execution before has leaked {tasks} tasks: wakers or handles of them were forgotten")
}

fn fail(why: String) -> ! {
    verdict::fail(why);
    panic_any(verdict::Failed)
}
