//! Runs programs on kumihimo: only what `use kumihimo as asyncio` gives, each statement as in `python.rs`.

mod primitives;

use std::collections::BTreeMap;
use std::future::IntoFuture;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, mpsc};
use std::time::Duration;

use kumihimo as asyncio;
use kumihimo::{Instant, ResultError, Runner, SharedTask, Task, TaskError, TaskGroup, TaskHandle, Timeout};

use self::primitives::{Primitives, Slot};
use crate::model::{END, ROUNDS};
use crate::outcome::{Error, cancel_message, list, panic_message, show_cancelled, show_panic};
use crate::primitive::LockId;
use crate::program::{Block, Coroutine, Gather, Id, Line, Micros, Source, Statement, Then, Until};

/// How long a program may take before it counts as hanging. It waits for nothing real.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same once a program hung: smaller ones will, too.
const LITTLE_PATIENCE: Duration = Duration::from_secs(1);

/// The name of threads that run programs.
const THREAD: &str = "program";

/// What a coroutine comes to.
type Outcome = Result<Id, Error>;
type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The trace of a program on the current-thread flavour, on the mock clock.
pub(crate) fn run(root: &Arc<Coroutine>) -> Vec<String> {
    static QUIET: Once = Once::new();
    QUIET.call_once(be_quiet);
    let world = Arc::new(World::default());
    let (done, ended) = mpsc::channel();
    let thread = {
        let (world, root) = (world.clone(), root.clone());
        let program = std::thread::Builder::new().name(THREAD.into());
        let program = program.spawn(move || {
            let runner = Runner::builder().current_thread().start_paused(true).build().expect("a loop");
            runner.get_loop().set_exception_handler(|_, _| {});
            let result = runner.run(main(&world, &root));
            world.closed.store(true, Ordering::Relaxed);
            if world.is_over() {
                lock(&world.tasks).clear();
                lock(&world.groups).clear();
                runner.close();
            } else {
                // It would wait for what is left, for ever. The trace says that there is something.
                std::mem::forget(runner);
            }
            done.send(()).expect("the test waits");
            result.map_err(|error| error.to_string())
        });
        program.expect("a thread")
    };
    static HUNG: AtomicBool = AtomicBool::new(false);
    let patience = if HUNG.load(Ordering::Relaxed) { LITTLE_PATIENCE } else { PATIENCE };
    let hangs = matches!(ended.recv_timeout(patience), Err(mpsc::RecvTimeoutError::Timeout));
    HUNG.fetch_or(hangs, Ordering::Relaxed);
    let result = if hangs {
        Err("it hangs".into())
    } else {
        thread.join().unwrap_or_else(|_| Err("the loop panicked".into()))
    };
    let mut trace = std::mem::take(&mut *lock(&world.trace));
    trace.extend(result.err());
    trace
}

/// Panics of programs are meant.
fn be_quiet() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if std::thread::current().name() != Some(THREAD) {
            hook(info);
        }
    }));
}

async fn main(world: &Arc<World>, root: &Arc<Coroutine>) {
    *lock(&world.start) = Some(Instant::now());
    let task = asyncio::create_task(coroutine(world.clone(), root.clone()));
    lock(&world.tasks).insert(root.id, Entry::Spawned(task));
    asyncio::sleep(Duration::from_micros(END)).await;
    world.print_states();
    for _ in 0..ROUNDS {
        if !world.cancel_all() {
            break;
        }
        asyncio::sleep(Duration::from_micros(END)).await;
        world.print_states();
    }
}

#[derive(Default)]
struct World {
    start: Mutex<Option<Instant>>,
    trace: Mutex<Vec<String>>,
    /// The program is over; what tasks say while they are cleared away is not part of it.
    closed: AtomicBool,
    tasks: Mutex<BTreeMap<Id, Entry>>,
    groups: Mutex<BTreeMap<usize, TaskGroup<Error>>>,
    primitives: Primitives,
}

/// What is known of a task.
enum Entry {
    Spawned(Task<Outcome>),
    /// Made by a combinator.
    Seen(TaskHandle),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics while it is held")
}

impl Entry {
    fn handle(&self) -> TaskHandle {
        match self {
            Entry::Spawned(task) => task.handle(),
            Entry::Seen(handle) => handle.clone(),
        }
    }

