//! `task_group`: tasks that end together.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use kumihimo_context::{CancelledError, Forward, Leaf, Scoped, delivering, discard, scope};
use kumihimo_executor::{Flavor, Scheduler, Task, TaskBuilder, current_task};
use pin_project_lite::pin_project;

use crate::ExceptionGroup;
use crate::group_members::{Ends, Member, Members, Payload, Refused};
use crate::timeout::raise;

/// Runs a block of code that creates tasks, and waits for all of them.
///
/// It is `async with asyncio.TaskGroup() as tg`. The tasks, and the block itself, return `Result`s. If none is an `Err`, the
/// block's value is returned; the tasks' own are read from the tasks, in the block or, where a handle was kept, behind it. The
/// first `Err` has everybody else cancelled, the block's current await included; all are waited for, clean-up and all, and every
/// error is in the group that is returned.
///
/// | waits for | on an error | who is cancelled | returns |
/// |---|---|---|---|
/// | the block, then all tasks, those included that tasks create meanwhile | cancels the others, waits for them | with the awaiter, or by the first error: all tasks and the block | when the last task has ended: the block's value, or all errors |
///
/// A task that is cancelled by itself is no error, and the others go on. A task whose `Err` went to the group has nothing to
/// give: who awaits it is cancelled (as is everybody in the group by then), so a block reads `Ok(a.await + b.await)`. A panic
/// of a task or of the block has the others cancelled and waited for, and then goes on here.
///
/// # Cancellation
///
/// Cancels the block, and all tasks; when these have ended the cancellation is raised, unless there are errors: then the group
/// is returned, and the cancellation is raised at the next await. Further requests only count.
///
/// A block that is part of a task (`create_task`) and borrows what the task owns is written `|tg| async move { .. }`, with clones of
/// what it needs: the compiler can't see that an `async |tg|` which borrows may go to other threads.
///
/// A group that is dropped by other code (`select!`, say) cannot wait any more: its tasks are cancelled and end by themselves.
///
/// # Panics
///
/// When polled outside of a task of a running loop.
///
/// ```
/// # use std::sync::Arc;
/// # use kumihimo_executor::{Builder, ParkDriver};
/// use kumihimo_combinators::task_group;
///
/// async fn parse(text: &'static str) -> Result<i32, std::num::ParseIntError> {
///     text.parse()
/// }
///
/// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
/// # runtime.block_on(async {
/// let sum = task_group(async |tg| {
///     let a = tg.create_task(parse("1"));
///     let b = tg.create_task(parse("2"));
///     Ok(a.await + b.await)
/// });
/// assert_eq!(sum.await, Ok(3));
///
/// let failed = task_group(async |tg| {
///     let other = tg.create_task(std::future::pending::<Result<i32, _>>());
///     let _fails = tg.create_task(parse("one"));
///     Ok(other.await) // Both are cancelled.
/// });
/// assert_eq!(failed.await.unwrap_err().exceptions().len(), 1);
/// # }, |_| {}).unwrap();
/// ```
#[doc(alias = "asyncio.TaskGroup")]
pub fn task_group<B, F, V, E>(block: B) -> WithTaskGroup<B, F, V, E>
where
    B: FnOnce(TaskGroup<E>) -> F,
    F: Future<Output = Result<V, E>>,
    E: Send + 'static,
{
    WithTaskGroup {
        begin: Some(block),
        block: None,
        group: None,
        end: None,
        propagate: None,
        leaf: None,
        forward: Forward::new(),
    }
}

/// Creates tasks in a group; [`task_group`] gives it to the block. Clones stand for the same group, and tasks may keep one.
#[doc(alias = "asyncio.TaskGroup")]
pub struct TaskGroup<E>(Arc<Members<E>>);

impl<E: Send + 'static> TaskGroup<E> {
    /// Creates a task that belongs to the group.
    ///
    /// Its `Err` goes to the group. Dropping the [`Task`] changes nothing: the group waits for it.
    ///
    /// # Panics
    ///
    /// If the group is over: the block and all tasks have ended. On the flavour with one thread also if it is shutting down:
    /// there was an error, or it is cancelled. With several, where a failure elsewhere can come at any moment, the new task is
    /// cancelled before it begins. The future is dropped unrun in all these cases. And outside of a running loop.
    #[doc(alias = "asyncio.TaskGroup.create_task")]
    #[track_caller]
    pub fn create_task<F, T>(&self, future: F) -> Task<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        self.create_task_with(TaskBuilder::new(), future)
    }

    /// [`create_task`](Self::create_task) with a name, a context, or eagerly: asyncio's keyword arguments.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use kumihimo_executor::{Builder, ParkDriver};
    /// use kumihimo_combinators::task_group;
    /// use kumihimo_executor::TaskBuilder;
    ///
    /// # let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
    /// # runtime.block_on(async {
    /// let name = task_group(async |tg| {
    ///     let task = tg.create_task_with(TaskBuilder::new().name("fetch"), async { Ok::<_, ()>(()) });
    ///     Ok(task.name())
    /// });
    /// assert_eq!(name.await, Ok("fetch".to_string()));
    /// # }, |_| {}).unwrap();
    /// ```
    ///
    /// # Panics
    ///
    /// As for [`create_task`](Self::create_task).
    #[track_caller]
    pub fn create_task_with<F, T>(&self, builder: TaskBuilder, future: F) -> Task<T>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
    {
        let reserved = match self.0.reserve() {
            Ok(reserved) => reserved,
            Err(refused) => {
                drop(future);
                return refuse(builder, refused);
            }
        };
        let task =
            builder.spawn(Child { future, group: self.0.clone(), member: reserved.member, aborted: false });
        reserved.enter(&task);
        task
    }
}

