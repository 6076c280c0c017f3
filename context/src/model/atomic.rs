//! loom's atomics, of which no load is forgotten.
//!
//! Where an access meets an earlier one that it depends on, loom runs the model again with the two in the other order. It
//! remembers one access for that, the last. But loads don't depend on each other: a thread that loads before it stores makes
//! loom forget that another thread has loaded before, and the order in which that load sees the store is never run. Here
//! every load comes with a store to a companion, which nobody reads, so it synchronises nothing; but stores do depend on each
//! other.

use std::ops::{Deref, DerefMut};

use loom::sync::atomic;
pub use loom::sync::atomic::{Ordering, fence};

/// One of loom's atomics, and its companion.
#[derive(Debug, Default)]
pub struct Remembered<A> {
    atomic: A,
    loads: atomic::AtomicBool,
}

impl<A> Remembered<A> {
    fn around(atomic: A) -> Remembered<A> {
        Remembered { atomic, loads: atomic::AtomicBool::new(false) }
    }

    fn remember(&self) {
        self.loads.store(true, Ordering::Relaxed);
    }
}

impl<A> Deref for Remembered<A> {
    type Target = A;

    fn deref(&self) -> &A {
        &self.atomic
    }
}

impl<A> DerefMut for Remembered<A> {
    fn deref_mut(&mut self) -> &mut A {
        &mut self.atomic
    }
}

macro_rules! remembered {
    ($($name:ident $(<$T:ident>)?: $value:ty),* $(,)?) => { $(
        #[doc = concat!("loom's `", stringify!($name), "`; see [`Remembered`].")]
        pub type $name $(<$T>)? = Remembered<atomic::$name $(<$T>)?>;

        impl $(<$T>)? Remembered<atomic::$name $(<$T>)?> {
            #[track_caller]
            pub fn new(value: $value) -> Self {
                Remembered::around(atomic::$name::new(value))
            }

            #[track_caller]
            pub fn load(&self, order: Ordering) -> $value {
                self.remember();
                self.atomic.load(order)
            }

            #[track_caller]
            pub fn fetch_update(
                &self,
                set_order: Ordering,
                fetch_order: Ordering,
                f: impl FnMut($value) -> Option<$value>,
            ) -> Result<$value, $value> {
                self.remember();
                self.atomic.fetch_update(set_order, fetch_order, f)
            }
        }

        impl $(<$T>)? From<$value> for Remembered<atomic::$name $(<$T>)?> {
            fn from(value: $value) -> Self {
                Self::new(value)
            }
        }
    )* };
}

remembered! {
    AtomicBool: bool,
    AtomicI8: i8,
    AtomicI16: i16,
    AtomicI32: i32,
    AtomicI64: i64,
    AtomicIsize: isize,
    AtomicU8: u8,
    AtomicU16: u16,
    AtomicU32: u32,
    AtomicU64: u64,
    AtomicUsize: usize,
    AtomicPtr<T>: *mut T,
}
