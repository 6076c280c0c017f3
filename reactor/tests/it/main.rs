//! Tests of the reactor from outside, all with both ways of waiting.

mod closing;
mod context;
mod executor;
mod interrupting;
mod reading;
mod time;
mod waiting;

/// Makes a test of each function: one with the platform's own poller, one with the portable one.
macro_rules! with_both_pollers {
    ($($(#[$meta:meta])* $name:ident)*) => {
        mod native {
            $($(#[$meta])* #[test] fn $name() { super::$name(kumihimo_reactor::Backend::Native) })*
        }
        mod portable {
            $($(#[$meta])* #[test] fn $name() { super::$name(kumihimo_reactor::Backend::Portable) })*
        }
    };
}
pub(crate) use with_both_pollers;
