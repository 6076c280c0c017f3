//! The rules of context variables, on every flavour.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::*};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use super::*;
use crate::{Builder, ParkDriver, Runtime, create_local_task, create_task, current_task, yield_now};

static NAME: ContextVar<String> = ContextVar::new("name");
static LEVEL: ContextVar<u32> = ContextVar::with_default("level", 1);

fn runtimes() -> Vec<Runtime> {
    let builders =
        [Builder::new().current_thread(), Builder::new().worker_threads(1), Builder::new().worker_threads(4)];
    builders.into_iter().map(|builder| builder.build(Arc::new(ParkDriver::default())).unwrap()).collect()
}

fn everywhere<F: AsyncFn() -> T, T>(f: F) {
    for runtime in runtimes() {
        runtime.block_on(f(), |_| {}).unwrap();
    }
}

fn name() -> String {
    NAME.get_or("none".into())
}

fn set_name(name: &str) {
    NAME.set(name.into());
}

fn text_of(panic: Box<dyn std::any::Any + Send>) -> String {
    *panic.downcast::<String>().expect("a panic with a formatted message")
}

/// Calls something when it is dropped.
struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

type Dropper = Arc<OnDrop<Box<dyn Fn() + Send + Sync>>>;

fn on_drop(f: impl Fn() + Send + Sync + 'static) -> Dropper {
    Arc::new(OnDrop(Box::new(f)))
}

/// Counts what is dropped.
fn counted(count: &Arc<AtomicUsize>) -> Dropper {
    let count = count.clone();
    on_drop(move || {
        count.fetch_add(1, SeqCst);
    })
}

#[test]
fn threads_and_types() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<ContextVar<String>>();
    send_and_sync::<Context>();
    send_and_sync::<Token<String>>();
}

#[test]
fn defaults() {
    static OTHER: ContextVar<u32> = ContextVar::with_default("other", 5);
    assert_eq!((LEVEL.get(), LEVEL.get_or(2), OTHER.get()), (Some(1), 2, Some(5)));
    let token = LEVEL.set(3);
    assert_eq!(token.old_value(), None);
    assert_eq!((LEVEL.get(), LEVEL.get_or(2), OTHER.get()), (Some(3), 3, Some(5)));
    assert_eq!(LEVEL.set(4).old_value(), Some(&3));
    LEVEL.reset(token);
    assert_eq!(LEVEL.get(), Some(1));
    assert_eq!(copy_context().get(&LEVEL), None, "a default is in no context");
    assert_eq!((LEVEL.name(), NAME.get()), ("level", None));
}

#[test]
fn a_task_works_on_a_copy() {
    everywhere(async || {
        set_name("main");
        let barrier = Arc::new(AtomicUsize::new(0));
        let child = |pinned: bool| {
            let barrier = barrier.clone();
            let body = async move {
                let seen = name();
                set_name("task");
                barrier.fetch_add(1, SeqCst);
                while barrier.load(SeqCst) < 3 {
                    yield_now().await;
                }
                (seen, name())
            };
            if pinned { create_local_task(body) } else { create_task(body) }
        };
        let tasks = [child(false), child(true)];
        set_name("main later");
        while barrier.load(SeqCst) < 2 {
            yield_now().await;
        }
        assert_eq!(name(), "main later");
        barrier.fetch_add(1, SeqCst);
        for task in tasks {
            assert_eq!(task.await, ("main".to_owned(), "task".to_owned()));
        }
        assert_eq!(name(), "main later");
    });
    assert_eq!(name(), "none", "main had a copy, too");
}

#[test]
fn main_copies_the_threads_context() {
    set_name("thread");
    everywhere(async || {
        assert_eq!(name(), "thread");
        set_name("main");
        let nested = create_task(async { create_task(async { name() }).await }).await;
        assert_eq!(nested, "main", "also where the task between sets nothing");
    });
    assert_eq!(name(), "thread");
    assert_eq!(thread::spawn(name).join().unwrap(), "none", "threads inherit nothing");
}

#[test]
fn what_is_awaited_directly_shares_the_context() {
    everywhere(async || {
        set_name("main");
        let inner = async {
            assert_eq!(name(), "main");
            yield_now().await;
            set_name("inner");
        };
        inner.await;
        assert_eq!(name(), "inner");
    });
}

#[test]
fn siblings_have_a_copy_each() {
    everywhere(async || {
        set_name("main");
        let child = |i: u32| async move {
            let seen = name();
            set_name(&i.to_string());
            yield_now().await;
            (seen, name())
        };
        let tasks: Vec<_> = (0..100).map(|i| create_task(child(i))).collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await, ("main".to_owned(), i.to_string()));
        }
    });
}

