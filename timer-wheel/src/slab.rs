//! Where entries live: a vector with a free list threaded through it.

/// No node: the end of a list.
pub(crate) const NIL: u32 = u32::MAX;

/// An emptied slab gives its memory back down to this many nodes.
const KEPT: usize = 1024;

/// Names one entry of the [`Wheel`](crate::Wheel) that made it.
///
/// Harmless once the entry has fired or was cancelled: it then finds nothing, also after its place was taken by
/// another entry (until 2³² more entries have been inserted, when a collision is possible, not likely).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The node's place in the slab.
    pub(crate) index: u32,
    /// The node's generation when the key was made.
    generation: u32,
}

/// One place in the slab: an entry, or vacant.
#[derive(Debug)]
pub(crate) struct Node<T> {
    /// When the entry is due.
    pub(crate) deadline: u64,
    /// The entry before this one in its slot's list.
    pub(crate) prev: u32,
    /// The entry after this one in its slot's list; if vacant, the next vacant node.
    pub(crate) next: u32,
    /// Which insertion filled this place last; see [`Slab::generation`].
    generation: u32,
    /// The slot whose list the entry is in.
    pub(crate) slot: u16,
    /// The entry's payload; `None` exactly if vacant.
    payload: Option<T>,
}

/// The entries.
#[derive(Debug)]
pub(crate) struct Slab<T> {
    /// All nodes. Shorter than `NIL`.
    nodes: Vec<Node<T>>,
    /// First of the vacant nodes, which are linked by `next`. Last in, first out, to stay in the cache.
    vacant: u32,
    /// How many nodes are not vacant.
    len: usize,
    /// Counts insertions, wrapping. One count for all nodes, so that nodes may be given back and made anew.
    generation: u32,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Slab<T> {
        Slab { nodes: Vec::new(), vacant: NIL, len: 0, generation: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Stores an entry that is in no list yet.
    #[inline]
    pub(crate) fn insert(&mut self, deadline: u64, payload: T) -> Key {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let index = self.vacant;
        if let Some(node) = self.nodes.get_mut(index as usize) {
            self.vacant = node.next;
            node.deadline = deadline;
            node.generation = generation;
            node.payload = Some(payload);
            self.len += 1;
            return Key { index, generation };
        }
        Key { index: self.grow(deadline, payload), generation }
    }

    #[cold]
    fn grow(&mut self, deadline: u64, payload: T) -> u32 {
        let index = self.nodes.len() as u32;
        assert!(self.nodes.len() < NIL as usize, "a timer wheel holds at most 2^32 - 1 entries");
        let generation = self.generation;
        self.nodes.push(Node { deadline, prev: NIL, next: NIL, generation, slot: 0, payload: Some(payload) });
        self.len += 1;
        index
    }

    /// Vacates a node that was taken out of its list.
    #[inline]
    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let node = &mut self.nodes[index as usize];
        let payload = node.payload.take();
        node.next = self.vacant;
        self.vacant = index;
        self.len -= 1;
        if self.len == 0 && self.nodes.len() > KEPT {
            self.shrink();
        }
        payload
    }

    /// Gives the memory of a burst back. Paid for by the insertions that it took to grow.
    #[cold]
    fn shrink(&mut self) {
        self.nodes.clear();
        self.nodes.shrink_to(KEPT);
        self.vacant = NIL;
    }

    /// Whether the key's entry is still there.
    #[inline]
    pub(crate) fn contains(&self, key: Key) -> bool {
        self.nodes
            .get(key.index as usize)
            .is_some_and(|node| node.generation == key.generation && node.payload.is_some())
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        let node = self.nodes.get_mut(key.index as usize)?;
        if node.generation == key.generation { node.payload.as_mut() } else { None }
    }

    #[inline]
    pub(crate) fn node(&self, index: u32) -> &Node<T> {
        &self.nodes[index as usize]
    }

    #[inline]
    pub(crate) fn node_mut(&mut self, index: u32) -> &mut Node<T> {
        &mut self.nodes[index as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_used_again_under_another_key() {
        let mut slab = Slab::new();
        let first = slab.insert(1, 'a');
        assert_eq!(slab.remove(first.index), Some('a'));
        let second = slab.insert(2, 'b');
        assert_eq!(first.index, second.index);
        assert!(!slab.contains(first) && slab.contains(second));
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.len(), 1);
    }

    #[test]
    fn an_emptied_slab_gives_memory_back_and_old_keys_stay_stale() {
        let mut slab = Slab::new();
        let keys: Vec<Key> = (0..100_000).map(|n| slab.insert(n, n)).collect();
        for key in &keys {
            slab.remove(key.index);
        }
        assert!(slab.nodes.capacity() <= KEPT);
        for n in 0..100_000 {
            slab.insert(n, n);
        }
        assert!(keys.iter().all(|&key| !slab.contains(key)));
    }
}
