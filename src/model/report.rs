//! An execution in words: its tasks, and what they did when.

use kumihimo_executor::model::trace::{Event, TaskState, Trace};

/// Tells of each task who it is and where it stands.
pub(super) fn print_tasks(trace: &Trace) {
    eprintln!("\ntasks:");
    for (number, task) in trace.tasks.iter().enumerate().filter(|(_, task)| !task.hidden) {
        let state = match &task.state {
            TaskState::New => "has not begun".to_owned(),
            TaskState::Running => "runs".to_owned(),
            TaskState::Ready => "is ready".to_owned(),
            TaskState::Waiting(wait) => format!("waits for {}", trace.in_words(wait)),
            TaskState::Ended(how) => format!("has ended {how}"),
        };
        eprintln!("  {} created at {}: {state}", trace.name(number), task.site);
    }
}

/// Tells what happened, in order.
pub(super) fn print_schedule(trace: &Trace) {
    eprintln!("\nwhat happened:");
    for event in &trace.events {
        let hidden = |number: usize| trace.tasks[number].hidden;
        let by = |by: &Option<usize>| by.map_or_else(String::new, |by| format!(" by {}", trace.name(by)));
        let line = match event {
            Event::Created(number, _)
            | Event::Polled(number, _)
            | Event::Suspended(number, _)
            | Event::Ended(number, _)
            | Event::Woken(number, _)
            | Event::Spurious(number)
                if hidden(*number) =>
            {
                continue;
            }
            Event::Created(number, creator) => format!("{} is created{}", trace.name(*number), by(creator)),
            Event::Polled(number, worker) => format!("{} runs, on worker {worker}", trace.name(*number)),
            Event::Suspended(number, wait) => {
                format!("{} waits for {}", trace.name(*number), trace.in_words(wait))
            }
            Event::Ended(number, how) => format!("{} ends {how}", trace.name(*number)),
            Event::Woken(number, waker) => format!("{} is woken{}", trace.name(*number), by(waker)),
            Event::Spurious(number) => format!("{} is polled for nothing", trace.name(*number)),
            Event::Time => "time passes to the next deadline".to_owned(),
        };
        eprintln!("  {line}");
    }
}
