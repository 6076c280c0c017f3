//! Programs that CPython ran, ported: each must print what it printed (`scenarios/NAME.py`, `scenarios/NAME.expected`).
//!
//! `sNAME.rs` reads like its twin `NAME.py`. Where exceptions are values, it says so with `Result`.

#[macro_use]
mod trace;
mod compare;
mod listing;
mod oracle;
#[path = "../support/processes.rs"]
#[allow(dead_code)]
mod processes;
mod repeats;

use std::sync::Mutex;
use std::thread;

use compare::{Clock, Flavours, Scenario};
use kumihimo::Builder;

/// Runs a main coroutine as `asyncio.run` does.
fn run<F: Future>(builder: Builder, main: F) -> F::Output {
    let runner = builder.build().unwrap();
    let result = runner.run(main);
    runner.close();
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The scenarios' modules, their list, and a test for each; what one prints is found under its name without the `s`.
macro_rules! scenarios {
    ($($clock:ident $flavours:ident $main:ident: $($name:ident)*;)*) => {
        $($(
            mod $name;

            #[test]
            fn $name() {
                check(&stringify!($name)[1..]);
            }
        )*)*

        /// All that are ported.
        static SCENARIOS: &[Scenario] = &[$($(Scenario {
            name: stringify!($name).split_at(1).1,
            clock: Clock::$clock,
            flavours: Flavours::$flavours,
            program: program!($main $name),
        },)*)*];
    };
}

/// A scenario's program: a main coroutine, or one that calls `run` itself.
macro_rules! program {
    (coroutine $name:ident) => {
        |builder| run(builder, $name::main())
    };
    (function $name:ident) => {
        $name::main
    };
}

scenarios! {
    Mock All function:
        s001_run_value_and_error
        s002_run_cancels_leftovers
        s003_run_leftover_errors
        s004_runner_keeps_loop_and_context
        s005_run_nested_is_error
        s015_current_and_all_tasks
        s150_loop_run_until_complete
        s151_loop_run_forever_stop
        s153_loop_closed
        s180_contextvars_tasks;
    // It blocks threads for a time.
    Real All function: s007_run_waits_for_threads;
    Mock All coroutine:
        s010_task_lifecycle
        s012_task_awaited_many_times
        s014_task_done_callbacks
        s016_eager_tasks
        s020_thousand_tasks
        s030_cancel_basic
        s031_cancel_before_start
        s033_cancel_message
        s034_cancel_caught_then_continues
        s035_cancelling_and_uncancel
        s037_cancel_inside_finally
        s038_cancel_chain_inner_decides
        s039_inner_cancelled_by_other
        s041_cancel_self
        s043_uncancel_before_delivery
        s046_swallowed_cancel_haunts_group
        s050_shield_outer_cancelled
        s051_shield_inner_cancelled_or_fails
        s060_gather_order
        s061_gather_duplicates
        s062_gather_first_exception
        s063_gather_return_exceptions
        s064_gather_outer_cancelled
        s065_gather_cancelled_return_exceptions
        s070_wait_modes
        s071_wait_first_exception_cancelled
        s072_wait_timeout
        s073_wait_empty_and_done
        s080_wait_for_outcomes
        s081_wait_for_waits_for_cleanup
        s083_wait_for_caller_cancelled
        s090_timeout_basic
        s091_timeout_none_and_reschedule
        s092_timeout_nested
        s094_timeout_and_outside_cancel
        s098_timeout_around_group
        s100_as_completed_plain
        s101_as_completed_async_iteration
        s102_as_completed_timeout
        s110_taskgroup_basic
        s111_taskgroup_child_fails
        s112_taskgroup_body_fails
        s114_taskgroup_nested
        s115_taskgroup_outside_cancel
        s130_future_states
        s141_call_later_order
        s143_callback_errors
        s190_lock_fairness
        s191_lock_cancelled_waiters
        s192_lock_without_owner
        s195_event
        s200_condition_notify_order
        s202_condition_cancelled_waiter
        s203_condition_wait_for_shared_lock
        s204_condition_cancelled_again
        s205_semaphore_limits
        s206_semaphore_cancelled_waiters
        s207_semaphore_values
        s210_barrier_rounds
        s211_barrier_abort_and_reset
        s212_barrier_leaving
        s220_queue_orders
        s221_queue_backpressure
        s222_queue_cancelled_waiters
        s224_queue_join
        s225_queue_shutdown
        s226_queue_shutdown_immediate
        s311_exception_never_retrieved;
    // They block a thread for a time.
    Real All coroutine:
        s093_timeout_both_expired
        s120_sleep_order_and_results
        s144_call_soon_threadsafe
        s160_executor_threads
        s161_to_thread
        s165_run_coroutine_threadsafe;
    // They wait for other processes.
    Real All coroutine:
        s163_process_pool
        s164_process_pool_broken;
    // They count asyncio's passes, which there are on one thread only.
    Mock OneThread function: s152_loop_stop_ticks;
    Mock OneThread coroutine:
        s011_task_start_order_ticks
        s048_cancel_ticks
        s054_shield_ticks
        s069_gather_ticks
        s121_sleep_zero_ticks
        s122_taskgroup_ticks
        s133_future_callbacks_ticks
        s140_call_soon_fifo_ticks
        s142_call_at_equal_deadlines_ticks
        s193_lock_ticks
        s196_event_and_condition_ticks
        s228_queue_ticks;
}

fn check(name: &str) {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name).expect("it is listed");
    scenario.run(scenario.clock).unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn on_the_real_clock() {
    /// They sleep most of the time.
    const AT_ONCE: usize = 8;
    let left = Mutex::new(SCENARIOS.iter());
    let differences = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let Some(scenario) = left.lock().unwrap().next() else { return };
                    if let Err(difference) = scenario.run(Clock::Real) {
                        differences.lock().unwrap().push(difference);
                    }
                }
            });
        }
    });
    let differences = differences.into_inner().unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn no_scenario_is_forgotten() {
    let ported: Vec<_> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
    listing::none_is_forgotten(|name| !listing::is_tutorial(name), &ported);
}
