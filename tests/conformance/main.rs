//! Programs that CPython ran, ported: each must print what it printed (`scenarios/NAME.py`, `scenarios/NAME.expected`).
//!
//! `sNAME.rs` reads like its twin `NAME.py`. Where exceptions are values, it says so with `Result`.

#[macro_use]
mod trace;

use kumihimo::Builder;
use trace::{Clock, Flavours};

/// Runs a main coroutine as `asyncio.run` does.
fn run<F: Future>(builder: Builder, main: F) -> F::Output {
    let runner = builder.build().unwrap();
    let result = runner.run(main);
    runner.close();
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// A scenario's module, and the test that compares it; what it prints is found under its name without the `s`.
macro_rules! scenarios {
    ($clock:ident, $flavours:ident, $($name:ident)*) => {$(
        mod $name;

        #[test]
        fn $name() {
            let program = |builder| run(builder, $name::main());
            trace::compare(&stringify!($name)[1..], Clock::$clock, Flavours::$flavours, program);
        }
    )*};
}

/// The same, for those that call `run` themselves.
macro_rules! programs {
    ($clock:ident, $($name:ident)*) => {$(
        mod $name;

        #[test]
        fn $name() {
            trace::compare(&stringify!($name)[1..], Clock::$clock, Flavours::All, $name::main);
        }
    )*};
}

programs! { Mock, s001_run_value_and_error s002_run_cancels_leftovers }

programs! { Real, s007_run_waits_for_threads }

scenarios! {
    Mock, All,
    s010_task_lifecycle
    s012_task_awaited_many_times
    s020_thousand_tasks
    s030_cancel_basic
    s033_cancel_message
    s034_cancel_caught_then_continues
    s035_cancelling_and_uncancel
    s037_cancel_inside_finally
    s038_cancel_chain_inner_decides
    s039_inner_cancelled_by_other
    s041_cancel_self
    s050_shield_outer_cancelled
    s051_shield_inner_cancelled_or_fails
    s060_gather_order
    s061_gather_duplicates
    s062_gather_first_exception
    s063_gather_return_exceptions
    s064_gather_outer_cancelled
    s065_gather_cancelled_return_exceptions
}

scenarios! { Real, All, s120_sleep_order_and_results }

// That a new task does not begin before its creator gives control back is promised on one thread only.
scenarios! { Mock, OneThread, s031_cancel_before_start s043_uncancel_before_delivery }

scenarios! { Mock, OneThread, s011_task_start_order_ticks s048_cancel_ticks s121_sleep_zero_ticks }
