//! What happened in an execution, for the report of a failure.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::Location;

use kumihimo_context::{WaitKind, WaitWord, model};

use crate::task::header::{Header, TaskRef};
use crate::task::id::TaskId;
use crate::task::state::Ended;

thread_local! {
    static TRACE: RefCell<Trace> = const { RefCell::new(Trace::new()) };
    /// Where the model was called: the main task's place.
    static MODEL: Cell<Option<&'static Location<'static>>> = const { Cell::new(None) };
}

/// What happened.
#[derive(Debug)]
pub struct Trace {
    /// All tasks of the execution, by number.
    pub tasks: Vec<TaskTrace>,
    /// In order of time.
    pub events: Vec<Event>,
    /// The numbers of tasks that have not ended, by their addresses.
    live: BTreeMap<usize, (usize, TaskRef)>,
}

/// A task.
#[derive(Clone, Debug)]
pub struct TaskTrace {
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// Where it was created.
    pub site: &'static Location<'static>,
    /// A task of the runtime's own.
    pub hidden: bool,
    /// How often it was suspended.
    pub suspensions: usize,
    /// Where it stands.
    pub state: TaskState,
}

/// Where a task stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It has not begun.
    New,
    /// It is being polled.
    Running,
    /// It is suspended on this.
    Waiting(Wait),
    /// It is ready.
    Ready,
    /// It has ended so.
    Ended(&'static str),
}

/// What a task waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The task with this number.
    Task(usize),
    /// This, in words.
    For(String),
}

/// What happened, and to which task, by number.
#[derive(Clone, Debug)]
pub enum Event {
    /// A task was created, by another.
    Created(usize, Option<usize>),
    /// A worker polls it.
    Polled(usize, usize),
    /// It was suspended, waiting for this.
    Suspended(usize, Wait),
    /// It has ended so.
    Ended(usize, &'static str),
    /// It was readied, by the task that is polled there, or by somebody else.
    Woken(usize, Option<usize>),
    /// It was polled for nothing.
    Spurious(usize),
    /// The clock moves on, and timers fire.
    Time,
}

impl Trace {
    const fn new() -> Trace {
        Trace { tasks: Vec::new(), events: Vec::new(), live: BTreeMap::new() }
    }

    fn number(&self, task: *const Header) -> Option<usize> {
        self.live.get(&task.addr()).map(|(number, _)| *number)
    }

    /// The task with this number.
    pub fn name(&self, number: usize) -> String {
        match &self.tasks[number].name {
            Some(name) => format!("task {number} `{name}`"),
            None => format!("task {number}"),
        }
    }

    /// What a task waits for.
    pub fn in_words(&self, wait: &Wait) -> String {
        match wait {
            Wait::Task(number) => self.name(*number),
            Wait::For(words) => words.clone(),
        }
    }
}

/// Where the model was called.
pub fn set_place(place: &'static Location<'static>) {
    MODEL.set(Some(place));
}

/// An execution begins.
pub fn rewind() {
    TRACE.set(Trace::new());
}

/// What happened in the execution so far.
pub fn take() -> Trace {
    TRACE.replace(Trace::new())
}

fn current(trace: &Trace) -> Option<usize> {
    trace.number(kumihimo_context::current_task().cast())
}

pub(crate) fn created(task: TaskRef) {
    let header = task.header();
    if header.is_promise() {
        return;
    }
    TRACE.with_borrow_mut(|trace| {
        let number = trace.tasks.len();
        let hidden = header.parent == TaskId::HIDDEN;
        // The first is the main task.
        let (name, site) = match MODEL.get() {
            Some(place) if number == 0 => (Some("main".to_owned()), place),
            _ => (None, header.site),
        };
        trace.tasks.push(TaskTrace { name, site, hidden, suspensions: 0, state: TaskState::New });
        trace.live.insert(task.addr(), (number, task));
        let by = current(trace);
        trace.events.push(Event::Created(number, by));
    });
}

pub(crate) fn named(task: &Header, name: &str) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(number) = trace.number(task) {
            trace.tasks[number].name = Some(name.to_owned());
        }
    });
}

/// Whether it is worth looking at the task's state for that, which is something that loom explores. Of a task that this thread
/// runs.
pub(crate) fn may_have_ended(task: TaskRef) -> bool {
    TRACE.with_borrow(|trace| trace.number(task.as_ptr()).is_none())
}

/// How many tasks have not ended.
pub fn live_tasks() -> usize {
    TRACE.with_borrow(|trace| trace.live.len())
}