#[test]
fn a_task_that_is_given_a_context_runs_in_it() {
    let context = Context::new();
    context.run(|| set_name("given"));
    everywhere(async || {
        set_name("main");
        let (seen, own) = context
            .run(|| {
                create_task(async {
                    let handle = current_task().unwrap();
                    (name(), handle.context())
                })
            })
            .await;
        assert_eq!(seen, "given");
        assert_ne!(own, context, "creation copies");

        let go = Arc::new(AtomicUsize::new(0));
        let (waits, given) = (go.clone(), context.clone());
        let waiting = async move {
            while waits.load(SeqCst) == 0 {
                yield_now().await;
            }
            let seen = name();
            set_name("changed");
            assert_eq!(current_task().unwrap().context(), given);
            seen
        };
        let task = run_in_context(None, || create_task(waiting));
        give(task.task(), context.clone());
        give(task.task(), Context::new());
        assert_eq!(task.context(), context, "the first one stays");
        go.store(1, SeqCst);
        assert_eq!((&task).await, "given");
        assert_eq!((context.get(&NAME).unwrap(), name()), ("changed".to_owned(), "main".to_owned()));
        assert_eq!(task.context(), context, "others have it still");
        context.run(|| set_name("given"));
    });
}

#[test]
fn resetting() {
    everywhere(async || {
        set_name("main");
        let token = NAME.set("temporary".into());
        yield_now().await;
        assert_eq!((name(), token.old_value().map(String::as_str)), ("temporary".to_owned(), Some("main")));
        NAME.reset(token);
        assert_eq!(name(), "main");
        let (first, second) = (LEVEL.set(10), LEVEL.set(20));
        LEVEL.reset(first);
        assert_eq!(LEVEL.get(), Some(1), "to what it was before that `set`, in whatever order");
        LEVEL.reset(second);
        assert_eq!(LEVEL.get(), Some(10));
    });
}

#[test]
fn tokens_belong_to_a_variable_and_a_context() {
    static OTHER: ContextVar<String> = ContextVar::new("other");
    let token = NAME.set("main".into());
    let message = text_of(catch_unwind(AssertUnwindSafe(|| OTHER.reset(token))).unwrap_err());
    assert!(message.contains("\"other\" was created by a different variable"), "{message}");
    let other = Context::new();
    let token = other.run(|| NAME.set("other".into()));
    let message = text_of(catch_unwind(AssertUnwindSafe(|| NAME.reset(token))).unwrap_err());
    assert!(message.contains("\"name\" was created in a different context"), "{message}");
    assert_eq!((name(), other.get(&NAME).unwrap()), ("main".to_owned(), "other".to_owned()));
    everywhere(async || {
        let token = NAME.set("main".into());
        let task = create_task(async move { NAME.reset(token) });
        let panic = task.outcome().await.unwrap_err();
        assert!(panic.to_string().contains("different context"), "{panic}");
    });
    let token = Context::new().run(|| NAME.set("gone".into()));
    catch_unwind(AssertUnwindSafe(|| NAME.reset(token))).expect_err("that context is gone");
}

#[test]
fn copies_are_apart() {
    let first = Context::new();
    assert!(first.is_empty());
    first.run(|| {
        set_name("first");
        LEVEL.set(2);
    });
    let second = first.copy();
    second.run(|| {
        set_name("second");
        assert_eq!(LEVEL.get(), Some(2));
    });
    first.run(|| LEVEL.set(3));
    assert_eq!((first.len(), first.get(&NAME).unwrap(), first.get(&LEVEL)), (2, "first".to_owned(), Some(3)));
    assert_eq!(
        (second.len(), second.get(&NAME).unwrap(), second.get(&LEVEL)),
        (2, "second".to_owned(), Some(2))
    );
    assert_ne!(first, second);
    assert_eq!(first, first.clone());
    assert_eq!(format!("{first:?}"), "Context { variables: 2 }");
}

#[test]
fn runs_nest_and_survive_panics() {
    let (outer, inner) = (Context::new(), Context::new());
    let body = || {
        set_name("before");
        outer.run(|| {
            set_name("outer");
            inner.run(|| set_name("inner"));
            assert_eq!(name(), "outer");
            let panic = catch_unwind(AssertUnwindSafe(|| {
                inner.run(|| {
                    set_name("panics");
                    outer.run(|| set_name("deep"));
                    panic!("once")
                })
            }));
            panic.unwrap_err();
            assert_eq!(name(), "deep", "the same context, entered twice");
        });
        assert_eq!(name(), "before");
        assert_eq!(
            (outer.get(&NAME).unwrap(), inner.get(&NAME).unwrap()),
            ("deep".to_owned(), "panics".to_owned())
        );
    };
    body();
    everywhere(async || {
        body();
        create_task(async move { assert_eq!(name(), "before") }).await;
    });
}

