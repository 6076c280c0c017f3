//! The programs: a small language of everything that can happen to a task.
//!
//! Each statement runs at most once and has a number; each coroutine has a number that is also what it returns. Trace lines
//! name both. Times are whole microseconds.

use std::sync::Arc;

use crate::primitive::{Guarded, Operation};

/// A coroutine's number; also the task's that runs it, and the value it returns.
pub(crate) type Id = usize;

/// A time, or a length of time.
pub(crate) type Micros = u64;

pub(crate) type Block = Vec<Line>;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Coroutine {
    pub(crate) id: Id,
    /// What stands directly around its body, for the coverage.
    pub(crate) scope: Scope,
    pub(crate) body: Block,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Unique in the program. Errors, panics and messages are named after the statement that made them.
    pub(crate) number: usize,
    pub(crate) statement: Statement,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Statement {
    Log,
    Raise,
    Panic,
    /// `create_task`, or that of a group's.
    Spawn {
        coroutine: Arc<Coroutine>,
        group: Option<usize>,
    },
    Cancel {
        task: Id,
        with_message: bool,
    },
    Uncancel(Id),
    /// Prints a task's `done()`, `cancelled()` and `cancelling()`.
    Look(Id),
    /// Zero: gives way once.
    Sleep(Micros),
    Await(Id),
    WaitFor {
        source: Source,
        delay: Micros,
    },
    Shield(Source),
    Gather {
        sources: Vec<Source>,
        mode: Gather,
    },
    /// A gather that is awaited later, by the statement that names this one's number.
    Make {
        sources: Vec<Source>,
        mode: Gather,
    },
    AwaitMade(usize),
    CancelMade {
        gather: usize,
        with_message: bool,
    },
    Wait {
        tasks: Vec<Id>,
        until: Until,
        timeout: Option<Micros>,
    },
    AsCompleted {
        tasks: Vec<Id>,
        timeout: Option<Micros>,
    },
    TryCancelled {
        body: Block,
        handler: Block,
        then: Then,
    },
    TryError {
        body: Block,
        handler: Block,
    },
    Finally {
        body: Block,
        clean_up: Block,
    },
    Timeout {
        delay: Micros,
        body: Block,
    },
    /// Moves the deadline of an enclosing time-out, unless it has expired; `None`: never.
    Reschedule {
        timeout: usize,
        delay: Option<Micros>,
    },
    /// Prints `expired()` of an enclosing time-out.
    LookTimeout(usize),
    Group(Block),
    /// `async with` a lock or the like.
    With {
        guarded: Guarded,
        body: Block,
    },
    Operate(Operation),
}

/// What is given to a combinator.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    Task(Id),
    Coroutine(Arc<Coroutine>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Gather {
    /// `gather(..)` in Python, `try_gather(..)` in Rust.
    First,
    /// `gather(.., return_exceptions=True)` in Python, `gather(..).outcomes()` in Rust.
    Outcomes,
    /// `gather(..)` in Rust, where errors are values; in Python the coroutines return theirs.
    Values,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Until {
    All,
    FirstCompleted,
    FirstException,
}

/// How an `except CancelledError` block ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    Swallow,
    Raise,
    Fail,
}

/// What stands directly around a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scope {
    None,
    TryCancelled,
    Finally,
    Timeout,
    WaitFor,
    GroupBody,
    GroupChild,
    Shield,
    GatherChild,
}

impl Scope {
    pub(crate) const ALL: [Scope; 9] = [
        Scope::None,
        Scope::TryCancelled,
        Scope::Finally,
        Scope::Timeout,
        Scope::WaitFor,
        Scope::GroupBody,
        Scope::GroupChild,
        Scope::Shield,
        Scope::GatherChild,
    ];
}

impl Statement {
    /// All names, but for those of operations.
    pub(crate) const NAMES: [&str; 33] = [
        "log",
        "raise",
        "panic",
        "create_task",
        "group.create_task",
        "cancel",
        "uncancel",
        "done/cancelled/cancelling",
        "sleep(0)",
        "sleep",
        "await task",
        "wait_for(task)",
        "wait_for(coroutine)",
        "shield(task)",
        "shield(coroutine)",
        "try_gather",
        "gather.outcomes",
        "gather",
        "gather, not awaited",
        "gather, awaited later",
        "gather, cancelled by itself",
        "wait(all)",
        "wait(first completed)",
        "wait(first exception)",
        "as_completed",
        "as_completed(timeout)",
        "except CancelledError",
        "except Exception",
        "finally",
        "timeout",
        "reschedule",
        "expired",
        "task_group",
    ];

    /// Its name in the coverage table.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Statement::Log => "log",
            Statement::Raise => "raise",
            Statement::Panic => "panic",
            Statement::Spawn { group: None, .. } => "create_task",
            Statement::Spawn { group: Some(_), .. } => "group.create_task",
            Statement::Cancel { .. } => "cancel",
            Statement::Uncancel(_) => "uncancel",
            Statement::Look(_) => "done/cancelled/cancelling",
            Statement::Sleep(0) => "sleep(0)",
            Statement::Sleep(_) => "sleep",
            Statement::Await(_) => "await task",
            Statement::WaitFor { source: Source::Task(_), .. } => "wait_for(task)",
            Statement::WaitFor { source: Source::Coroutine(_), .. } => "wait_for(coroutine)",
            Statement::Shield(Source::Task(_)) => "shield(task)",
            Statement::Shield(Source::Coroutine(_)) => "shield(coroutine)",
            Statement::Gather { mode: Gather::First, .. } => "try_gather",
            Statement::Gather { mode: Gather::Outcomes, .. } => "gather.outcomes",
            Statement::Gather { mode: Gather::Values, .. } => "gather",
            Statement::Make { .. } => "gather, not awaited",
            Statement::AwaitMade(_) => "gather, awaited later",
            Statement::CancelMade { .. } => "gather, cancelled by itself",
            Statement::Wait { until: Until::All, .. } => "wait(all)",
            Statement::Wait { until: Until::FirstCompleted, .. } => "wait(first completed)",
            Statement::Wait { until: Until::FirstException, .. } => "wait(first exception)",
            Statement::AsCompleted { timeout: None, .. } => "as_completed",
            Statement::AsCompleted { timeout: Some(_), .. } => "as_completed(timeout)",
            Statement::TryCancelled { .. } => "except CancelledError",
            Statement::TryError { .. } => "except Exception",
            Statement::Finally { .. } => "finally",
            Statement::Timeout { .. } => "timeout",
            Statement::Reschedule { .. } => "reschedule",
            Statement::LookTimeout(_) => "expired",
            Statement::Group(_) => "task_group",
            Statement::With { guarded, .. } => guarded.name(),
            Statement::Operate(operation) => operation.name(),
        }
    }

    /// Whether it has blocks that are part of the coroutine it stands in.
    pub(crate) fn has_blocks(&self) -> bool {
        matches!(
            self,
            Statement::TryCancelled { .. }
                | Statement::TryError { .. }
                | Statement::Finally { .. }
                | Statement::Timeout { .. }
                | Statement::Group(_)
                | Statement::With { .. }
        )
    }

    /// The blocks and coroutines within.
    pub(crate) fn for_each_block<'a>(&'a self, f: &mut dyn FnMut(&'a Block)) {
        match self {
            Statement::Spawn { coroutine, .. } => f(&coroutine.body),
            Statement::WaitFor { source, .. } | Statement::Shield(source) => source.for_block(f),
            Statement::Gather { sources, .. } | Statement::Make { sources, .. } => {
                sources.iter().for_each(|source| source.for_block(f));
            }
            Statement::TryCancelled { body, handler, .. } | Statement::TryError { body, handler } => {
                f(body);
                f(handler);
            }
            Statement::Finally { body, clean_up } => {
                f(body);
                f(clean_up);
            }
            Statement::Timeout { body, .. } | Statement::Group(body) | Statement::With { body, .. } => {
                f(body)
            }
            _ => {}
        }
    }
}

impl Source {
    fn for_block<'a>(&'a self, f: &mut dyn FnMut(&'a Block)) {
        if let Source::Coroutine(coroutine) = self {
            f(&coroutine.body);
        }
    }
}
