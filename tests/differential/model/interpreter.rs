//! Runs programs on the model: each statement as its Python twin does (`python.rs`).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use super::combinators::{self, AsCompleted, Awaitable};
use super::event_loop::{Coroutine as Body, Loop};
use super::exception::{Cause, Exception, Message, Value, show};
use super::future::{Future, sleep, wait_future};
use super::locks::Futures;
use super::primitives::{self, Primitives};
use super::task_group::TaskGroup;
use super::timeout::Timeout;
use crate::coverage::{Coverage, Leaf};
use crate::outcome::{Error, cancel_message, list};
use crate::primitive::{LockId, Number, lock_of};
use crate::program::{Block, Coroutine, Gather, Id, Line, Micros, Scope, Source, Statement, Then, Until};

/// Whether a cancellation's message is there for everybody who sees the cancellation. In CPython it is for the first only
/// (CAN-32, an accident); here, as in kumihimo, for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Messages {
    Kept,
    LostOnceSeen,
}

/// What the model says a program does.
pub(crate) struct Prediction {
    pub(crate) trace: Vec<String>,
    pub(crate) coverage: Coverage,
    /// It is no use: two deadlines were equal, so that asyncio's rules don't decide what it does, or it doesn't end.
    pub(crate) unfit: bool,
}

/// How long the main task waits for the others; then it cancels those that are left, and waits as long again.
pub(crate) const END: Micros = 10_000_000_000;

/// How often it does that.
pub(crate) const ROUNDS: usize = 40;

pub(crate) fn run(root: &Arc<Coroutine>, messages: Messages) -> Prediction {
    let event_loop = Loop::new();
    let world = Rc::new(World {
        event_loop: event_loop.clone(),
        messages,
        trace: RefCell::default(),
        tasks: RefCell::default(),
        groups: RefCell::default(),
        coverage: RefCell::default(),
        counts: Cell::new(true),
        primitives: Primitives::new(Futures { event_loop: event_loop.clone(), messages }),
    });
    world.coverage.borrow_mut().constructs(root);
    let main = {
        let (world, root) = (world.clone(), root.clone());
        Box::pin(async move {
            let task = world.task(coroutine(world.clone(), root.clone()));
            world.tasks.borrow_mut().insert(root.id, Entry { task, spawned: true });
            sleep(&world.event_loop, world.messages, END).await?;
            world.counts.set(false);
            world.print_states();
            for _ in 0..ROUNDS {
                if !world.cancel_all() {
                    break;
                }
                sleep(&world.event_loop, world.messages, END).await?;
                world.print_states();
            }
            Ok(Value::None)
        })
    };
    let main = Future::task(&event_loop, messages, main);
    event_loop.run();
    assert!(main.done(), "the main task only sleeps");
    // Tasks refer to themselves from their coroutines.
    let ends = world.tasks.borrow().values().all(|entry| entry.task.done());
    world.tasks.borrow_mut().clear();
    world.primitives.clear();
    Prediction {
        trace: world.trace.take(),
        coverage: world.coverage.take(),
        unfit: event_loop.is_ambiguous() || !ends,
    }
}

pub(super) struct World {
    event_loop: Rc<Loop>,
    messages: Messages,
    trace: RefCell<Vec<String>>,
    tasks: RefCell<BTreeMap<Id, Entry>>,
    groups: RefCell<BTreeMap<usize, Rc<TaskGroup>>>,
    coverage: RefCell<Coverage>,
    /// What the main task does at the end is not counted.
    counts: Cell<bool>,
    pub(super) primitives: Primitives,
}

#[derive(Clone)]
struct Entry {
    task: Rc<Future>,
    /// By a statement, rather than a combinator: its result can be had.
    spawned: bool,
}

impl World {
    fn task(&self, body: Body) -> Rc<Future> {
        Future::task(&self.event_loop, self.messages, as_task(self.event_loop.clone(), body))
    }

    fn print(&self, text: &str) {
        self.trace.borrow_mut().push(format!("{:>9} {text}", self.event_loop.time()));
    }

