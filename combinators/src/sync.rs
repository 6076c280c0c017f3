//! std's synchronisation, or loom's under `--cfg kumihimo_loom`.

pub(crate) use kumihimo_context::mutex::{Mutex, MutexGuard};

#[cfg(not(kumihimo_loom))]
mod imp {
    pub(crate) use std::sync::atomic::AtomicBool;

    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            std::thread_local! { $(#[$meta])* static $name: $ty = const { $init } }
        };
    }
    pub(crate) use local;
}

#[cfg(kumihimo_loom)]
mod imp {
    pub(crate) use kumihimo_context::model::atomic::AtomicBool;

    // loom runs its model threads on one thread of the system, so they need loom's own locals.
    macro_rules! local {
        ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
            loom::thread_local! { $(#[$meta])* static $name: $ty = $init }
        };
    }
    pub(crate) use local;
}

pub(crate) use imp::*;
