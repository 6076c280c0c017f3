//! Choices that loom knows nothing of: which task goes first, when a timer fires.
//!
//! An execution takes choice number 0 wherever the tape does not say otherwise: tasks in the order in which they became ready,
//! timers when nothing else is ready. A tape with one entry that is not 0 is one *deviation* from that; all tapes with at most
//! so many deviations are gone through (delay-bounded scheduling: Emmi, Qadeer, Rakamarić, POPL 2011), and under each of them
//! loom explores all interleavings.

use std::cell::RefCell;

thread_local! {
    static TAPE: RefCell<Tape> = const { RefCell::new(Tape { choices: Vec::new(), at: 0, options: Vec::new() }) };
}

struct Tape {
    /// What is chosen, from the first choice on; 0 after its end.
    choices: Vec<u8>,
    /// Choices made so far in this execution.
    at: usize,
    /// The most options that there were at each choice, over all executions with this tape.
    options: Vec<u8>,
}

/// Begins to explore under a tape.
pub fn insert(choices: Vec<u8>) {
    TAPE.with_borrow_mut(|tape| *tape = Tape { choices, at: 0, options: Vec::new() });
}

/// An execution begins.
pub fn rewind() {
    TAPE.with_borrow_mut(|tape| tape.at = 0);
}

/// The most options that there were at each choice since the tape was inserted.
pub fn options() -> Vec<u8> {
    TAPE.with_borrow(|tape| tape.options.clone())
}

/// One of so many options.
pub(crate) fn choose(options: usize) -> usize {
    if options < 2 {
        return 0;
    }
    TAPE.with_borrow_mut(|tape| {
        let at = tape.at;
        tape.at += 1;
        let options = options.min(usize::from(u8::MAX)) as u8;
        match tape.options.get_mut(at) {
            Some(most) => *most = options.max(*most),
            None => tape.options.push(options),
        }
        // In another interleaving there may be fewer options than where the choice was found.
        usize::from(tape.choices.get(at).copied().filter(|choice| *choice < options).unwrap_or(0))
    })
}