/// A task for which it is too late. It ends cancelled without having run.
#[track_caller]
fn refuse<T: Send + 'static>(builder: TaskBuilder, refused: Refused) -> Task<T> {
    assert!(
        refused != Refused::Over,
        "a task was created in a task group that is over: create tasks in the block, or in tasks of the group"
    );
    let flavor = Scheduler::try_current().map(|scheduler| scheduler.flavor());
    assert!(
        flavor == Some(Flavor::MultiThread),
        "a task was created in a task group that is shutting down, after an error or a cancellation: no task can begin in it \
         any more"
    );
    let error = CancelledError::new(Some(Arc::from("its task group is shutting down")));
    builder.spawn(async move { error.raise().await })
}

impl<E> Clone for TaskGroup<E> {
    fn clone(&self) -> TaskGroup<E> {
        TaskGroup(self.0.clone())
    }
}

impl<E> fmt::Debug for TaskGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

pin_project! {
    /// The body of a group's task.
    struct Child<F, E> {
        #[pin]
        future: F,
        group: Arc<Members<E>>,
        member: Member,
        // A request was delivered since the group has cancelled its tasks.
        aborted: bool,
    }
}

impl<F, T, E> Future for Child<F, E>
where
    F: Future<Output = Result<T, E>>,
{
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.project();
        if delivering() {
            take_repeated(this.group, this.aborted);
        }
        match catch_unwind(AssertUnwindSafe(|| this.future.poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Ok(value))) => Poll::Ready(value),
            Ok(Poll::Ready(Err(error))) => {
                this.group.failed(*this.member, error);
                raise(CancelledError::new(Some(Arc::from("its error went to its task group"))), cx)
            }
            Err(payload) => {
                let text = text_of(&*payload);
                this.group.panicked(*this.member, payload);
                // The panic goes on in the parent, which is enough.
                if let Some(task) = current_task() {
                    task.silence();
                }
                resume_unwind(Box::new(text))
            }
        }
    }
}

/// Takes a request that is being delivered, if it is the group's own and has been delivered before.
///
/// A group that fails cancels this task, and the block; and where the block awaits this task, that request comes here too. In
/// asyncio the two are one delivery; here the second may find the task cleaning up, which it must not cut short.
#[cold]
fn take_repeated<E>(group: &Members<E>, aborted: &mut bool) {
    let mut forward = Forward::new();
    let Some(message) = forward.take() else { return };
    let own = group.is_own(&message);
    if own && *aborted {
        forward.settle();
        return;
    }
    *aborted |= own || group.is_aborting();
    forward.give_back(if own { None } else { message });
}

/// What a panic says, for those who await the task: the group has its payload.
fn text_of(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&'static str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("a task of a task group panicked; the group has what it panicked with").into()
}

/// What the block came to.
enum Came<V, E> {
    Value(V),
    Failed(E),
    Cancelled(CancelledError),
    Panicked(Payload),
    /// The group is over, and raises this.
    Raising(CancelledError),
}

pin_project! {
    /// See [`task_group`].
    #[must_use = "a future does nothing unless it is awaited"]
    pub struct WithTaskGroup<B, F, V, E> {
        // Until the block begins.
        begin: Option<B>,
        // While the block runs.
        #[pin]
        block: Option<F>,
        // From the beginning to the end.
        group: Option<Arc<Members<E>>>,
        // What the block came to.
        end: Option<Came<V, E>>,
        // The cancellation that is to be raised.
        propagate: Option<CancelledError>,
        // While the children are waited for.
        leaf: Option<Leaf>,
        // Owes the request that is to be raised for.
        forward: Forward,
    }

    impl<B, F, V, E> PinnedDrop for WithTaskGroup<B, F, V, E> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if let Some(group) = this.group.take()
                && group.abandon()
            {
                // Dropped by other code, or a panic, while it was cancelling: nobody is owed that request any more.
                discard(|| this.block.set(None));
            }
        }
    }
}