    fn state(&self) -> String {
        let handle = self.handle();
        match self {
            _ if !handle.done() => "pending".into(),
            _ if handle.cancelled() => "cancelled".into(),
            Entry::Seen(_) => "done".into(),
            Entry::Spawned(task) => match task.try_result() {
                Ok(outcome) => show_outcome(&outcome),
                Err(ResultError::Task(error)) => show_failure(&error),
                Err(ResultError::NotReady) => "not ready".into(),
            },
        }
    }
}

impl World {
    fn print(&self, text: &str) {
        if !self.closed.load(Ordering::Relaxed) {
            let start = lock(&self.start).expect("the program has begun");
            let time = (Instant::now() - start).as_micros();
            lock(&self.trace).push(format!("{time:>9} {text}"));
        }
    }

    fn is_over(&self) -> bool {
        lock(&self.tasks).values().all(|entry| entry.handle().done())
    }

    fn print_states(&self) {
        for (id, entry) in &*lock(&self.tasks) {
            self.print(&format!("t{id}: {} cancelling={}", entry.state(), entry.handle().cancelling()));
        }
        self.primitives.show(&|text| self.print(text));
    }

    /// Cancels all tasks that are left, in order; false if there are none.
    fn cancel_all(&self) -> bool {
        let tasks: Vec<(Id, TaskHandle)> =
            lock(&self.tasks).iter().map(|(id, entry)| (*id, entry.handle())).collect();
        let left: Vec<_> = tasks.iter().filter(|(_, task)| !task.done()).collect();
        for (id, task) in &left {
            self.print(&format!("cancel t{id}: {}", task.cancel()));
        }
        !left.is_empty()
    }

    fn handle(&self, id: Id) -> Option<TaskHandle> {
        lock(&self.tasks).get(&id).map(Entry::handle)
    }

    /// The name of a task that a combinator gave back.
    fn name(&self, task: &TaskHandle) -> String {
        let tasks = lock(&self.tasks);
        let found = tasks.iter().find(|(_, entry)| entry.handle() == *task);
        found.map_or("somebody else".into(), |(id, _)| format!("t{id}"))
    }

    fn all_shared(&self, ids: &[Id]) -> Vec<SharedTask<Outcome>> {
        ids.iter().filter_map(|id| self.shared(*id)).collect()
    }

    fn shared(&self, id: Id) -> Option<SharedTask<Outcome>> {
        match lock(&self.tasks).get(&id)? {
            Entry::Spawned(task) => Some(task.into_future()),
            Entry::Seen(_) => None,
        }
    }
}

fn show_outcome(outcome: &Outcome) -> String {
    outcome.as_ref().map_or_else(Error::to_string, Id::to_string)
}

fn show_failure(error: &TaskError) -> String {
    match error {
        TaskError::Cancelled(error) => show_cancelled(error.message()),
        TaskError::Panicked(error) => show_panic(error.message()),
    }
}

fn show_end(end: &Result<Outcome, TaskError>) -> String {
    match end {
        Ok(outcome) => show_outcome(outcome),
        Err(error) => show_failure(error),
    }
}

/// A coroutine of the program's.
fn coroutine(world: Arc<World>, coroutine: Arc<Coroutine>) -> Boxed<'static, Outcome> {
    Box::pin(async move {
        let this = asyncio::current_task().expect("inside of a task");
        lock(&world.tasks).entry(coroutine.id).or_insert(Entry::Seen(this));
        let env = Env {
            world: &world,
            who: coroutine.id,
            timeouts: Vec::new(),
            held: Vec::new(),
            made: Arc::default(),
        };
        env.print("begin");
        block(&env, &coroutine.body).await?;
        env.print("end");
        Ok(coroutine.id)
    })
}

/// Gathers that were made and not awaited.
type AllMade = BTreeMap<usize, Box<dyn AnyGather>>;

/// What a block sees around it.
#[derive(Clone)]
struct Env<'w> {
    world: &'w Arc<World>,
    who: Id,
    timeouts: Vec<(usize, Timeout)>,
    /// Locks of blocks around.
    held: Vec<(LockId, Arc<Slot<'w>>)>,
    made: Arc<Mutex<AllMade>>,
}

impl Env<'_> {
    fn print(&self, text: &str) {
        self.world.print(&format!("t{} {text}", self.who));
    }

    fn log(&self, number: usize, text: &str) {
        self.print(&format!("#{number} {text}"));
    }

    fn timeout(&self, number: usize) -> Option<&Timeout> {
        self.timeouts.iter().find(|(other, _)| *other == number).map(|(_, timeout)| timeout)
    }

    fn cancelling(&self) -> usize {
        asyncio::current_task().expect("inside of a task").cancelling()
    }
}