#[test]
fn what_runs_in_no_context_leaves_nothing_behind() {
    let body = || {
        run_in_context(None, || {
            assert_eq!((name(), try_copy_context()), ("none".to_owned(), None));
            let token = NAME.set("inside".into());
            set_name("inside again");
            assert_eq!(copy_context().get(&NAME).as_deref(), Some("inside again"));
            NAME.reset(token);
            assert_eq!(name(), "none");
            set_name("left");
        });
        run_in_context(None, || assert_eq!(name(), "none"));
    };
    body();
    assert_eq!(name(), "none");
    everywhere(async || {
        set_name("main");
        body();
        assert_eq!(name(), "main");
    });
    let (count, context) = (Arc::new(AtomicUsize::new(0)), Context::new());
    static TRACKED: ContextVar<Dropper> = ContextVar::new("tracked");
    run_in_context(None, || TRACKED.set(counted(&count)));
    assert_eq!(count.load(SeqCst), 1);
    run_in_context(Some(&context), || TRACKED.set(counted(&count)));
    assert_eq!(count.load(SeqCst), 1);
}

#[test]
fn a_task_that_a_nested_poll_runs_has_its_own() {
    // The loop is polled inside of `run`: its tasks are not part of that call.
    set_name("thread");
    let runtime = Builder::new().current_thread().build(Arc::new(ParkDriver::default())).unwrap();
    let task = runtime.scheduler().spawn(async {
        let seen = name();
        set_name("task");
        (seen, name())
    });
    let given = Context::new();
    given.run(|| {
        set_name("given");
        let of_task = runtime.block_on(task, |_| {}).unwrap();
        assert_eq!(of_task, ("thread".to_owned(), "task".to_owned()));
        assert_eq!(name(), "given");
    });
    assert_eq!(name(), "thread");
}

#[test]
fn nothing_is_made_where_nothing_is_set() {
    everywhere(async || {
        assert_eq!(name(), "none");
        assert_eq!(try_copy_context(), None);
        assert!(copy_context().is_empty());
        let child = create_task(async {
            assert_eq!((name(), try_copy_context()), ("none".to_owned(), None));
            current_task().unwrap().task().header().try_extras().is_none()
        });
        assert!(child.await);
        let token = NAME.set("set".into());
        NAME.reset(token);
        assert_eq!(try_copy_context(), None, "empty again");
    });
}

#[test]
fn a_tasks_context_seen_from_outside() {
    everywhere(async || {
        let context = current_task().unwrap().context();
        assert!(context.is_empty());
        set_name("main");
        assert_eq!(context.get(&NAME).as_deref(), Some("main"), "it is the task's own");
        let task = create_task(async {
            set_name("task");
            yield_now().await;
        });
        let context = task.context();
        let handle = task.handle();
        task.await;
        assert_eq!(context.get(&NAME).as_deref(), Some("task"));
        assert_eq!(handle.context(), context);
        let task = create_task(async { set_name("task") });
        let handle = task.handle();
        task.await;
        assert!(handle.context().is_empty(), "nobody had it");
    });
}

#[test]
fn values_are_dropped_with_the_task_and_not_with_its_last_handle() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let tracked = ContextVar::<Dropper>::new("tracked");
    let tracked = Arc::new(tracked);
    for (i, runtime) in runtimes().into_iter().enumerate() {
        let (dropped, tracked) = (&dropped, &tracked);
        let body = async move {
            let (count, var) = (dropped.clone(), tracked.clone());
            let task = create_task(async move {
                var.set(counted(&count));
                yield_now().await;
            });
            let handle = task.handle();
            task.await;
            assert_eq!(dropped.load(SeqCst), i + 1);
            drop(handle);
        };
        runtime.block_on(body, |_| {}).unwrap();
    }
}

#[test]
fn a_destructor_that_panics_does_no_harm() {
    static BOMB: ContextVar<Dropper> = ContextVar::new("bomb");
    everywhere(async || {
        let task = create_task(async {
            BOMB.set(on_drop(|| panic!("from a destructor")));
            7
        });
        assert_eq!(task.await, 7);
    });
}