    fn print_states(&self) {
        for (id, Entry { task, spawned }) in self.tasks.borrow().iter() {
            let state = match (task.done(), task.cancelled()) {
                (false, _) => "pending".into(),
                (true, true) => "cancelled".into(),
                (true, false) if *spawned => show(&task.result()),
                (true, false) => "done".into(),
            };
            self.print(&format!("t{id}: {state} cancelling={}", task.cancelling()));
        }
        self.primitives.show(&|text| self.print(text));
    }

    /// Cancels all tasks that are left, in order; false if there are none.
    fn cancel_all(&self) -> bool {
        let tasks = self.tasks.borrow();
        let left: Vec<_> = tasks.iter().filter(|(_, entry)| !entry.task.done()).collect();
        for (id, entry) in &left {
            let cancelled = entry.task.cancel(Message::none(Cause::Cancel));
            self.print(&format!("cancel t{id}: {cancelled}"));
        }
        !left.is_empty()
    }

    /// Counts what hits a task that is suspended.
    pub(super) fn hit(&self, scope: Scope, leaf: Leaf, cause: Cause) {
        if self.counts.get() {
            self.coverage.borrow_mut().hit(scope, leaf, cause);
        }
    }
}

/// The coroutine's body, from `async def` to `return`.
fn coroutine(world: Rc<World>, coroutine: Arc<Coroutine>) -> Body {
    Box::pin(async move {
        let task = world.event_loop.current_task();
        world.tasks.borrow_mut().entry(coroutine.id).or_insert(Entry { task, spawned: false });
        let env = Env {
            world,
            who: coroutine.id,
            scope: coroutine.scope,
            around: None,
            timeouts: Vec::new(),
            held: Vec::new(),
            made: Rc::default(),
        };
        env.print("begin");
        block(&env, &coroutine.body).await?;
        env.print("end");
        Ok(Value::Int(coroutine.id))
    })
}

/// What a block sees around it.
#[derive(Clone)]
pub(super) struct Env {
    pub(super) world: Rc<World>,
    who: Id,
    /// What stands directly around.
    pub(super) scope: Scope,
    /// If that is a time-out with nothing but a sleep in it: what stands around that.
    around: Option<Scope>,
    timeouts: Vec<(usize, Rc<Timeout>)>,
    /// Locks of blocks around.
    pub(super) held: Vec<LockId>,
    /// Gathers that were made and not awaited.
    made: Rc<RefCell<BTreeMap<usize, Rc<Future>>>>,
}

pub(super) type Step<'a, T> = Pin<Box<dyn std::future::Future<Output = Result<T, Exception>> + 'a>>;

pub(super) fn block<'a>(env: &'a Env, lines: &'a [Line]) -> Step<'a, ()> {
    Box::pin(async move {
        for line in lines {
            let result = statement(env, line).await;
            match &result {
                Ok(Some(text)) => env.log(line.number, text),
                Ok(None) => {}
                Err(Exception::Error(error)) => env.log(line.number, &error.to_string()),
                Err(_) => env.log(line.number, "unwound"),
            }
            result?;
        }
        Ok(())
    })
}

impl Env {
    fn print(&self, text: &str) {
        self.world.print(&format!("t{} {text}", self.who));
    }

    pub(super) fn log(&self, number: usize, text: &str) {
        self.print(&format!("#{number} {text}"));
    }

    fn within(&self, scope: Scope) -> Env {
        Env { scope, around: None, ..self.clone() }
    }

    /// Whether a block around holds this condition's lock.
    pub(super) fn holds(&self, condition: Number) -> bool {
        self.held.contains(&lock_of(condition))
    }

    fn current(&self) -> Rc<Future> {
        self.world.event_loop.current_task()
    }

    fn find(&self, id: Id) -> Option<Rc<Future>> {
        self.world.tasks.borrow().get(&id).map(|entry| entry.task.clone())
    }

    fn find_all(&self, ids: &[Id]) -> Vec<Rc<Future>> {
        ids.iter().filter_map(|id| self.find(*id)).collect()
    }

