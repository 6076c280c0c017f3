//! std's thread-locals, or loom's under `--cfg kumihimo_loom`.

#[cfg(not(kumihimo_loom))]
macro_rules! local {
    ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
        std::thread_local! { $(#[$meta])* static $name: $ty = const { $init } }
    };
}

// loom runs its model threads on one thread of the system, so they need loom's own locals.
#[cfg(kumihimo_loom)]
macro_rules! local {
    ($(#[$meta:meta])* static $name:ident: $ty:ty = $init:expr) => {
        loom::thread_local! { $(#[$meta])* static $name: $ty = $init }
    };
}

pub(crate) use local;