impl<B, F, V, E> Future for WithTaskGroup<B, F, V, E>
where
    B: FnOnce(TaskGroup<E>) -> F,
    F: Future<Output = Result<V, E>>,
    E: Send + 'static,
{
    type Output = Result<V, ExceptionGroup<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(begin) = this.begin.take() {
            let task = current_task().expect(
                "task_group() outside of a task: there is nothing that could be cancelled; await it inside of one",
            );
            let members = Arc::new(Members::new(task));
            *this.group = Some(members.clone());
            this.block.set(Some(begin(TaskGroup(members))));
        }
        if let Some(Came::Raising(error)) = this.end {
            return raise(error.clone(), cx);
        }
        let group = this.group.as_deref().expect("a task group was polled after its end");
        if this.end.is_none() {
            let came = ready!(poll_block(group, this.block.as_mut(), cx));
            if let Came::Cancelled(error) = &came {
                this.forward.owe(error);
                *this.propagate = Some(error.clone());
            }
            group.exit(!matches!(came, Came::Value(_)));
            *this.end = Some(came);
        }
        ready!(poll_tasks(group, this.leaf, this.propagate, this.forward, cx));
        let came = this.end.take().expect("the block has ended");
        // Errors and panics take the cancellation's place.
        this.forward.settle();
        let ended = finish(group, came, this.propagate.take());
        *this.group = None;
        match ended {
            Ok(result) => Poll::Ready(result),
            Err(error) => {
                this.forward.owe(&error);
                *this.end = Some(Came::Raising(error.clone()));
                raise(error, cx)
            }
        }
    }
}

/// Polls the block until it has ended, in whatever way, and was dropped.
fn poll_block<F, V, E>(
    group: &Members<E>,
    mut block: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Came<V, E>>
where
    F: Future<Output = Result<V, E>>,
{
    let poll = |cx: &mut Context<'_>| block.as_mut().as_pin_mut().expect("the block runs").poll(cx);
    let came = match catch_unwind(AssertUnwindSafe(|| group.part.poll(cx, poll))) {
        Ok(Scoped::Pending) => return Poll::Pending,
        Ok(Scoped::Ready(Ok(value))) => Came::Value(value),
        Ok(Scoped::Ready(Err(error))) => Came::Failed(error),
        Ok(Scoped::Cancelled(error)) => Came::Cancelled(error),
        Err(payload) => Came::Panicked(payload),
    };
    // A destructor of the block may panic; the tasks are waited for even so.
    let dropped = catch_unwind(AssertUnwindSafe(|| discard(|| block.set(None))));
    Poll::Ready(dropped.map_or_else(Came::Panicked, |()| came))
}

/// Waits until all tasks have ended. A cancellation of the parent is for them; that of the group itself too, and later ones change
/// nothing.
fn poll_tasks<E>(
    group: &Members<E>,
    leaf: &mut Option<Leaf>,
    propagate: &mut Option<CancelledError>,
    forward: &mut Forward,
    cx: &mut Context<'_>,
) -> Poll<()> {
    if leaf.is_none() && group.is_empty() {
        return Poll::Ready(());
    }
    let leaf = leaf.get_or_insert_default();
    loop {
        match scope(|| group.poll_empty(leaf, cx)) {
            Scoped::Pending => return Poll::Pending,
            Scoped::Ready(()) => return Poll::Ready(()),
            Scoped::Cancelled(error) => {
                if group.abort() {
                    forward.owe(&error);
                    *propagate = Some(error);
                }
            }
        }
    }
}

/// All have ended: what the group comes to. `Err` is to be raised.
fn finish<V, E>(
    group: &Members<E>,
    came: Came<V, E>,
    mut propagate: Option<CancelledError>,
) -> Result<Result<V, ExceptionGroup<E>>, CancelledError> {
    let Ends { requested, mut errors, mut panic } = group.finish();
    let parent = group.part.task();
    if requested {
        group.part.take_back();
        if group.part.requests() <= 0 {
            propagate = None;
        }
    }
    if let Some(error) = propagate
        && errors.is_empty()
        && panic.is_none()
    {
        return Err(error);
    }
    match came {
        Came::Value(value) if errors.is_empty() && panic.is_none() => return Ok(Ok(value)),
        Came::Failed(error) => errors.push(error),
        Came::Panicked(payload) => _ = panic.get_or_insert(payload),
        Came::Value(_) | Came::Cancelled(_) | Came::Raising(_) => {}
    }
    // A request from outside is due again at the next await. The count stays the same.
    if group.part.requests() > 0 {
        parent.uncancel();
        parent.cancel();
    }
    match panic {
        Some(payload) => resume_unwind(payload),
        None => Ok(Err(ExceptionGroup::new("unhandled errors in a TaskGroup", errors))),
    }
}