    fn sources(&self, sources: &[Source], values: bool) -> Vec<Rc<Future>> {
        let made = sources.iter().filter_map(|source| match source {
            Source::Task(id) => self.find(*id),
            Source::Coroutine(body) => {
                let body = coroutine(self.world.clone(), body.clone());
                Some(self.world.task(if values { error_as_value(body) } else { body }))
            }
        });
        made.collect()
    }

    /// Counts what hits the task while it is suspended here.
    pub(super) async fn leaf<T>(
        &self,
        leaf: Leaf,
        inside: impl std::future::Future<Output = Result<T, Exception>>,
    ) -> Result<T, Exception> {
        let pass = self.world.event_loop.passes();
        let result = inside.await;
        if let Err(exception) = &result
            && self.world.event_loop.passes() != pass
            && !matches!(exception, Exception::Error(Error::BrokenBarrier | Error::QueueShutDown))
        {
            self.world.hit(self.scope, leaf, exception.cause());
            if leaf == Leaf::Sleep
                && let Some(around) = self.around
            {
                self.world.hit(around, Leaf::TimeoutSleep, exception.cause());
            }
        }
        result
    }

    async fn leaf_future(&self, leaf: Leaf, future: &Rc<Future>) -> Result<Option<String>, Exception> {
        Ok(Some(self.leaf(leaf, wait_future(future)).await?.show()))
    }
}

/// `async def value(coroutine): try: return await coroutine; except Exception as error: return error`
fn error_as_value(body: Body) -> Body {
    Box::pin(async move {
        match body.await {
            Err(Exception::Error(error)) => Ok(Value::Error(error)),
            other => other,
        }
    })
}

/// DIFFERS: in kumihimo an error is a value, so a request that was not delivered replaces it too (CAN-23).
fn as_task(event_loop: Rc<Loop>, body: Body) -> Body {
    Box::pin(async move {
        match body.await {
            Err(Exception::Error(_)) if event_loop.current_task().must_cancel() => Ok(Value::None),
            other => other,
        }
    })
}

const NOT_THERE: &str = "not there";

