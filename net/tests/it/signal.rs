//! Each test has a signal of its own: they run in one process.

use std::io::ErrorKind;
use std::thread;

use futures_util::{FutureExt, join};
use kumihimo_net::{Signal, SignalKind};
use rustix::process::{Signal as Number, getpid, kill_process};

use crate::tiny::run;

/// Sends a signal to this thread, which has handled it when this returns.
fn raise(number: Number) {
    // SAFETY: `raise` has no requirements.
    assert_eq!(unsafe { libc::raise(number.as_raw()) }, 0);
}

#[test]
fn a_signal_wakes_the_one_that_waits() {
    run(async {
        let mut signal = Signal::new(SignalKind::USER_DEFINED1).unwrap();
        assert!(signal.recv().now_or_never().is_none());
        for _ in 0..3 {
            let from_elsewhere = thread::spawn(|| raise(Number::USR1));
            signal.recv().await.unwrap();
            from_elsewhere.join().unwrap();
        }
    });
}

#[test]
fn every_signal_value_gets_it() {
    run(async {
        let mut first = Signal::new(SignalKind::USER_DEFINED2).unwrap();
        let mut second = Signal::new(SignalKind::USER_DEFINED2.as_raw()).unwrap();
        let third = Signal::new(SignalKind::USER_DEFINED2).unwrap();
        drop(third);
        raise(Number::USR2);
        let (a, b) = join!(first.recv(), second.recv());
        a.unwrap();
        b.unwrap();
        drop(first);
        raise(Number::USR2);
        second.recv().await.unwrap();
        drop(second);
        // Nobody listens, and the process is still not ended by it.
        raise(Number::USR2);
    });
}

#[test]
fn signals_before_recv_count_as_one() {
    run(async {
        let mut signal = Signal::new(SignalKind::WINDOW_CHANGE).unwrap();
        raise(Number::WINCH);
        raise(Number::WINCH);
        raise(Number::WINCH);
        signal.recv().await.unwrap();
        assert!(signal.recv().now_or_never().is_none());
        raise(Number::WINCH);
        signal.recv().await.unwrap();
    });
}

/// From outside, as Ctrl-C comes: whichever thread the system picks runs the handler.
#[test]
// ThreadSanitizer holds a signal back until its thread calls libc, which one that waits in the poller does not.
#[cfg_attr(kumihimo_tsan, ignore)]
fn a_signal_to_the_process() {
    run(async {
        let mut signal = Signal::new(SignalKind::ALARM).unwrap();
        for _ in 0..100 {
            kill_process(getpid(), Number::ALARM).unwrap();
            signal.recv().await.unwrap();
        }
    });
}

#[test]
fn a_flood_does_not_block_the_handler() {
    run(async {
        let mut signal = Signal::new(SignalKind::IO).unwrap();
        for _ in 0..5000 {
            raise(Number::IO);
        }
        signal.recv().await.unwrap();
    });
}

#[test]
fn what_cannot_be_handled_is_refused() {
    run(async {
        for forbidden in [Number::KILL, Number::STOP, Number::SEGV] {
            let error = Signal::new(forbidden.as_raw()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        }
        let error = Signal::new(12345).unwrap_err();
        assert_eq!(error.to_string(), "cannot listen for signal 12345: there is no such signal");
    });
}

#[test]
fn a_dropped_recv_loses_no_signal() {
    run(async {
        let mut signal = Signal::new(SignalKind::HANGUP).unwrap();
        assert!(signal.recv().now_or_never().is_none());
        raise(Number::HUP);
        drop(signal.recv());
        signal.recv().await.unwrap();
        assert_eq!(format!("{signal:?}"), "Signal(SignalKind(SIGHUP))");
    });
}
