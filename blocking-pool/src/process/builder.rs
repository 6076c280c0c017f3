//! The settings of a process pool.

use std::fmt;
use std::io;
use std::thread::available_parallelism;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::function::{ForeignFunction, Function};
use super::pool::ProcessPoolExecutor;
use super::roster::Config;
use super::start::{StartMethod, Starter};
use super::wire::{Hello, MAX_FRAME_LIMIT, encode_hello};
use super::{codec, image};

/// The most bytes of an argument or a result, unless told otherwise: 1 GiB.
const FRAME_LIMIT: u32 = 1 << 30;

/// What the death of a process means for its pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnCrash {
    /// The pool is broken, as in CPython: every call that has not ended, and every one that is submitted later, gets a
    /// [`BrokenProcessPool`](super::BrokenProcessPool) of its own; the other processes are killed.
    #[default]
    Break,
    /// The call that the process had gets a [`BrokenProcessPool`](super::BrokenProcessPool); another process takes its
    /// place, and the other calls notice nothing.
    Restart,
}

/// Settings of a [`ProcessPoolExecutor`]; made by [`ProcessPoolExecutor::builder`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct ProcessPoolBuilder {
    max_workers: usize,
    max_tasks_per_child: Option<u32>,
    on_crash: OnCrash,
    method: StartMethod,
    frame_limit: u32,
    initializer: Option<Initializer>,
}

/// A function that each process calls first, and its argument, encoded.
type Initializer = Result<(Function, Vec<u8>), InitializerError>;

enum InitializerError {
    Foreign(ForeignFunction),
    Argument(codec::EncodeError),
}

impl ProcessPoolBuilder {
    pub(super) fn new() -> ProcessPoolBuilder {
        ProcessPoolBuilder {
            // The standard library's count respects affinity and cgroup quotas.
            max_workers: available_parallelism().map_or(1, usize::from),
            max_tasks_per_child: None,
            on_crash: OnCrash::default(),
            method: StartMethod::default(),
            frame_limit: FRAME_LIMIT,
            initializer: None,
        }
    }

    /// How many processes there may be at most. By default as many as the process may use processors.
    ///
    /// They are started as calls need them. One that is about to end does not count.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn max_workers(mut self, n: usize) -> ProcessPoolBuilder {
        assert!(n > 0, "a process pool needs at least one worker: `max_workers` must be greater than zero");
        self.max_workers = n;
        self
    }

    /// After how many calls a process is replaced by a new one. By default never.
    ///
    /// # Panics
    ///
    /// If `n` is zero.
    #[track_caller]
    pub fn max_tasks_per_child(mut self, n: u32) -> ProcessPoolBuilder {
        assert!(
            n > 0,
            "a process has to serve at least one call: `max_tasks_per_child` must be greater than zero"
        );
        self.max_tasks_per_child = Some(n);
        self
    }

    /// What each process calls before its first call. If it panics, the pool is broken.
    ///
    /// ```
    /// use std::sync::OnceLock;
    /// use kumihimo_blocking_pool::process::ProcessPoolExecutor;
    ///
    /// /// Read once in each process.
    /// static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    ///
    /// fn read_words() {
    ///     let text = std::fs::read_to_string("/usr/share/dict/words").unwrap_or_default();
    ///     WORDS.get_or_init(|| text.lines().map(str::to_owned).collect());
    /// }
    ///
    /// fn is_word(word: String) -> bool {
    ///     WORDS.get().expect("the initializer has run").contains(&word)
    /// }
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::builder().initializer(read_words).build()?;
    /// assert!(!pool.submit(is_word, "xyzzy".to_string()).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn initializer(mut self, f: fn()) -> ProcessPoolBuilder {
        self.initializer =
            Some(Function::none(f).map(|f| (f, Vec::new())).map_err(InitializerError::Foreign));
        self
    }

    /// As [`initializer`](Self::initializer), with an argument: CPython's `initargs`.
    pub fn initializer_with<A>(mut self, f: fn(A), argument: A) -> ProcessPoolBuilder
    where
        A: Serialize + DeserializeOwned + 'static,
    {
        self.initializer = Some(Function::one(f).map_err(InitializerError::Foreign).and_then(|f| {
            let mut bytes = Vec::new();
            codec::encode(&argument, &mut bytes, MAX_FRAME_LIMIT as usize)
                .map_err(InitializerError::Argument)?;
            Ok((f, bytes))
        }));
        self
    }

    /// How processes are started. By default [`StartMethod::Spawn`].
    pub fn start_method(mut self, method: StartMethod) -> ProcessPoolBuilder {
        self.method = method;
        self
    }

    /// What the death of a process means. By default [`OnCrash::Break`].
    ///
    /// ```
    /// use kumihimo_blocking_pool::process::{OnCrash, ProcessError, ProcessPoolExecutor};
    ///
    /// fn crash() {
    ///     std::process::abort()
    /// }
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = ProcessPoolExecutor::builder().max_workers(1).on_crash(OnCrash::Restart).build()?;
    /// let (crash, other) = (pool.submit0(crash), pool.submit(u64::isqrt, 144));
    /// assert!(matches!(crash.await, Err(ProcessError::Broken(death)) if death.signal() == Some(6)));
    /// assert_eq!(other.await?, 12);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_crash(mut self, what: OnCrash) -> ProcessPoolBuilder {
        self.on_crash = what;
        self
    }

    /// The most bytes that an argument or a result may have, encoded. By default 1 GiB; a little less than 4 GiB at most.
    pub fn frame_limit(mut self, bytes: u32) -> ProcessPoolBuilder {
        self.frame_limit = bytes.min(MAX_FRAME_LIMIT);
        self
    }

    /// Makes the pool, which starts its processes when they are needed.
    ///
    /// # Errors
    ///
    /// If the initializer, or its argument, can't be sent to another process; if the platform does not know the start
    /// method.
    pub fn build(self) -> io::Result<ProcessPoolExecutor> {
        if cfg!(kumihimo_loom) {
            panic!(
                "a process pool in a model: other processes can't be explored; call the function itself, or `to_thread`"
            );
        }
        let starter = Starter::new(self.method)?;
        let initializer = match self.initializer {
            Some(Err(InitializerError::Foreign(error))) => return Err(io::Error::other(error.to_string())),
            Some(Err(InitializerError::Argument(error))) => {
                return Err(io::Error::other(format!("the initializer's argument can't be sent: {error}")));
            }
            Some(Ok(initializer)) => Some(initializer),
            None => None,
        };
        let mut hello = Vec::new();
        encode_hello(
            &mut hello,
            &Hello {
                fingerprint: image::fingerprint(),
                frame_limit: self.frame_limit,
                initializer: initializer.as_ref().map(|(function, argument)| (*function, &argument[..])),
            },
        );
        let config = Config {
            max_workers: self.max_workers,
            max_tasks_per_child: self.max_tasks_per_child,
            on_crash: self.on_crash,
            frame_limit: self.frame_limit,
            hello,
        };
        Ok(ProcessPoolExecutor::from_parts(config, starter))
    }
}

impl fmt::Debug for ProcessPoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessPoolBuilder")
            .field("max_workers", &self.max_workers)
            .field("max_tasks_per_child", &self.max_tasks_per_child)
            .field("on_crash", &self.on_crash)
            .field("start_method", &self.method)
            .field("frame_limit", &self.frame_limit)
            .field("initializer", &self.initializer.is_some())
            .finish()
    }
}
