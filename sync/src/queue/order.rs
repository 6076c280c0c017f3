//! In which order a queue gives its items.

use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What a comparison of the user's panicked with.
pub(crate) type Payload = Box<dyn Any + Send>;

/// The order of a [`Queue`](crate::Queue): [`Fifo`], [`Lifo`] or [`Priority`].
pub trait Order<T>: sealed::Order<T> {}

/// First in, first out.
#[derive(Clone, Copy, Debug)]
pub struct Fifo;

/// Last in, first out.
#[derive(Clone, Copy, Debug)]
pub struct Lifo;

/// The smallest first; equal ones in no particular order.
#[derive(Clone, Copy, Debug)]
pub struct Priority;

impl<T> Order<T> for Fifo {}
impl<T> Order<T> for Lifo {}
impl<T: Ord> Order<T> for Priority {}

pub(crate) mod sealed {
    use std::collections::VecDeque;

    use super::Payload;

    pub trait Order<T> {
        /// Holds the items.
        type Items: Default;

        /// Items come out as they went in: those that come later make no difference to which is next.
        const IN_ORDER: bool;

        fn len(items: &Self::Items) -> usize;

        /// Adds items in the order in which they came. If comparing them panics, some are left where they were.
        fn absorb(items: &mut Self::Items, coming: &mut VecDeque<T>) -> Result<(), Payload>;

        /// Takes the next item; none if comparing panicked, and then all are in there.
        fn pop(items: &mut Self::Items) -> Result<Option<T>, Payload>;
    }
}

impl<T> sealed::Order<T> for Fifo {
    type Items = VecDeque<T>;

    const IN_ORDER: bool = true;

    #[inline]
    fn len(items: &VecDeque<T>) -> usize {
        items.len()
    }

    #[inline]
    fn absorb(items: &mut VecDeque<T>, coming: &mut VecDeque<T>) -> Result<(), Payload> {
        debug_assert!(items.is_empty());
        std::mem::swap(items, coming);
        Ok(())
    }

    #[inline]
    fn pop(items: &mut VecDeque<T>) -> Result<Option<T>, Payload> {
        Ok(items.pop_front())
    }
}

impl<T> sealed::Order<T> for Lifo {
    type Items = Vec<T>;

    const IN_ORDER: bool = false;

    fn len(items: &Vec<T>) -> usize {
        items.len()
    }

    fn absorb(items: &mut Vec<T>, coming: &mut VecDeque<T>) -> Result<(), Payload> {
        items.extend(coming.drain(..));
        Ok(())
    }

    fn pop(items: &mut Vec<T>) -> Result<Option<T>, Payload> {
        Ok(items.pop())
    }
}

impl<T: Ord> sealed::Order<T> for Priority {
    type Items = Heap<T>;

    const IN_ORDER: bool = false;

    fn len(items: &Heap<T>) -> usize {
        items.0.len()
    }

    fn absorb(items: &mut Heap<T>, coming: &mut VecDeque<T>) -> Result<(), Payload> {
        while let Some(item) = coming.pop_front() {
            items.0.push(item);
            catch_unwind(AssertUnwindSafe(|| items.sift_up()))?;
        }
        Ok(())
    }

    fn pop(items: &mut Heap<T>) -> Result<Option<T>, Payload> {
        catch_unwind(AssertUnwindSafe(|| items.sift_down()))?;
        Ok(items.0.pop())
    }
}

/// A binary heap, smallest first, that keeps all its items in place while it compares: std's holds one in a local
/// variable, and drops it if a comparison panics.
pub struct Heap<T>(Vec<T>);

impl<T> Default for Heap<T> {
    fn default() -> Heap<T> {
        Heap(Vec::new())
    }
}

impl<T: Ord> Heap<T> {
    /// Moves the last item to its place.
    fn sift_up(&mut self) {
        let items = &mut self.0;
        let mut at = items.len() - 1;
        while at > 0 && items[at] < items[(at - 1) / 2] {
            items.swap(at, (at - 1) / 2);
            at = (at - 1) / 2;
        }
    }

    /// Makes the first item the last, and a heap of the others.
    fn sift_down(&mut self) {
        let Some(last) = self.0.len().checked_sub(1) else { return };
        self.0.swap(0, last);
        let items = &mut self.0[..last];
        let mut at = 0;
        while let Some(mut child) = Some(2 * at + 1).filter(|child| *child < last) {
            if child + 1 < last && items[child + 1] < items[child] {
                child += 1;
            }
            if items[at] <= items[child] {
                return;
            }
            items.swap(at, child);
            at = child;
        }
    }
}

#[cfg(all(test, not(kumihimo_loom)))]
mod tests {
    use super::sealed::Order;
    use super::*;

    #[test]
    fn a_heap_gives_the_smallest_first() {
        for count in 0..50_u64 {
            let mut heap = Heap::default();
            let items: Vec<u64> = (0..count).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59).collect();
            Priority::absorb(&mut heap, &mut items.iter().copied().collect()).unwrap();
            let popped: Vec<u64> = std::iter::from_fn(|| Priority::pop(&mut heap).unwrap()).collect();
            let mut sorted = items;
            sorted.sort();
            assert_eq!(popped, sorted);
        }
    }
}