/// A statement: logs its result, or that it was left without one.
struct At<'a, 'w> {
    env: &'a Env<'w>,
    number: usize,
    left: bool,
}

impl At<'_, '_> {
    fn leave(&mut self, result: &Result<String, Error>) {
        self.left = true;
        match result {
            Ok(text) => self.env.log(self.number, text),
            Err(error) => self.env.log(self.number, &error.to_string()),
        }
    }
}

impl Drop for At<'_, '_> {
    fn drop(&mut self) {
        if !self.left {
            self.env.log(self.number, "unwound");
        }
    }
}

fn block<'a>(env: &'a Env<'_>, lines: &'a [Line]) -> Boxed<'a, Result<(), Error>> {
    Box::pin(async move {
        for line in lines {
            let mut at = At { env, number: line.number, left: false };
            let result = statement(env, line).await;
            at.leave(&result);
            result?;
        }
        Ok(())
    })
}

const NOT_THERE: &str = "not there";

/// Runs a statement; gives what it logs.
async fn statement(env: &Env<'_>, line: &Line) -> Result<String, Error> {
    let (world, number) = (env.world, line.number);
    let not_there = || Ok(NOT_THERE.into());
    match &line.statement {
        Statement::Log => Ok("log".into()),
        Statement::Raise => Err(Error::Raised(number)),
        Statement::Panic => panic!("{}", panic_message(number)),
        Statement::Spawn { coroutine, group } => Ok(spawn(env, coroutine, *group)),
        Statement::Cancel { task, with_message } => {
            let Some(task) = world.handle(*task) else { return not_there() };
            let recorded =
                if *with_message { task.cancel_with(cancel_message(number)) } else { task.cancel() };
            Ok(recorded.to_string())
        }
        Statement::Uncancel(task) => {
            let Some(task) = world.handle(*task) else { return not_there() };
            Ok(task.uncancel().to_string())
        }
        Statement::Look(task) => {
            let Some(task) = world.handle(*task) else { return not_there() };
            let (done, cancelled, cancelling) = (task.done(), task.cancelled(), task.cancelling());
            Ok(format!("done={done} cancelled={cancelled} cancelling={cancelling}"))
        }
        Statement::Sleep(0) => {
            asyncio::yield_now().await;
            Ok("slept".into())
        }
        Statement::Sleep(delay) => Ok(asyncio::sleep_with(micros(*delay), "slept".into()).await),
        Statement::Await(task) => {
            let Some(task) = world.shared(*task) else { return not_there() };
            Ok(task.await?.to_string())
        }
        Statement::Shield(Source::Task(task)) => {
            let Some(task) = world.shared(*task) else { return not_there() };
            Ok(asyncio::shield(task).await?.to_string())
        }
        Statement::Shield(Source::Coroutine(body)) => {
            Ok(asyncio::shield(coroutine(world.clone(), body.clone())).await?.to_string())
        }
        Statement::Gather { sources, mode } => match gather(env, sources, *mode) {
            Some(gather) => gather.finish().await,
            None => not_there(),
        },
        Statement::Make { sources, mode } => {
            let Some(gather) = gather(env, sources, *mode) else { return not_there() };
            lock(&env.made).insert(number, gather);
            Ok("made".into())
        }
        Statement::AwaitMade(made) => {
            let made = lock(&env.made).remove(made);
            match made {
                Some(gather) => gather.finish().await,
                None => not_there(),
            }
        }
        Statement::CancelMade { gather, with_message } => {
            let mut made = lock(&env.made);
            let Some(gather) = made.get_mut(gather) else { return not_there() };
            Ok(gather.cancel(with_message.then(|| cancel_message(number))).to_string())
        }
        Statement::TryCancelled { body, handler, then } => {
            try_cancelled(env, number, body, handler, *then).await
        }
        Statement::TryError { body, handler } => {
            if let Err(error) = block(env, body).await {
                env.log(number, &format!("caught {error}"));
                block(env, handler).await?;
            }
            Ok("ok".into())
        }
        Statement::Finally { body, clean_up } => {
            let clean_up = async {
                env.log(number, &format!("finally, cancelling={}", env.cancelling()));
                if let Err(error) = block(env, clean_up).await {
                    env.log(number, &format!("clean-up failed: {error}"));
                }
            };
            asyncio::finally(block(env, body), clean_up).await.map(|()| "ok".into())
        }
        Statement::WaitFor { source, delay } => {
            let result = match source {
                Source::Task(task) => {
                    let Some(task) = world.shared(*task) else { return not_there() };
                    asyncio::wait_for(task, micros(*delay)).await
                }
                Source::Coroutine(body) => {
                    asyncio::wait_for(coroutine(world.clone(), body.clone()), micros(*delay)).await
                }
            };
            Ok(result.map_err(|_| Error::Timeout)??.to_string())
        }
        Statement::Wait { tasks, until, timeout } => wait(env, tasks, *until, *timeout).await,
        Statement::AsCompleted { tasks, timeout } => as_completed(env, number, tasks, *timeout).await,
        Statement::Timeout { delay, body } => {
            let timed = asyncio::timeout(micros(*delay), async |timeout| {
                let mut inside = env.clone();
                inside.timeouts.push((number, timeout));
                block(&inside, body).await
            });
            timed.await.map_err(|_| Error::Timeout)??;
            Ok("ok".into())
        }
        Statement::Reschedule { timeout, delay } => {
            let Some(timeout) = env.timeout(*timeout) else { return not_there() };
            if timeout.expired() {
                return Ok("expired".into());
            }
            timeout.reschedule(delay.map(|delay| Instant::now() + micros(delay)));
            Ok("rescheduled".into())
        }
        Statement::LookTimeout(timeout) => {
            let Some(timeout) = env.timeout(*timeout) else { return not_there() };
            Ok(format!("expired={}", timeout.expired()))
        }
        Statement::Group(body) => {
            let group = asyncio::task_group(async |group: TaskGroup<Error>| {
                lock(&world.groups).insert(number, group);
                block(env, body).await
            });
            match group.await {
                Ok(()) => Ok("ok".into()),
                Err(group) => Err(Error::Group(group.into_exceptions())),
            }
        }
        Statement::With { guarded, body } => primitives::with(env, number, *guarded, body).await,
        Statement::Operate(operation) => primitives::operate(env, number, operation).await,
    }
}

