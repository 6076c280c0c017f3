//! What a suspended task waits for, in one word.

/// The kinds of leaf a task can be suspended on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum WaitKind {
    /// A timer.
    Sleep = 1,
    /// A descriptor becoming readable.
    Readable = 2,
    /// A descriptor becoming writable.
    Writable = 3,
    /// A turn: the task gave way and is already scheduled again.
    Turn = 4,
    /// A job on a thread pool, or in another process.
    Thread = 5,
    /// Anything else.
    Other = 6,
}

/// What one poll left behind: nothing, one leaf, one forward, or several things.
///
/// A word, so that it can be stored with the task. Its low bits tell what it is:
///
/// | bits | meaning |
/// |---|---|
/// | `00` | a forward: the address of the task that is awaited; zero is [`NONE`](WaitWord::NONE) |
/// | `10` | the address of something else that is awaited; without one, [`MANY`](WaitWord::MANY) |
/// | `01` | a leaf, by its kind |
/// | `11` | a place in the queue of a primitive, by its address; `111` once a request to cancel has come to the task there |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct WaitWord(usize);

impl WaitWord {
    /// Nothing was noted: a foreign leaf, or not suspended.
    pub const NONE: WaitWord = WaitWord(0);
    /// More than one thing is awaited.
    pub const MANY: WaitWord = WaitWord(2);

    /// A leaf of this kind.
    pub const fn leaf(kind: WaitKind) -> WaitWord {
        WaitWord((kind as usize) << 2 | 1)
    }

    /// A forward to what lives at this address (which must be a multiple of four, and not zero).
    pub fn forward(target: *const ()) -> WaitWord {
        debug_assert!(!target.is_null() && target.addr() & 3 == 0);
        WaitWord(target.expose_provenance())
    }

    /// The address that a forward awaits.
    pub fn target(self) -> Option<*const ()> {
        (self.0 != 0 && self.0 & 3 == 0).then(|| std::ptr::with_exposed_provenance(self.0))
    }

    /// A forward to something other than a task, at this address (which must be a multiple of four, and not zero).
    pub fn object(target: *const ()) -> WaitWord {
        debug_assert!(!target.is_null() && target.addr() & 3 == 0);
        WaitWord(target.expose_provenance() | 2)
    }

    /// The address of the [object](Self::object) that a forward awaits.
    pub fn object_target(self) -> Option<*const ()> {
        (self.0 & 3 == 2 && self != WaitWord::MANY).then(|| std::ptr::with_exposed_provenance(self.0 & !3))
    }

    /// A place in the queue of a lock or the like, at this address (which must be a multiple of eight, and not zero). It is
    /// compared and never followed.
    pub fn queued(place: *const ()) -> WaitWord {
        debug_assert!(!place.is_null() && place.addr() & 7 == 0);
        WaitWord(place.addr() | 3)
    }

    /// Whether it is a place in a queue.
    pub const fn is_queued(self) -> bool {
        self.0 & 3 == 3
    }

    /// The same [place](Self::queued), of a task that a request to cancel has come to.
    pub const fn cancelled(self) -> WaitWord {
        debug_assert!(self.is_queued());
        WaitWord(self.0 | 4)
    }

    /// The word itself, for storing.
    pub const fn to_bits(self) -> usize {
        self.0
    }

    /// The reverse of [`to_bits`](Self::to_bits).
    pub const fn from_bits(bits: usize) -> WaitWord {
        WaitWord(bits)
    }

    /// Adds one more thing that is awaited.
    #[inline]
    pub(crate) fn and(self, other: WaitWord) -> WaitWord {
        if self.0 == 0 { other } else { WaitWord::MANY }
    }
}
