//! All registered sources, found by the keys that events carry.

use std::io;
use std::sync::Arc;
use std::task::Waker;

use crate::poller::Events;
use crate::source::Source;
use crate::sync::{Mutex, lock};

/// Half of a key is the index of a slot, the other half the slot's generation.
const INDEX_BITS: u32 = usize::BITS / 2;
const INDEX_MASK: usize = (1 << INDEX_BITS) - 1;
/// No slot has the last two indices, so no source has the keys that pollers use for themselves.
const MAX_SLOTS: usize = INDEX_MASK - 1;

/// All registered sources.
///
/// An event may be in a buffer while its source is removed, and a new source may get the same slot (and the same
/// descriptor number) before the event is looked at. Each removal starts a new generation of its slot, so the event
/// is known to be old, and dropped. A generation comes again after 2^32 (where words have 32 bits, 2^16) removals
/// during the dispatch of one batch, and a wrong match is a spurious wake-up.
#[derive(Debug)]
pub(crate) struct Registry {
    /// Locked for a registration, a removal, and once for each batch of events.
    slots: Mutex<Slots>,
}

/// What the registry's lock protects.
#[derive(Debug)]
struct Slots {
    /// Indexed by the index part of keys.
    all: Vec<Slot>,
    /// The slots without a source.
    free: Vec<usize>,
}

/// A place for one source at a time.
#[derive(Debug)]
struct Slot {
    /// How many sources the slot has had before this one, within half a word.
    generation: usize,
    /// The source registered here.
    source: Option<Arc<Source>>,
}

impl Registry {
    pub(crate) fn new() -> Registry {
        Registry { slots: Mutex::new(Slots { all: Vec::new(), free: Vec::new() }) }
    }

    /// Makes a source with a key of its own.
    pub(crate) fn insert(&self) -> io::Result<Arc<Source>> {
        let mut slots = lock(&self.slots);
        let index = match slots.free.pop() {
            Some(index) => index,
            None if slots.all.len() < MAX_SLOTS => {
                slots.all.push(Slot { generation: 0, source: None });
                slots.all.len() - 1
            }
            None => return Err(io::Error::other("a reactor has no room for more descriptors")),
        };
        let slot = &mut slots.all[index];
        let source = Arc::new(Source::new(slot.generation << INDEX_BITS | index));
        slot.source = Some(source.clone());
        Ok(source)
    }

    /// Forgets a source, so that its events are dropped from now on.
    pub(crate) fn remove(&self, source: &Source) {
        let index = source.key & INDEX_MASK;
        let mut slots = lock(&self.slots);
        let slot = &mut slots.all[index];
        if slot.generation != source.key >> INDEX_BITS {
            return;
        }
        let removed = slot.source.take();
        slot.generation = slot.generation.wrapping_add(1) & INDEX_MASK;
        slots.free.push(index);
        drop(slots);
        drop(removed);
    }

    /// Reports a batch of events to their sources, and moves the wakers of those they concern to `wakers`.
    ///
    /// The lock is taken once for the batch. Sources' locks are taken under it, never the other way round.
    pub(crate) fn report(&self, events: &Events, disarmed: bool, wakers: &mut Vec<Waker>) {
        let slots = lock(&self.slots);
        events.for_each(|key, ready| {
            // An index beyond the slots belongs to the poller itself.
            let slot = slots.all.get(key & INDEX_MASK).filter(|slot| slot.generation == key >> INDEX_BITS);
            if let Some(source) = slot.and_then(|slot| slot.source.as_ref()) {
                source.report(ready, disarmed, wakers);
            }
        });
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use std::io::Write;
    use std::os::fd::AsFd;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::poller::{Backend, Interest, Poller};
    use crate::readiness::Direction;

    /// The event is in the buffer when its source goes, and another one comes under the same number in the same slot.
    #[test]
    fn an_old_event_does_not_reach_the_new_owner_of_its_slot() {
        for backend in [Backend::Native, Backend::Portable] {
            let (poller, registry) = (Poller::new(backend).unwrap(), Registry::new());
            let (near, mut far) = UnixStream::pair().unwrap();
            let old = registry.insert().unwrap();
            poller.add(near.as_fd(), old.key).unwrap();
            poller.arm(near.as_fd(), old.key, Interest { read: true, write: false }).unwrap();
            far.write_all(b"x").unwrap();
            let mut events = poller.events();
            poller.wait(&mut events, None).unwrap();
            assert!(!events.is_empty());

            registry.remove(&old);
            poller.delete(near.as_fd()).unwrap();
            let new = registry.insert().unwrap();
            assert_eq!(old.key & INDEX_MASK, new.key & INDEX_MASK);
            registry.report(&events, false, &mut Vec::new());
            assert!(!new.readiness.load().is_ready(Direction::Read));
            assert!(!old.readiness.load().is_ready(Direction::Read));

            // Its own events do reach it.
            poller.add(near.as_fd(), new.key).unwrap();
            poller.arm(near.as_fd(), new.key, Interest { read: true, write: false }).unwrap();
            poller.wait(&mut events, None).unwrap();
            registry.report(&events, false, &mut Vec::new());
            assert!(new.readiness.load().is_ready(Direction::Read));
        }
    }

    #[test]
    fn a_slot_is_reused_under_another_key() {
        let registry = Registry::new();
        let first = registry.insert().unwrap();
        registry.remove(&first);
        let second = registry.insert().unwrap();
        assert_eq!(first.key & INDEX_MASK, second.key & INDEX_MASK);
        assert_ne!(first.key, second.key);
        // Removing twice is harmless to whoever has the slot now.
        registry.remove(&first);
        assert_ne!(registry.insert().unwrap().key & INDEX_MASK, second.key & INDEX_MASK);
    }
}
