//! Programs as Python source, and running that with CPython.

mod primitives;

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::model::{END, ROUNDS};
use crate::outcome::{ERROR_WENT_TO_GROUP, cancel_message, panic_message};
use crate::primitive::{Guarded, LockId};
use crate::program::{Block, Coroutine, Gather, Line, Micros, Source, Statement, Then, Until};

const PRELUDE: &str = include_str!("prelude.py");

/// Between programs. Each is compiled by itself, which takes far less than all in one.
const SEPARATOR: &str = "\u{c}";

/// So many processes at most.
const PROCESSES: usize = 4;

/// The root coroutine as a function of the world it runs in.
pub(crate) fn source(name: &str, root: &Coroutine) -> String {
    let mut emitter = Emitter { text: String::new(), depth: 0, timeouts: Vec::new(), held: Vec::new() };
    emitter.coroutine(name, "w", root);
    emitter.text
}

struct Emitter {
    text: String,
    depth: usize,
    /// Those around, in this coroutine.
    timeouts: Vec<usize>,
    /// Locks of blocks around, in this coroutine.
    held: Vec<LockId>,
}

impl Emitter {
    fn line(&mut self, line: &str) {
        let indent = 4 * self.depth;
        writeln!(self.text, "{:indent$}{line}", "").expect("a string takes everything");
    }

    fn indented(&mut self, f: impl FnOnce(&mut Self)) {
        self.depth += 1;
        f(self);
        self.depth -= 1;
    }

    fn coroutine(&mut self, name: &str, parameter: &str, coroutine: &Coroutine) {
        let outside = (std::mem::take(&mut self.timeouts), std::mem::take(&mut self.held));
        self.line(&format!("async def {name}({parameter}):"));
        self.indented(|this| {
            this.line(&format!("at = w.begin({})", coroutine.id));
            this.block_or_nothing(&coroutine.body);
            this.line(&format!("return w.end({})", coroutine.id));
        });
        (self.timeouts, self.held) = outside;
    }

    fn block_or_nothing(&mut self, block: &Block) {
        block.iter().for_each(|line| self.statement(line));
    }

    fn block(&mut self, block: &Block) {
        self.indented(|this| {
            if block.is_empty() {
                this.line("pass");
            }
            this.block_or_nothing(block);
        });
    }

    /// The functions that a statement needs.
    fn functions(&mut self, statement: &Statement) {
        let mut define = |coroutine: &Coroutine| {
            self.coroutine(&format!("t{}", coroutine.id), "", coroutine);
        };
        match statement {
            Statement::Spawn { coroutine, .. } => define(coroutine),
            Statement::WaitFor { source, .. } | Statement::Shield(source) => {
                source.coroutine().into_iter().for_each(define);
            }
            Statement::Gather { sources, .. } | Statement::Make { sources, .. } => {
                sources.iter().filter_map(Source::coroutine).for_each(define);
            }
            _ => {}
        }
    }

