//! A registered descriptor: what is known of it, and who waits for it.

use std::io;
use std::task::Waker;

use crate::poller::Interest;
use crate::readiness::{Direction, Readiness, Ready};
use crate::sync::{Mutex, lock};
use crate::wake::wake_all;

/// A registered descriptor. Shared by the `Async` that owns the descriptor and the registry.
///
/// Why no wake-up is lost: a report changes the word and then takes the waiters, under their lock; a waiter adds
/// itself, under the lock, and then reads the word. So whoever has the lock second sees what the other did.
#[derive(Debug)]
pub(crate) struct Source {
    /// What is known of the descriptor.
    pub(crate) readiness: Readiness,
    /// The key of its events.
    pub(crate) key: usize,
    /// Who waits. No waker is woken, cloned or dropped under this lock, for that may run any code.
    waiters: Mutex<Waiters>,
}

/// Who waits for a source.
#[derive(Debug, Default)]
struct Waiters {
    /// The task that polls for reading; the last one, if there are several.
    reader: Option<Waker>,
    /// The task that polls for writing; the last one, if there are several.
    writer: Option<Waker>,
    /// Futures that wait beside those: any number, in the order of their coming.
    list: Vec<Waiter>,
    /// The number of the last waiter that was put in the list.
    last_ticket: u64,
}

/// An entry of the list.
#[derive(Debug)]
struct Waiter {
    /// Identifies the entry to the future that made it.
    ticket: u64,
    /// What its owner waits for.
    direction: Direction,
    /// Whom to wake then.
    waker: Waker,
}

impl Waiters {
    fn slot(&mut self, direction: Direction) -> &mut Option<Waker> {
        match direction {
            Direction::Read => &mut self.reader,
            Direction::Write => &mut self.writer,
        }
    }

    /// The directions that somebody waits for.
    fn interest(&self) -> Interest {
        let listed = |direction| self.list.iter().any(|waiter| waiter.direction == direction);
        Interest {
            read: self.reader.is_some() || listed(Direction::Read),
            write: self.writer.is_some() || listed(Direction::Write),
        }
    }

    /// Moves the wakers of a direction to `wakers`.
    fn take(&mut self, direction: Direction, wakers: &mut Vec<Waker>) {
        wakers.extend(self.slot(direction).take());
        if !self.list.is_empty() {
            let taken = self.list.extract_if(.., |waiter| waiter.direction == direction);
            wakers.extend(taken.map(|waiter| waiter.waker));
        }
    }

    /// Puts a waker where `place` says. Returns the one that was there.
    fn put(&mut self, place: &mut Place<'_>, direction: Direction, waker: Waker) -> Option<Waker> {
        let Place::List(entry) = place else {
            return self.slot(direction).replace(waker);
        };
        if let Some(waiter) = self.list.iter_mut().find(|waiter| Some(waiter.ticket) == entry.ticket) {
            return Some(std::mem::replace(&mut waiter.waker, waker));
        }
        self.last_ticket += 1;
        entry.ticket = Some(self.last_ticket);
        self.list.push(Waiter { ticket: self.last_ticket, direction, waker });
        None
    }
}

impl Source {
    /// A source about which nothing is known, and for which nobody waits.
    pub(crate) fn new(key: usize) -> Source {
        Source { readiness: Readiness::new(), key, waiters: Mutex::new(Waiters::default()) }
    }

    /// Adds a waiter, then calls `arm` with the directions that are waited for now.
    ///
    /// The caller must look at the readiness again afterwards.
    pub(crate) fn wait(
        &self,
        place: &mut Place<'_>,
        direction: Direction,
        waker: &Waker,
        arm: impl FnOnce(&dyn Fn() -> Interest) -> io::Result<()>,
    ) -> io::Result<()> {
        let waker = waker.clone();
        let mut waiters = lock(&self.waiters);
        let replaced = waiters.put(place, direction, waker);
        // Under the lock, so that of two that arm, the second knows of the first.
        let armed = arm(&|| waiters.interest());
        drop(waiters);
        drop(replaced);
        armed
    }

