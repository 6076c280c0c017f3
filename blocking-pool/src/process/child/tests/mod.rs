//! Real workers, and a pool that blocks, for both start methods.

mod calls;
mod helper;
mod lives;
mod program;

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::process::child_process::{ChildProcess, Exit};
use crate::process::codec;
use crate::process::function::{CallFailure, Function};
use crate::process::image;
use crate::process::panics::RemotePanic;
use crate::process::start::{StartMethod, Started, Starter};
use crate::process::wire::{Decoder, Hello, Reply, encode_call, encode_hello};

const LIMIT: u32 = 1 << 20;

/// Longer than anything takes; only a test that fails waits for it.
const LONG: Duration = Duration::from_secs(60);

const BOTH: [StartMethod; 2] = [StartMethod::Spawn, StartMethod::ForkServer];

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Ready,
    Refused(String),
    InitializerFailed(RemotePanic),
    Value(Vec<u8>),
    Panicked(RemotePanic),
    Failed(CallFailure),
    /// The end of the stream, in the middle of a frame or not.
    End,
}

/// A pool of one worker.
struct Pool {
    stream: UnixStream,
    process: ChildProcess,
    replies: Decoder,
}

impl Pool {
    /// A worker to which nobody has said anything.
    fn silent(starter: &Starter) -> Pool {
        let Started { stream, process, .. } = starter.start().unwrap();
        Pool { stream, process, replies: Decoder::new(LIMIT) }
    }

    fn with(starter: &Starter) -> Pool {
        let mut pool = Pool::silent(starter);
        assert_eq!(pool.hello(image::fingerprint(), None), Answer::Ready);
        pool
    }

    fn new(method: StartMethod) -> Pool {
        Pool::with(&Starter::new(method).unwrap())
    }

    fn hello(&mut self, fingerprint: u64, initializer: Option<(Function, &[u8])>) -> Answer {
        let mut out = Vec::new();
        encode_hello(&mut out, &Hello { fingerprint, frame_limit: LIMIT, initializer });
        self.say(&out);
        self.answer()
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    fn answer(&mut self) -> Answer {
        loop {
            if let Some(reply) = self.replies.next_reply().unwrap() {
                return match reply {
                    Reply::Ready => Answer::Ready,
                    Reply::Refused { text } => Answer::Refused(text),
                    Reply::InitializerFailed { panic } => Answer::InitializerFailed(panic),
                    Reply::Value { id: 5, bytes } => Answer::Value(bytes.to_vec()),
                    Reply::Panicked { id: 5, panic } => Answer::Panicked(panic),
                    Reply::Failed { id: 5, failure } => Answer::Failed(failure),
                    other => panic!("{other:?}"),
                };
            }
            let room = self.replies.room();
            match rustix::io::read(&self.stream, rustix::buffer::spare_capacity(room)) {
                Ok(0) | Err(rustix::io::Errno::CONNRESET) => return Answer::End,
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    fn send<A: Serialize + 'static>(&mut self, function: Function, argument: &A) {
        let (mut bytes, mut out) = (Vec::new(), Vec::new());
        codec::encode(argument, &mut bytes, usize::MAX).unwrap();
        encode_call(&mut out, 5, function, &bytes);
        self.say(&out);
    }

    fn ask<A, R>(&mut self, f: fn(A) -> R, argument: A) -> Answer
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + 'static,
    {
        self.send(Function::one(f).unwrap(), &argument);
        self.answer()
    }

    fn value<A, R>(&mut self, f: fn(A) -> R, argument: A) -> R
    where
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        match self.ask(f, argument) {
            Answer::Value(bytes) => codec::decode(&bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// How the worker ends by itself.
    fn exit(&mut self) -> Exit {
        self.process.end(LONG)
    }
}

fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LONG, "never: {what}");
        thread::sleep(Duration::from_millis(1));
    }
}

fn is_there(id: u32) -> bool {
    Path::new(&format!("/proc/{id}")).exists()
}

fn endless(_: ()) {
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