    fn statement(&mut self, line: &Line) {
        let number = line.number;
        self.functions(&line.statement);
        // What is nested has a `log` of its own.
        let log = if line.statement.has_blocks() { format!("log{number}") } else { "log".into() };
        self.line(&format!("with at({number}) as {log}:"));
        self.indented(|this| match &line.statement {
            Statement::TryCancelled { body, handler, then } => {
                this.line("try:");
                this.block(body);
                this.line("except asyncio.CancelledError as cancelled:");
                this.indented(|this| {
                    this.line(&format!("{log}('caught', f'{{show(cancelled)}},', w.cancelling())"));
                    this.block_or_nothing(handler);
                    match then {
                        Then::Swallow => {}
                        Then::Raise => this.line("raise"),
                        Then::Fail => this.line(&format!("raise E('e{number}')")),
                    }
                });
                this.line(&format!("{log}('ok')"));
            }
            Statement::TryError { body, handler } => {
                this.line("try:");
                this.block(body);
                this.line("except Exception as error:");
                this.indented(|this| {
                    this.line(&format!("{log}('caught', error)"));
                    this.block_or_nothing(handler);
                });
                this.line(&format!("{log}('ok')"));
            }
            Statement::Finally { body, clean_up } => {
                this.line("try:");
                this.block(body);
                this.line("finally:");
                this.indented(|this| {
                    this.line(&format!("{log}('finally,', w.cancelling())"));
                    this.line("try:");
                    this.block(clean_up);
                    this.line("except Exception as error:");
                    this.line(&format!("    {log}('clean-up failed:', error)"));
                });
                this.line(&format!("{log}('ok')"));
            }
            Statement::Timeout { delay, body } => {
                this.line(&format!("async with asyncio.timeout({}) as timeout{number}:", seconds(*delay)));
                this.timeouts.push(number);
                this.block(body);
                this.timeouts.pop();
                this.line(&format!("{log}('ok')"));
            }
            Statement::Group(body) => {
                this.line(&format!("async with Group() as w.groups[{number}]:"));
                this.block(body);
                this.line(&format!("{log}('ok')"));
            }
            Statement::With { guarded, body } => {
                let index = if matches!(guarded, Guarded::Barrier(_)) { " as index" } else { "" };
                let entered = if index.is_empty() { "'entered'" } else { "'entered', index" };
                this.line(&format!("async with {}{index}:", primitives::guarded(*guarded)));
                this.line(&format!("    {log}({entered})"));
                this.held.extend(guarded.lock());
                this.block(body);
                guarded.lock().map(|_| this.held.pop());
                this.line(&format!("{log}('ok')"));
            }
            simple => {
                let text = this.simple(number, simple);
                this.line(&text);
            }
        });
    }

    /// A statement without blocks.
    fn simple(&self, number: usize, statement: &Statement) -> String {
        let logged = match statement {
            Statement::Raise => return format!("raise E('e{number}')"),
            Statement::Operate(operation) => return primitives::operation(number, operation, &self.held),
            Statement::Panic => return format!("raise Panic('{}')", panic_message(number)),
            Statement::Log => "'log'".into(),
            Statement::Spawn { coroutine, group: None } => format!("w.spawn({0}, t{0}())", coroutine.id),
            Statement::Spawn { coroutine, group: Some(group) } => {
                format!("w.spawn({0}, t{0}(), group={group})", coroutine.id)
            }
            Statement::Cancel { task, with_message: false } => format!("w.cancel({task})"),
            Statement::Cancel { task, with_message: true } => {
                format!("w.cancel({task}, '{}')", cancel_message(number))
            }
            Statement::Uncancel(task) => format!("w.uncancel({task})"),
            Statement::Look(task) => format!("w.look({task})"),
            Statement::Sleep(delay) => format!("await asyncio.sleep({}, 'slept')", seconds(*delay)),
            Statement::Await(task) => format!("await w.task({task})"),
            Statement::WaitFor { source, delay } => {
                format!("await w.wait_for({}, {})", name(source), seconds(*delay))
            }
            Statement::Shield(source) => format!("await w.shield({})", name(source)),
            Statement::Gather { sources, mode } => format!("await w.gather({})", arguments(sources, *mode)),
            Statement::Make { sources, mode } => {
                format!("w.make({number}, {})", arguments(sources, *mode))
            }
            Statement::AwaitMade(made) => format!("await w.take({made})"),
            Statement::CancelMade { gather, with_message: false } => format!("w.cancel_made({gather})"),
            Statement::CancelMade { gather, with_message: true } => {
                format!("w.cancel_made({gather}, '{}')", cancel_message(number))
            }
            Statement::Wait { tasks, until, timeout } => {
                let until = match until {
                    Until::All => "ALL_COMPLETED",
                    Until::FirstCompleted => "FIRST_COMPLETED",
                    Until::FirstException => "FIRST_EXCEPTION",
                };
                format!("await w.wait({tasks:?}, return_when=asyncio.{until}{})", within(*timeout))
            }
            Statement::AsCompleted { tasks, timeout } => {
                format!("await w.as_completed(log, {tasks:?}{})", within(*timeout))
            }
            Statement::Reschedule { timeout, .. } | Statement::LookTimeout(timeout)
                if !self.timeouts.contains(timeout) =>
            {
                "'not there'".into()
            }
            Statement::Reschedule { timeout, delay } => {
                let delay = delay.map_or("None".into(), seconds);
                format!("w.reschedule(timeout{timeout}, {delay})")
            }
            Statement::LookTimeout(timeout) => {
                format!("f'expired={{timeout{timeout}.expired()}}'.lower()")
            }
            _ => unreachable!("it has blocks"),
        };
        format!("log({logged})")
    }
}