#[test]
fn destructors_and_clones_may_use_variables() {
    static VALUE: ContextVar<Uses> = ContextVar::new("uses");

    struct Uses;

    impl Uses {
        fn all() {
            let token = LEVEL.set(LEVEL.get().unwrap() + 1);
            let _ = (copy_context(), VALUE_SET.get(), current_task().map(|task| task.context().len()));
            LEVEL.reset(token);
        }
    }

    static VALUE_SET: ContextVar<bool> = ContextVar::new("set");

    impl Clone for Uses {
        fn clone(&self) -> Uses {
            Uses::all();
            Uses
        }
    }

    impl Drop for Uses {
        fn drop(&mut self) {
            Uses::all();
        }
    }

    let all = || {
        let token = VALUE.set(Uses);
        let copy = copy_context();
        drop(VALUE.get());
        VALUE.set(Uses);
        drop(copy);
        VALUE.set(Uses);
        drop((VALUE.get_or(Uses), copy_context().get(&VALUE)));
        VALUE.reset(token);
        VALUE.set(Uses);
    };
    all();
    everywhere(async || {
        all();
        create_task(async move { all() }).await;
    });
    // In the thread's own context, at its end.
    thread::spawn(all).join().unwrap();
}

#[test]
fn a_token_in_its_own_variable_is_no_leak() {
    static TOKEN: ContextVar<Arc<Mutex<Option<Token<Dropper>>>>> = ContextVar::new("token");
    static TRACKED: ContextVar<Dropper> = ContextVar::new("tracked");
    let count = Arc::new(AtomicUsize::new(0));
    let context = Context::new();
    context.run(|| {
        TRACKED.set(counted(&count));
        let token = TRACKED.set(counted(&count));
        TOKEN.set(Arc::new(Mutex::new(Some(token))));
    });
    drop(context);
    assert_eq!(count.load(SeqCst), 2);
}

#[test]
fn one_context_in_many_threads() {
    const THREADS: usize = 4;
    let rounds = if cfg!(miri) { 20 } else { 5_000 };
    static VARS: [ContextVar<usize>; THREADS] = [const { ContextVar::new("one of many") }; THREADS];
    let (context, barrier) = (Context::new(), Barrier::new(THREADS));
    let values = AtomicUsize::new(0);
    thread::scope(|scope| {
        for own in &VARS {
            let (context, barrier, values) = (&context, &barrier, &values);
            scope.spawn(move || {
                barrier.wait();
                context.run(|| {
                    for round in 1..=rounds {
                        own.set(round);
                        let copy = copy_context();
                        // Nobody else sets this one, so each change is seen, and none is lost.
                        assert_eq!((own.get(), copy.get(own)), (Some(round), Some(round)));
                        copy.run(|| own.set(0));
                        let token = own.set(rounds + 1);
                        own.reset(token);
                        values.fetch_add(context.len().min(1), Relaxed);
                    }
                });
            });
        }
    });
    assert_eq!(values.into_inner(), THREADS * rounds);
    assert!(VARS.iter().all(|var| context.get(var) == Some(rounds)));
}

#[test]
fn first_use_in_many_threads_gives_one_identity() {
    for _ in 0..if cfg!(miri) { 3 } else { 200 } {
        let var = ContextVar::<usize>::new("raced");
        let (context, barrier) = (Context::new(), Barrier::new(4));
        thread::scope(|scope| {
            for value in 0..4 {
                let (var, context, barrier) = (&var, &context, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    context.run(|| var.set(value));
                });
            }
        });
        assert_eq!(context.len(), 1);
        assert!(context.get(&var).is_some());
    }
}

#[test]
fn variables_that_are_gone_are_not_mistaken_for_others() {
    let context = Context::new();
    for i in 0..10 {
        let var = ContextVar::<u8>::new("local");
        assert_eq!(context.get(&var), None);
        context.run(|| var.set(i));
        assert_eq!(context.get(&var), Some(i));
    }
    assert_eq!(context.len(), 10);
}

#[test]
fn tasks_that_move_between_workers_keep_their_variables() {
    let runtime = Builder::new().worker_threads(4).build(Arc::new(ParkDriver::default())).unwrap();
    let rounds = if cfg!(miri) { 10 } else { 1_000 };
    let main = async {
        let tasks: Vec<_> = (0..64_u32)
            .map(|i| {
                create_task(async move {
                    LEVEL.set(i);
                    for round in 0..rounds {
                        yield_now().await;
                        assert_eq!(LEVEL.get(), Some(i + round));
                        LEVEL.set(i + round + 1);
                        if round % 100 == 0 {
                            assert_eq!(create_task(async { LEVEL.get() }).await, Some(i + round + 1));
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await;
        }
        assert_eq!(LEVEL.get(), Some(1));
    };
    runtime.block_on(main, |_| {}).unwrap();
}