/// Runs a statement; gives what it logs.
async fn statement(env: &Env, line: &Line) -> Result<Option<String>, Exception> {
    let (world, number) = (&env.world, line.number);
    let event_loop = &world.event_loop;
    match &line.statement {
        Statement::Log => Ok(Some("log".into())),
        Statement::Raise => Err(Exception::Error(Error::Raised(number))),
        Statement::Panic => Err(Exception::Panic(number)),
        Statement::Spawn { coroutine, group } => Ok(Some(spawn(env, coroutine, *group))),
        Statement::Cancel { task, with_message } => {
            let Some(task) = env.find(*task) else { return Ok(Some(NOT_THERE.into())) };
            let text = with_message.then(|| cancel_message(number));
            Ok(Some(task.cancel(Message { text, cause: Cause::Cancel }).to_string()))
        }
        Statement::Uncancel(task) => {
            let Some(task) = env.find(*task) else { return Ok(Some(NOT_THERE.into())) };
            Ok(Some(task.uncancel().to_string()))
        }
        Statement::Look(task) => {
            let Some(task) = env.find(*task) else { return Ok(Some(NOT_THERE.into())) };
            Ok(Some(format!(
                "done={} cancelled={} cancelling={}",
                task.done(),
                task.cancelled(),
                task.cancelling()
            )))
        }
        Statement::Sleep(delay) => {
            let leaf = if *delay == 0 { Leaf::Yield } else { Leaf::Sleep };
            env.leaf(leaf, sleep(event_loop, world.messages, *delay)).await?;
            Ok(Some("slept".into()))
        }
        Statement::Await(task) => {
            let Some(task) = env.find(*task) else { return Ok(Some(NOT_THERE.into())) };
            env.leaf_future(Leaf::Task, &task).await
        }
        Statement::WaitFor { source, delay } => wait_for(env, source, *delay).await,
        Statement::Shield(source) => {
            let sources = env.sources(std::slice::from_ref(source), false);
            let Some(inner) = sources.into_iter().next() else { return Ok(Some(NOT_THERE.into())) };
            env.leaf_future(Leaf::Shield, &combinators::shield(inner)).await
        }
        Statement::Gather { sources, mode } => {
            let Some(outer) = gather(env, sources, *mode) else { return Ok(Some(NOT_THERE.into())) };
            env.leaf_future(Leaf::Gather, &outer).await
        }
        Statement::Make { sources, mode } => {
            let Some(outer) = gather(env, sources, *mode) else { return Ok(Some(NOT_THERE.into())) };
            env.made.borrow_mut().insert(number, outer);
            Ok(Some("made".into()))
        }
        Statement::AwaitMade(made) => {
            let made = env.made.borrow_mut().remove(made);
            let Some(outer) = made else { return Ok(Some(NOT_THERE.into())) };
            env.leaf_future(Leaf::Gather, &outer).await
        }
        Statement::CancelMade { gather, with_message } => {
            let made = env.made.borrow().get(gather).cloned();
            let Some(outer) = made else { return Ok(Some(NOT_THERE.into())) };
            let text = with_message.then(|| cancel_message(number));
            Ok(Some(outer.cancel(Message { text, cause: Cause::Cancel }).to_string()))
        }
        Statement::Wait { tasks, until, timeout } => wait(env, tasks, *until, *timeout).await,
        Statement::AsCompleted { tasks, timeout } => as_completed(env, number, tasks, *timeout).await,
        Statement::TryCancelled { body, handler, then } => {
            try_cancelled(env, number, body, handler, *then).await
        }
        Statement::TryError { body, handler } => {
            if let Err(exception) = block(env, body).await {
                let Exception::Error(error) = exception else { return Err(exception) };
                env.log(number, &format!("caught {error}"));
                block(env, handler).await?;
            }
            Ok(Some("ok".into()))
        }
        Statement::Finally { body, clean_up } => {
            let result = block(&env.within(Scope::Finally), body).await;
            env.log(number, &format!("finally, cancelling={}", env.current().cancelling()));
            match block(env, clean_up).await {
                Err(Exception::Error(error)) => env.log(number, &format!("clean-up failed: {error}")),
                result => result?,
            }
            result.map(|()| Some("ok".into()))
        }
        Statement::Timeout { delay, body } => {
            let timeout = Timeout::enter(event_loop, Some(event_loop.time() + delay));
            let mut inside = env.within(Scope::Timeout);
            if let [Line { statement: Statement::Sleep(1..), .. }] = body.as_slice() {
                inside.around = Some(env.scope);
            }
            inside.timeouts.push((number, timeout.clone()));
            let result = block(&inside, body).await;
            timeout.exit(result)?;
            Ok(Some("ok".into()))
        }
        Statement::Reschedule { timeout, delay } => {
            let Some((_, timeout)) = env.timeouts.iter().find(|(other, _)| other == timeout) else {
                return Ok(Some(NOT_THERE.into()));
            };
            if timeout.expired() {
                return Ok(Some("expired".into()));
            }
            timeout.reschedule(delay.map(|delay| event_loop.time() + delay));
            Ok(Some("rescheduled".into()))
        }
        Statement::LookTimeout(timeout) => {
            let Some((_, timeout)) = env.timeouts.iter().find(|(other, _)| other == timeout) else {
                return Ok(Some(NOT_THERE.into()));
            };
            Ok(Some(format!("expired={}", timeout.expired())))
        }
        Statement::Group(body) => {
            let group = TaskGroup::enter(event_loop, world.messages);
            world.groups.borrow_mut().insert(number, group.clone());
            let result = block(&env.within(Scope::GroupBody), body).await;
            let interrupted = |cause| world.hit(env.scope, Leaf::GroupEnd, cause);
            group.exit(result, interrupted).await?;
            Ok(Some("ok".into()))
        }
        Statement::With { guarded, body } => primitives::with(env, number, *guarded, body).await.map(Some),
        Statement::Operate(operation) => primitives::operate(env, number, operation).await.map(Some),
    }
}

