//! Steps that a user's model takes as one.
//!
//! How tasks, queues and locks work inside is proved by models of their own. Under a user's code, exploring it once more would
//! multiply what there is to explore, and prove nothing new: there, the other threads have a turn before such a step, and after
//! it. Without `--cfg kumihimo_loom`, and in models that are no user's, there is nothing of this.

#[cfg(kumihimo_loom)]
pub mod atomic;

#[cfg(kumihimo_loom)]
pub use check::check;
#[cfg(kumihimo_loom)]
pub use in_model::{Atomic, Divisible, is_on, pause, resume, rewind};
pub use made::Made;
#[cfg(kumihimo_loom)]
pub use made::waits_for;

/// A step that is taken as one, until this is dropped.
#[cfg(not(kumihimo_loom))]
#[derive(Debug)]
pub struct Atomic;

/// Within such a step: code of the user's, which is not taken as one, until this is dropped.
#[cfg(not(kumihimo_loom))]
#[derive(Debug)]
pub struct Divisible;

/// Takes what follows as one step.
#[inline(always)]
pub fn atomic() -> Atomic {
    #[cfg(kumihimo_loom)]
    return Atomic::enter();
    #[cfg(not(kumihimo_loom))]
    Atomic
}

/// Within such a step, lets others have their turns in what follows.
#[inline(always)]
pub fn divisible() -> Divisible {
    #[cfg(kumihimo_loom)]
    return Divisible::enter();
    #[cfg(not(kumihimo_loom))]
    Divisible
}

#[cfg(not(kumihimo_loom))]
mod made {
    /// What is waited for at a primitive, in words, and where that was made: for the report of a model.
    #[derive(Clone, Copy, Debug)]
    pub struct Made;

    impl Made {
        /// Made by who calls this.
        #[inline(always)]
        pub const fn here(_what: &'static str) -> Made {
            Made
        }

        /// The same primitive, waited for on account of something else.
        #[inline(always)]
        #[must_use]
        pub const fn saying(self, _what: &'static str) -> Made {
            self
        }

        /// Somebody waits for it at this [place](crate::WaitWord::queued).
        #[inline(always)]
        pub fn is_awaited(self, _place: *const ()) {}
    }
}

#[cfg(kumihimo_loom)]
mod made {
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use std::fmt;
    use std::panic::Location;

    use crate::WaitWord;

    // Of the thread of the system, on which loom runs all of its own.
    std::thread_local! {
        /// What was last waited for at a place.
        static AWAITED: RefCell<BTreeMap<usize, Made>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// What is waited for at a primitive, in words, and where that was made: for the report of a model.
    #[derive(Clone, Copy, Debug)]
    pub struct Made(&'static str, &'static Location<'static>);

    impl Made {
        /// Made by who calls this.
        #[track_caller]
        pub const fn here(what: &'static str) -> Made {
            Made(what, Location::caller())
        }

        /// The same primitive, waited for on account of something else.
        #[must_use]
        pub const fn saying(self, what: &'static str) -> Made {
            Made(what, self.1)
        }

        /// Somebody waits for it at this [place](WaitWord::queued).
        pub fn is_awaited(self, place: *const ()) {
            AWAITED.with_borrow_mut(|awaited| awaited.insert(WaitWord::queued(place).to_bits(), self));
        }
    }

    impl fmt::Display for Made {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} made at {}", self.0, self.1)
        }
    }

    /// What a task waits for, if it is at a primitive.
    pub fn waits_for(word: WaitWord) -> Option<Made> {
        AWAITED.with_borrow(|awaited| awaited.get(&word.to_bits()).copied())
    }
}

#[cfg(kumihimo_loom)]
mod check {
    use std::cell::Cell;
    use std::panic::{set_hook, take_hook};
    use std::sync::Once;
    use std::time::Instant;

    // Of the thread of the system, on which loom runs all of its own.
    std::thread_local! {
        /// How many interleavings of a model there were so far, and since when.
        static EXPLORED: Cell<Option<(u64, Instant)>> = const { Cell::new(None) };
    }

