//! The conversation.

use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;

use super::{Answer, BOTH, LIMIT, Pool};
use crate::process::child_process::Exit;
use crate::process::codec;
use crate::process::function::{CallFailure, Function};
use crate::process::image;
use crate::process::panics::RemotePanic;
use crate::process::start::Starter;
use crate::process::wire::encode_call;

#[test]
fn values_and_a_clean_end() {
    for method in BOTH {
        let mut pool = Pool::new(method);
        assert_eq!(pool.value(|text: String| text.len(), "組紐".into()), 6);
        assert_eq!(pool.value(|(a, b): (u128, i8)| a + b as u128, (u128::MAX - 1, 1)), u128::MAX);
        let large: Vec<u8> = (0..1_000_000).map(|n| n as u8).collect();
        for _ in 0..5 {
            assert_eq!(pool.value(|bytes: Vec<u8>| bytes, large.clone()), large);
        }
        pool.send(Function::chunk(|n: u8| n * 2).unwrap(), &vec![1_u8, 2, 3]);
        assert_eq!(pool.answer(), Answer::Value(vec![3, 2, 4, 6]));
        pool.send(Function::none(|| 7_u8).unwrap(), &());
        assert_eq!(pool.answer(), Answer::Value(vec![7]));
        // It answers what it has received, though no more can come.
        for n in 0..100_u32 {
            pool.send(Function::one(|n: u32| n).unwrap(), &n);
        }
        pool.stream.shutdown(Shutdown::Write).unwrap();
        for n in 0..100_u32 {
            assert_eq!(pool.answer(), Answer::Value(codec_bytes(&n)));
        }
        assert_eq!((pool.answer(), pool.exit()), (Answer::End, Exit::Code(0)));
    }
}

fn codec_bytes<T: Serialize + 'static>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes, usize::MAX).unwrap();
    bytes
}

#[test]
fn panics_travel() {
    for method in BOTH {
        let mut pool = Pool::new(method);
        let thrower = |n: u8| {
            if n > 0 {
                panic!("n is {n}, line {}", line!())
            }
        };
        let Answer::Panicked(panic) = pool.ask(thrower, 3) else { panic!() };
        let line = panic.message().strip_prefix("n is 3, line ").unwrap();
        let location = panic.location().unwrap();
        assert!(location.contains(&format!("calls.rs:{line}:")), "{location}");
        if std::env::var_os("RUST_BACKTRACE").is_none_or(|value| value != "0") {
            assert!(panic.backtrace().unwrap().contains("start"), "{panic}");
        }
        // A panic that was caught says nothing of one that bypasses the hook.
        let again = |(): ()| {
            let caught = std::panic::catch_unwind(|| panic!("first")).unwrap_err();
            drop(caught);
            std::panic::resume_unwind(Box::new("second"))
        };
        let second = RemotePanic::new("second".into(), None, None);
        assert_eq!(pool.ask::<(), ()>(again, ()), Answer::Panicked(second));
        let odd = |(): ()| std::panic::panic_any(17_u8);
        let Answer::Panicked(panic) = pool.ask::<(), ()>(odd, ()) else { panic!() };
        assert_eq!(panic.message(), "a value that is no text was thrown");
        let hooked = |(): ()| {
            std::panic::set_hook(Box::new(|_| ()));
            panic!("unseen")
        };
        let unseen = RemotePanic::new("unseen".into(), None, None);
        assert_eq!(pool.ask::<(), ()>(hooked, ()), Answer::Panicked(unseen));
        assert_eq!(pool.value(|n: u8| n + 1, 1), 2, "the worker goes on");
    }
}

#[test]
fn failures_of_calls() {
    for method in BOTH {
        let mut pool = Pool::new(method);
        pool.send(Function::one(|text: String| text).unwrap(), &(3_u8, 0xff_u8));
        assert!(matches!(pool.answer(), Answer::Failed(CallFailure::Argument(_))));
        let size = u64::from(LIMIT) + 3;
        let failure = CallFailure::TooLarge { size, limit: LIMIT.into() };
        assert_eq!(pool.ask(|n: usize| "x".repeat(n), LIMIT as usize), Answer::Failed(failure));
        let mut bytes = Function::one(|n: u8| n).unwrap().to_bytes();
        bytes[20] ^= 1;
        pool.send(Function::from_bytes(&bytes), &1_u8);
        assert_eq!(pool.answer(), Answer::Failed(CallFailure::Types));
        pool.send(Function::from_bytes(&[0x77; 24]), &1_u8);
        assert_eq!(pool.answer(), Answer::Failed(CallFailure::Foreign));
        assert_eq!(pool.value(|n: u8| n + 1, 1), 2, "the worker goes on");
    }
}

#[test]
fn initializers() {
    static STATE: AtomicUsize = AtomicUsize::new(0);
    for method in BOTH {
        let starter = Starter::new(method).unwrap();
        let mut pool = Pool::silent(&starter);
        let set = Function::one(|n: usize| STATE.store(n, Ordering::SeqCst)).unwrap();
        assert_eq!(pool.hello(image::fingerprint(), Some((set, &[42]))), Answer::Ready);
        assert_eq!(pool.value(|(): ()| STATE.load(Ordering::SeqCst), ()), 42);
        let mut other = Pool::with(&starter);
        assert_eq!(other.value(|(): ()| STATE.load(Ordering::SeqCst), ()), 0);

        for (argument, word) in [(&[1][..], "not today"), (&[], "decode")] {
            let mut pool = Pool::silent(&starter);
            let fail = Function::one(|n: u8| assert_eq!(n, 0, "not today")).unwrap();
            let answer = pool.hello(image::fingerprint(), Some((fail, argument)));
            assert!(
                matches!(&answer, Answer::InitializerFailed(panic) if panic.message().contains(word)),
                "{answer:?}"
            );
            assert_eq!((pool.answer(), pool.exit()), (Answer::End, Exit::Code(1)));
        }
    }
}

#[test]
fn strangers_are_refused() {
    for method in BOTH {
        let starter = Starter::new(method).unwrap();
        let mut pool = Pool::silent(&starter);
        let answer = pool.hello(image::fingerprint() ^ 1, None);
        assert!(matches!(&answer, Answer::Refused(text) if text.contains("another build")), "{answer:?}");
        assert_eq!((pool.answer(), pool.exit()), (Answer::End, Exit::Code(76)));

        let corrupt = |bytes: &[u8], and_end: bool| {
            let mut pool = Pool::with(&starter);
            pool.say(bytes);
            if and_end {
                pool.stream.shutdown(Shutdown::Write).unwrap();
            }
            assert_eq!((pool.answer(), pool.exit()), (Answer::End, Exit::Code(76)));
        };
        corrupt(&[0xff; 16], false);
        let mut call = Vec::new();
        encode_call(&mut call, 1, Function::none(|| ()).unwrap(), &[]);
        corrupt(&call[..call.len() - 1], true);
        corrupt(&call[..3], true);
        call[..4].copy_from_slice(&(LIMIT + 25).to_le_bytes());
        corrupt(&call[..16], false);

        let mut pool = Pool::silent(&starter);
        pool.send(Function::none(|| ()).unwrap(), &());
        assert_eq!((pool.answer(), pool.exit()), (Answer::End, Exit::Code(76)));
    }
}