pub(crate) fn polled(worker: usize, task: TaskRef) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(number) = trace.number(task.as_ptr()) {
            trace.tasks[number].state = TaskState::Running;
            trace.events.push(Event::Polled(number, worker));
        }
    });
}

pub(crate) fn suspended(task: &Header, wait: WaitWord) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(number) = trace.number(task) {
            let target = wait.target().and_then(|target| trace.number(target.cast()));
            let wait = target.map_or_else(|| Wait::For(in_words(wait)), Wait::Task);
            trace.tasks[number].suspensions += 1;
            trace.tasks[number].state = TaskState::Waiting(wait.clone());
            trace.events.push(Event::Suspended(number, wait));
        }
    });
}

fn in_words(wait: WaitWord) -> String {
    model::waits_for(wait).map_or_else(|| kind_in_words(wait).to_owned(), |made| made.to_string())
}

fn kind_in_words(wait: WaitWord) -> &'static str {
    const KINDS: [(WaitKind, &str); 6] = [
        (WaitKind::Sleep, "a time"),
        (WaitKind::Readable, "a descriptor to be readable"),
        (WaitKind::Writable, "a descriptor to be writable"),
        (WaitKind::Turn, "its next turn"),
        (WaitKind::Thread, "a thread"),
        (WaitKind::Other, "something"),
    ];
    if wait == WaitWord::MANY {
        return "several things";
    }
    if wait.object_target().is_some() {
        return "several tasks, as in gather";
    }
    if wait.target().is_some() {
        return "a promise, or a task that has ended";
    }
    let kind = KINDS.iter().find(|(kind, _)| WaitWord::leaf(*kind) == wait);
    kind.map_or("something that is not kumihimo's", |(_, words)| words)
}

pub(crate) fn ended(task: &Header, ended: Ended) {
    let how = match ended {
        Ended::Value => "with a value",
        Ended::Cancelled => "cancelled",
        Ended::Panicked => "by a panic",
    };
    TRACE.with_borrow_mut(|trace| {
        if let Some(number) = trace.number(task) {
            trace.live.remove(&std::ptr::from_ref(task).addr());
            trace.tasks[number].state = TaskState::Ended(how);
            trace.events.push(Event::Ended(number, how));
        }
    });
}

pub(crate) fn readied(task: TaskRef) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(number) = trace.number(task.as_ptr())
            && let TaskState::Waiting(_) = trace.tasks[number].state
        {
            trace.tasks[number].state = TaskState::Ready;
            let by = current(trace);
            trace.events.push(Event::Woken(number, by));
        }
    });
}

pub(crate) fn spurious(task: TaskRef) {
    TRACE.with_borrow_mut(|trace| {
        if let Some(number) = trace.number(task.as_ptr()) {
            trace.events.push(Event::Spurious(number));
        }
    });
}

pub(crate) fn time() {
    TRACE.with_borrow_mut(|trace| trace.events.push(Event::Time));
}

/// Whether the task has this name.
pub(crate) fn is_named(task: TaskRef, name: &str) -> bool {
    TRACE.with_borrow(|trace| {
        let number = trace.number(task.as_ptr());
        number.is_some_and(|number| trace.tasks[number].name.as_deref() == Some(name))
    })
}

/// How often a task that has not ended was suspended.
pub(crate) fn suspensions(task: TaskRef) -> Option<usize> {
    TRACE.with_borrow(|trace| trace.number(task.as_ptr()).map(|number| trace.tasks[number].suspensions))
}

/// Who waits for what.
pub(crate) fn waits() -> String {
    TRACE.with_borrow(|trace| {
        let waits = trace.tasks.iter().enumerate().filter_map(|(number, task)| match &task.state {
            TaskState::Waiting(wait) if !task.hidden => {
                Some(format!("{} waits for {}", trace.name(number), trace.in_words(wait)))
            }
            _ => None,
        });
        waits.collect::<Vec<_>>().join(", ")
    })
}

/// The tasks that are suspended, in order of their creation.
pub(crate) fn suspended_tasks() -> Vec<TaskRef> {
    TRACE.with_borrow(|trace| {
        let mut waiting: Vec<_> = trace.live.values().copied().collect();
        waiting.retain(|(number, _)| matches!(trace.tasks[*number].state, TaskState::Waiting(_)));
        waiting.sort_unstable_by_key(|(number, _)| *number);
        waiting.into_iter().map(|(_, task)| task).collect()
    })
}