async fn wait(env: &Env<'_>, tasks: &[Id], until: Until, timeout: Option<Micros>) -> Result<String, Error> {
    let tasks = env.world.all_shared(tasks);
    if tasks.is_empty() {
        return Ok(NOT_THERE.into());
    }
    let wait = asyncio::wait(tasks).timeout(timeout.map(micros));
    let done = match until {
        Until::All => wait.await,
        Until::FirstCompleted => wait.return_when(asyncio::FirstCompleted).await,
        Until::FirstException => wait.first_exception().await,
    };
    let names = |tasks: &[Task<Outcome>]| list(tasks.iter().map(|task| env.world.name(task)));
    Ok(format!("done {} pending {}", names(&done.done), names(&done.pending)))
}

async fn as_completed(
    env: &Env<'_>,
    number: usize,
    tasks: &[Id],
    timeout: Option<Micros>,
) -> Result<String, Error> {
    let tasks = env.world.all_shared(tasks);
    if tasks.is_empty() {
        return Ok(NOT_THERE.into());
    }
    let mut turns = asyncio::as_completed(tasks).timeout(timeout.map(micros));
    while let Some(task) = turns.next().await {
        let task = task.map_err(|_| Error::Timeout)?;
        let name = env.world.name(&task);
        env.log(number, &format!("{name} {}", show_end(&task.outcome().await)));
    }
    Ok("ok".into())
}

fn micros(micros: Micros) -> Duration {
    Duration::from_micros(micros)
}

fn spawn(env: &Env<'_>, body: &Arc<Coroutine>, group: Option<usize>) -> String {
    let future = coroutine(env.world.clone(), body.clone());
    let task = match group {
        None => Some(asyncio::create_task(future)),
        Some(group) => {
            let group = lock(&env.world.groups).get(&group).cloned();
            group.and_then(|group| spawn_in(&group, future))
        }
    };
    let Some(task) = task else { return "no group".into() };
    lock(&env.world.tasks).insert(body.id, Entry::Spawned(task));
    format!("t{}", body.id)
}

/// `None` where the group takes no tasks any more, which is a panic.
fn spawn_in(group: &TaskGroup<Error>, future: Boxed<'static, Outcome>) -> Option<Task<Outcome>> {
    // A task that fails gives its error to the group, and nothing to others.
    let create_task = || group.create_task(async { Ok(Ok(future.await?)) });
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(create_task)).ok()
}

/// A gather of whatever kind.
trait AnyGather: Send {
    fn cancel(&mut self, message: Option<String>) -> bool;
    fn finish(self: Box<Self>) -> Boxed<'static, Result<String, Error>>;
}

