//! In which order a queue gives its items.

use std::any::Any;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
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
    use super::Payload;

    pub trait Order<T> {
        /// Holds the items.
        type Items: Default;

        fn len(items: &Self::Items) -> usize;

        /// Adds an item; it is in there even if comparing it panicked.
        fn push(items: &mut Self::Items, item: T) -> Result<(), Payload>;

        /// Takes the next item. It is lost if comparing those that are left panics.
        fn pop(items: &mut Self::Items) -> Result<Option<T>, Payload>;
    }
}

impl<T> sealed::Order<T> for Fifo {
    type Items = VecDeque<T>;

    #[inline]
    fn len(items: &VecDeque<T>) -> usize {
        items.len()
    }

    #[inline]
    fn push(items: &mut VecDeque<T>, item: T) -> Result<(), Payload> {
        items.push_back(item);
        Ok(())
    }

    #[inline]
    fn pop(items: &mut VecDeque<T>) -> Result<Option<T>, Payload> {
        Ok(items.pop_front())
    }
}

impl<T> sealed::Order<T> for Lifo {
    type Items = Vec<T>;

    fn len(items: &Vec<T>) -> usize {
        items.len()
    }

    fn push(items: &mut Vec<T>, item: T) -> Result<(), Payload> {
        items.push(item);
        Ok(())
    }

    fn pop(items: &mut Vec<T>) -> Result<Option<T>, Payload> {
        Ok(items.pop())
    }
}

impl<T: Ord> sealed::Order<T> for Priority {
    type Items = BinaryHeap<Reverse<T>>;

    fn len(items: &BinaryHeap<Reverse<T>>) -> usize {
        items.len()
    }

    fn push(items: &mut BinaryHeap<Reverse<T>>, item: T) -> Result<(), Payload> {
        // A heap whose comparison panicked is in some order, and sound.
        catch_unwind(AssertUnwindSafe(|| items.push(Reverse(item))))
    }

    fn pop(items: &mut BinaryHeap<Reverse<T>>) -> Result<Option<T>, Payload> {
        let popped = catch_unwind(AssertUnwindSafe(|| items.pop()))?;
        Ok(popped.map(|Reverse(item)| item))
    }
}