    /// Checks every interleaving with at most so many preemptions, and says how many there were: for models of our own.
    ///
    /// `KUMIHIMO_MODEL_BOUND=+1` allows one more, `KUMIHIMO_MODEL_BOUND=2` two at most.
    pub fn check(preemptions: impl Into<Option<usize>>, model: impl Fn() + Send + Sync + 'static) {
        tell_failures();
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = bound(preemptions.into());
        builder.max_branches = 20_000;
        let bound = builder.preemption_bound;
        let bound = bound.map_or("complete".to_owned(), |bound| format!("cut at {bound} preemptions"));
        EXPLORED.set(Some((0, Instant::now())));
        builder.check(move || {
            let explored = EXPLORED.get().map(|(count, since)| (count + 1, since));
            EXPLORED.set(explored);
            model();
        });
        if let Some((count, since)) = EXPLORED.take() {
            println!("{}: {count} interleavings, {bound}, {:.1?}", name(), since.elapsed());
        }
    }

    fn bound(usual: Option<usize>) -> Option<usize> {
        let Ok(wanted) = std::env::var("KUMIHIMO_MODEL_BOUND") else { return usual };
        let number: usize = wanted.parse().expect("KUMIHIMO_MODEL_BOUND is a number, like 2 or +1");
        match wanted.starts_with('+') {
            true => usual.map(|usual| usual + number),
            false => Some(usual.map_or(number, |usual| usual.min(number))),
        }
    }

    /// From now on, models that panic say first how far they came: what comes after that may hang.
    fn tell_failures() {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let before = take_hook();
            set_hook(Box::new(move |info| {
                if let Some((count, since)) = EXPLORED.take() {
                    println!("{}: failed at interleaving {count}, {:.1?}", name(), since.elapsed());
                }
                before(info);
            }));
        });
    }

    fn name() -> String {
        std::thread::current().name().unwrap_or("a model").to_owned()
    }
}

#[cfg(kumihimo_loom)]
mod in_model {
    use std::cell::Cell;

    use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};

    // Of the thread of the system, on which loom runs all of its own.
    std::thread_local! {
        /// Whether it runs a user's model.
        static ON: Cell<bool> = const { Cell::new(false) };
        /// Whether loom explores what other threads could do here.
        static EXPLORING: Cell<bool> = const { Cell::new(true) };
    }

    loom::thread_local! {
        /// How many steps this thread of loom's is in.
        static DEPTH: Cell<usize> = Cell::new(0);
        /// What loom takes for an access, so that others may have a turn before it.
        static TURN: AtomicBool = AtomicBool::new(false);
    }

    /// An execution begins, in which loom explores everything.
    pub fn rewind() {
        ON.set(false);
        EXPLORING.set(true);
    }

    /// From here on, a user's model is explored.
    pub fn resume() {
        ON.set(true);
        explore(true);
    }

    /// From here on, nothing is explored.
    pub fn pause() {
        explore(false);
        ON.set(false);
    }

    /// Whether a user's model is explored.
    pub fn is_on() -> bool {
        ON.get()
    }

    fn explore(on: bool) {
        if EXPLORING.replace(on) != on {
            if on { loom::explore() } else { loom::stop_exploring() }
        }
    }

    fn set_depth(depth: usize) {
        DEPTH.with(|cell| cell.set(depth));
        explore(depth == 0);
    }

    /// A step that is taken as one, until this is dropped.
    #[derive(Debug)]
    pub struct Atomic(bool);

    impl Atomic {
        pub(super) fn enter() -> Atomic {
            let on = ON.get() && !std::thread::panicking();
            if on {
                let depth = DEPTH.with(Cell::get);
                if depth == 0 {
                    TURN.with(|turn| turn.load(Relaxed));
                }
                set_depth(depth + 1);
            }
            Atomic(on)
        }
    }

    impl Drop for Atomic {
        fn drop(&mut self) {
            if self.0 && ON.get() {
                set_depth(DEPTH.with(Cell::get) - 1);
            }
        }
    }

    /// Within such a step: code of the user's, which is not taken as one, until this is dropped.
    #[derive(Debug)]
    pub struct Divisible(Option<usize>);

    impl Divisible {
        pub(super) fn enter() -> Divisible {
            let before = ON.get().then(|| DEPTH.with(Cell::get));
            if before.is_some() {
                set_depth(0);
            }
            Divisible(before)
        }
    }

    impl Drop for Divisible {
        fn drop(&mut self) {
            if let Some(before) = self.0
                && ON.get()
            {
                set_depth(before);
            }
        }
    }
}