struct OneGather<G> {
    gather: G,
    cancel: fn(&mut G, Option<String>) -> bool,
    finish: fn(G) -> Boxed<'static, Result<String, Error>>,
}

impl<G: Send> AnyGather for OneGather<G> {
    fn cancel(&mut self, message: Option<String>) -> bool {
        (self.cancel)(&mut self.gather, message)
    }

    fn finish(self: Box<Self>) -> Boxed<'static, Result<String, Error>> {
        (self.finish)(self.gather)
    }
}

/// The three kinds have the same methods, but no trait.
macro_rules! any_gather {
    ($gather:expr, $show:expr) => {
        Box::new(OneGather {
            gather: $gather,
            cancel: |gather, message| match message {
                Some(message) => gather.cancel_with(message),
                None => gather.cancel(),
            },
            finish: |gather| Box::pin(async { ($show)(gather.await) }),
        })
    };
}

/// `None` if there is nothing to gather.
fn gather(env: &Env<'_>, sources: &[Source], mode: Gather) -> Option<Box<dyn AnyGather>> {
    let make = |body: &Arc<Coroutine>| coroutine(env.world.clone(), body.clone());
    // What is of two types goes into a tuple, if it is no more than that.
    match sources {
        [Source::Task(task), Source::Coroutine(body)] => {
            if let Some(task) = env.world.shared(*task) {
                return Some(gather_two(task, make(body), mode));
            }
        }
        [Source::Coroutine(body), Source::Task(task)] => {
            if let Some(task) = env.world.shared(*task) {
                return Some(gather_two(make(body), task, mode));
            }
        }
        _ => {}
    }
    let bodies = sources.iter().map(|source| match source {
        Source::Task(_) => None,
        Source::Coroutine(body) => Some(make(body)),
    });
    if let Some(bodies) = bodies.collect::<Option<Vec<_>>>() {
        return gather_all(bodies, mode);
    }
    let tasks = sources.iter().filter_map(|source| match source {
        Source::Task(id) => env.world.shared(*id),
        Source::Coroutine(body) => Some(asyncio::create_task(make(body)).shared()),
    });
    gather_all(tasks.collect::<Vec<_>>(), mode)
}

fn gather_two<A, B>(a: A, b: B, mode: Gather) -> Box<dyn AnyGather>
where
    A: Future<Output = Outcome> + Send + 'static,
    B: Future<Output = Outcome> + Send + 'static,
{
    match mode {
        Gather::First => any_gather!(asyncio::try_gather((a, b)), |oks: Result<(Id, Id), Error>| {
            show_oks(oks.map(|(a, b)| vec![a, b]))
        }),
        Gather::Outcomes => any_gather!(asyncio::gather((a, b)).outcomes(), |(a, b)| show_ends(vec![a, b])),
        Gather::Values => any_gather!(asyncio::gather((a, b)), |(a, b)| show_values(vec![a, b])),
    }
}

fn gather_all<F>(sources: Vec<F>, mode: Gather) -> Option<Box<dyn AnyGather>>
where
    F: Future<Output = Outcome> + Send + 'static,
{
    if sources.is_empty() {
        return None;
    }
    Some(match mode {
        Gather::First => any_gather!(asyncio::try_gather(sources), show_oks),
        Gather::Outcomes => any_gather!(asyncio::gather(sources).outcomes(), show_ends),
        Gather::Values => any_gather!(asyncio::gather(sources), show_values),
    })
}

fn show_oks(oks: Result<Vec<Id>, Error>) -> Result<String, Error> {
    Ok(list(oks?.iter().map(Id::to_string)))
}

fn show_ends(ends: Vec<Result<Outcome, TaskError>>) -> Result<String, Error> {
    Ok(list(ends.iter().map(show_end)))
}

fn show_values(values: Vec<Outcome>) -> Result<String, Error> {
    Ok(list(values.iter().map(show_outcome)))
}

async fn try_cancelled(
    env: &Env<'_>,
    number: usize,
    body: &Block,
    handler: &Block,
    then: Then,
) -> Result<String, Error> {
    match asyncio::catch_cancelled(block(env, body)).await {
        Ok(result) => result?,
        Err(cancelled) => {
            let shown = show_cancelled(cancelled.message());
            env.log(number, &format!("caught {shown}, cancelling={}", env.cancelling()));
            block(env, handler).await?;
            match then {
                Then::Swallow => {}
                Then::Raise => cancelled.raise().await,
                Then::Fail => return Err(Error::Raised(number)),
            }
        }
    }
    Ok("ok".into())
}