impl Source {
    fn coroutine(&self) -> Option<&Coroutine> {
        match self {
            Source::Task(_) => None,
            Source::Coroutine(coroutine) => Some(coroutine),
        }
    }
}

fn name(source: &Source) -> String {
    match source {
        Source::Task(id) => id.to_string(),
        Source::Coroutine(coroutine) => format!("t{}", coroutine.id),
    }
}

fn arguments(sources: &[Source], mode: Gather) -> String {
    let mut arguments: Vec<String> = sources.iter().map(name).collect();
    arguments.extend(match mode {
        Gather::First => None,
        Gather::Outcomes => Some("return_exceptions=True".into()),
        Gather::Values => Some("values=True".into()),
    });
    arguments.join(", ")
}

fn within(timeout: Option<Micros>) -> String {
    timeout.map_or(String::new(), |timeout| format!(", timeout={}", seconds(timeout)))
}

fn seconds(micros: Micros) -> String {
    format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000).trim_end_matches('0').to_string() + "0"
}

/// A CPython that is new enough.
#[derive(Clone, Debug)]
pub(crate) struct Python(String);

impl Python {
    /// `python3.13`, or a later one; `None` if there is none on `PATH`.
    pub(crate) fn find() -> Option<Python> {
        let check = "import sys; sys.exit(sys.version_info < (3, 13))";
        let found = ["python3.13", "python3.14", "python3"].into_iter().find(|name| {
            let status =
                Command::new(name).args(["-c", check]).stdout(Stdio::null()).stderr(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        });
        found.map(|name| Python(name.into()))
    }

    /// Runs programs, in a few processes; gives their traces.
    pub(crate) fn run(&self, programs: &[Arc<Coroutine>]) -> Vec<Vec<String>> {
        let processes = std::thread::available_parallelism().map_or(1, usize::from).min(PROCESSES);
        let share = programs.len().div_ceil(processes).max(1);
        std::thread::scope(|scope| {
            let running: Vec<_> =
                programs.chunks(share).map(|programs| scope.spawn(|| self.run_in_one(programs))).collect();
            running.into_iter().flat_map(|traces| traces.join().expect("python runs programs")).collect()
        })
    }

    fn run_in_one(&self, programs: &[Arc<Coroutine>]) -> Vec<Vec<String>> {
        let prelude = (primitives::prelude() + PRELUDE)
            .replace("(END)", &format!("({})", seconds(END)))
            .replace("(ROUNDS)", &format!("({ROUNDS})"))
            .replace("ERROR_WENT_TO_GROUP", ERROR_WENT_TO_GROUP);
        let sources: Vec<String> = programs.iter().map(|root| source("program", root)).collect();
        let mut child = Command::new(&self.0)
            .args(["-c", &prelude])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it ran before");
        let mut stdin = child.stdin.take().expect("piped");
        // Python reads all programs before it prints anything.
        stdin.write_all(sources.join(SEPARATOR).as_bytes()).expect("python reads its programs");
        drop(stdin);
        let output = child.wait_with_output().expect("python ends");
        assert!(output.status.success(), "python failed: {}", output.status);
        let text = String::from_utf8(output.stdout).expect("python prints UTF-8");
        let mut traces: Vec<Vec<String>> = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("=== ") {
                Some(_) => traces.push(Vec::new()),
                None => traces.last_mut().expect("after a heading").push(line.into()),
            }
        }
        assert_eq!(traces.len(), programs.len(), "python ran every program");
        traces
    }
}