fn spawn(env: &Env, body: &Arc<Coroutine>, group: Option<usize>) -> String {
    let body_of = coroutine(env.world.clone(), body.clone());
    let task = match group {
        None => env.world.task(body_of),
        Some(group) => {
            let group = env.world.groups.borrow().get(&group).cloned();
            match group.and_then(|group| group.create_task(body_of)) {
                Some(task) => task,
                None => return "no group".into(),
            }
        }
    };
    env.world.tasks.borrow_mut().insert(body.id, Entry { task, spawned: true });
    format!("t{}", body.id)
}

fn gather(env: &Env, sources: &[Source], mode: Gather) -> Option<Rc<Future>> {
    let children = env.sources(sources, mode == Gather::Values);
    (!children.is_empty()).then(|| combinators::gather(children, mode == Gather::Outcomes))
}

async fn wait_for(env: &Env, source: &Source, delay: Micros) -> Result<Option<String>, Exception> {
    let awaitable = match source {
        // DIFFERS: kumihimo drops what is no task at once.
        Source::Coroutine(_) if delay == 0 => return Err(Exception::Error(Error::Timeout)),
        Source::Task(id) => match env.find(*id) {
            Some(task) => Awaitable::Future(task),
            None => return Ok(Some(NOT_THERE.into())),
        },
        Source::Coroutine(body) => Awaitable::Coroutine(coroutine(env.world.clone(), body.clone())),
    };
    let current = env.current();
    let inside = combinators::wait_for(&current, awaitable, delay);
    let value = match source {
        // Awaited within the time-out that wait_for is.
        Source::Task(_) => env.within(Scope::WaitFor).leaf(Leaf::Task, inside).await?,
        Source::Coroutine(_) => inside.await?,
    };
    Ok(Some(value.show()))
}

async fn wait(
    env: &Env,
    tasks: &[Id],
    until: Until,
    timeout: Option<Micros>,
) -> Result<Option<String>, Exception> {
    let futures = env.find_all(tasks);
    if futures.is_empty() {
        return Ok(Some(NOT_THERE.into()));
    }
    let (done, pending) = env.leaf(Leaf::Wait, combinators::wait(&futures, timeout, until)).await?;
    Ok(Some(format!("done {} pending {}", names(env, &done), names(env, &pending))))
}

fn names(env: &Env, futures: &[Rc<Future>]) -> String {
    list(futures.iter().map(|future| name(env, future)))
}

fn name(env: &Env, future: &Rc<Future>) -> String {
    let tasks = env.world.tasks.borrow();
    let (id, _) = tasks.iter().find(|(_, entry)| Rc::ptr_eq(&entry.task, future)).expect("it was found");
    format!("t{id}")
}

async fn as_completed(
    env: &Env,
    number: usize,
    tasks: &[Id],
    timeout: Option<Micros>,
) -> Result<Option<String>, Exception> {
    let futures = env.find_all(tasks);
    if futures.is_empty() {
        return Ok(Some(NOT_THERE.into()));
    }
    let mut iterator = AsCompleted::new(&futures, timeout);
    let next = async |iterator: &mut AsCompleted| match iterator.next().await {
        Some(result) => result.map(Some),
        None => Ok(None),
    };
    while let Some(future) = env.leaf(Leaf::AsCompleted, next(&mut iterator)).await? {
        env.log(number, &format!("{} {}", name(env, &future), show(&wait_future(&future).await)));
    }
    Ok(Some("ok".into()))
}

async fn try_cancelled(
    env: &Env,
    number: usize,
    body: &Block,
    handler: &Block,
    then: Then,
) -> Result<Option<String>, Exception> {
    if let Err(exception) = block(&env.within(Scope::TryCancelled), body).await {
        if !matches!(exception, Exception::Cancelled(_)) {
            return Err(exception);
        }
        let cancelling = env.current().cancelling();
        env.log(number, &format!("caught {}, cancelling={cancelling}", exception.show()));
        block(env, handler).await?;
        match then {
            Then::Swallow => {}
            Then::Raise => return Err(exception),
            Then::Fail => return Err(Exception::Error(Error::Raised(number))),
        }
    }
    Ok(Some("ok".into()))
}