    /// The poller has reported `ready`: notes that, and moves those it concerns to `wakers`.
    ///
    /// If that has disarmed the registration, everybody is concerned: they come back and arm it again.
    pub(crate) fn report(&self, ready: Ready, disarmed: bool, wakers: &mut Vec<Waker>) {
        self.readiness.report(ready);
        let mut waiters = lock(&self.waiters);
        for direction in [Direction::Read, Direction::Write] {
            if disarmed || ready.contains(direction) {
                waiters.take(direction, wakers);
            }
        }
    }

    /// Marks the source as deregistered; false if it was before.
    pub(crate) fn close(&self) -> bool {
        self.readiness.close()
    }

    /// Wakes everybody who waits.
    pub(crate) fn wake_all(&self) {
        let mut wakers = Vec::new();
        let mut waiters = lock(&self.waiters);
        waiters.take(Direction::Read, &mut wakers);
        waiters.take(Direction::Write, &mut wakers);
        drop(waiters);
        wake_all(&mut wakers);
    }
}

/// Where a waiter waits.
#[derive(Debug)]
pub(crate) enum Place<'a> {
    /// The one slot of its direction: nothing to allocate, nothing to take back.
    Slot,
    /// The list.
    List(Entry<'a>),
}

impl<'a> Place<'a> {
    /// A place in the list of `source`, to be taken when needed.
    pub(crate) fn list(source: &'a Source) -> Place<'a> {
        Place::List(Entry { source, ticket: None })
    }
}

/// An entry in the list of a source, removed when this is dropped.
///
/// That loses nobody a wake-up: a report wakes all of a direction, and stays in the readiness word.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Whose list it is.
    source: &'a Source,
    /// The entry's number, also after a report has taken the entry; `None` until there was one.
    ticket: Option<u64>,
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else { return };
        let mut waiters = lock(&self.source.waiters);
        let place = waiters.list.iter().position(|waiter| waiter.ticket == ticket);
        let removed = place.map(|place| waiters.list.remove(place));
        drop(waiters);
        drop(removed);
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::*;

    fn wait(source: &Source, place: &mut Place<'_>, direction: Direction) {
        source.wait(place, direction, Waker::noop(), |_| Ok(())).unwrap();
    }

    #[test]
    fn a_report_takes_the_waiters_of_its_direction() {
        let source = Source::new(0);
        let (mut first, mut second, mut third) =
            (Place::list(&source), Place::list(&source), Place::list(&source));
        wait(&source, &mut Place::Slot, Direction::Read);
        wait(&source, &mut first, Direction::Read);
        wait(&source, &mut second, Direction::Write);
        wait(&source, &mut third, Direction::Read);
        drop(third);
        let mut wakers = Vec::new();
        source.report(Ready::READABLE, false, &mut wakers);
        assert_eq!(wakers.len(), 2);
        source.report(Ready::READABLE, false, &mut wakers);
        assert_eq!(wakers.len(), 2);
        source.report(Ready::READABLE, true, &mut wakers);
        assert_eq!(wakers.len(), 3);
        // Taken once already, it puts itself in again.
        wait(&source, &mut first, Direction::Read);
        wait(&source, &mut first, Direction::Read);
        source.report(Ready::ERROR, false, &mut wakers);
        assert_eq!(wakers.len(), 4);
    }

    #[test]
    fn interest_is_what_somebody_waits_for() {
        let source = Source::new(0);
        let mut place = Place::list(&source);
        let interest = |place: &mut Place<'_>, direction| {
            let mut found = None;
            source
                .wait(place, direction, Waker::noop(), |interest| {
                    found = Some(interest());
                    Ok(())
                })
                .unwrap();
            found.unwrap()
        };
        assert_eq!(interest(&mut place, Direction::Write), Interest { read: false, write: true });
        assert_eq!(interest(&mut Place::Slot, Direction::Read), Interest { read: true, write: true });
    }
}
