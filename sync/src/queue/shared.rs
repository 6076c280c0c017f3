//! What the handles of a queue share: the items, and those who wait, under one mutex.

use std::panic::resume_unwind;
use std::task::Waker;

use super::errors::{GetError, PutError, QueueEmpty, QueueFull, QueueShutDown, TooManyDone};
use super::order::Order;
use crate::crowd::{Crowded, Telling};
use crate::sync::{Mutex, MutexGuard};
use crate::waiters::Waiters;

pub(crate) struct Shared<T, O: Order<T>> {
    /// So many items fit; zero if there is no limit.
    pub(crate) maxsize: usize,
    pub(crate) state: Mutex<State<T, O>>,
}

pub(crate) struct State<T, O: Order<T>> {
    items: O::Items,
    /// Those who wait for an item. Who is woken looks again, and may find that another was faster.
    pub(crate) getters: Waiters,
    /// Those who wait for room.
    pub(crate) putters: Waiters,
    /// Those who wait for all items to be done.
    pub(crate) joiners: Waiters,
    /// Items that were put and not marked as done.
    unfinished: usize,
    shut_down: bool,
}

// SAFETY: items are handed from thread to thread, and never shared. (`O::Items` holds nothing but items.)
unsafe impl<T: Send, O: Order<T>> Send for State<T, O> {}

impl<T, O: Order<T>> Shared<T, O> {
    pub(crate) fn new(maxsize: usize) -> Shared<T, O> {
        let state = State {
            items: O::Items::default(),
            getters: Waiters::new(),
            putters: Waiters::new(),
            joiners: Waiters::new(),
            unfinished: 0,
            shut_down: false,
        };
        Shared { maxsize, state: Mutex::new(state) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State<T, O>> {
        self.state.lock()
    }

    /// Adds an item to a queue that has room, and wakes who waits for one.
    pub(crate) fn put(&self, mut state: MutexGuard<'_, State<T, O>>, item: T) {
        let pushed = O::push(&mut state.items, item);
        state.unfinished += 1;
        let waker = state.next_getter();
        drop(state);
        wake(waker);
        if let Err(payload) = pushed {
            resume_unwind(payload);
        }
    }

    /// Takes an item, if there is one, and wakes who waits for room.
    pub(crate) fn take(&self, mut state: MutexGuard<'_, State<T, O>>) -> Option<T> {
        let item = match O::pop(&mut state.items) {
            Ok(item) => item?,
            Err(payload) => {
                // The item is there still, for another.
                let waker = state.next_getter();
                drop(state);
                wake(waker);
                resume_unwind(payload);
            }
        };
        let waker = state.next_putter();
        drop(state);
        wake(waker);
        Some(item)
    }

    pub(crate) fn put_nowait(&self, item: T) -> Result<(), PutError<T>> {
        let state = self.lock();
        if state.shut_down {
            return Err(PutError::ShutDown(QueueShutDown, item));
        }
        if state.is_full(self.maxsize) {
            return Err(PutError::Full(QueueFull(item)));
        }
        self.put(state, item);
        Ok(())
    }

    pub(crate) fn get_nowait(&self) -> Result<T, GetError> {
        let state = self.lock();
        let shut_down = state.shut_down;
        self.take(state).ok_or(match shut_down {
            true => GetError::ShutDown(QueueShutDown),
            false => GetError::Empty(QueueEmpty),
        })
    }

    pub(crate) fn task_done(&self) -> Result<(), TooManyDone> {
        let mut state = self.lock();
        state.unfinished = state.unfinished.checked_sub(1).ok_or(TooManyDone(()))?;
        if state.unfinished == 0 {
            state.joiners.release_all();
            Telling::new(self).turn(Some(state));
        }
        Ok(())
    }

    pub(crate) fn shut_down(&self, immediate: bool) {
        let mut state = self.lock();
        state.shut_down = true;
        let items = immediate.then(|| std::mem::take(&mut state.items));
        if let Some(items) = &items {
            // Somebody may have marked more as done than were fetched.
            state.unfinished = state.unfinished.saturating_sub(O::len(items));
            if state.unfinished == 0 {
                state.joiners.release_all();
            }
        }
        state.getters.release_all();
        state.putters.release_all();
        Telling::new(self).turn(Some(state));
        // Their destructors are the user's: without the lock.
        drop(items);
    }
}

impl<T, O: Order<T>> State<T, O> {
    pub(crate) fn len(&self) -> usize {
        O::len(&self.items)
    }

    pub(crate) fn is_full(&self, maxsize: usize) -> bool {
        maxsize > 0 && self.len() >= maxsize
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished
    }

    pub(crate) fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    /// Chooses who waits for an item next; the caller wakes it, without the lock.
    #[must_use]
    pub(crate) fn next_getter(&mut self) -> Option<Waker> {
        next(&mut self.getters, self.shut_down)
    }

    /// Chooses who waits for room next; the caller wakes it, without the lock.
    #[must_use]
    pub(crate) fn next_putter(&mut self) -> Option<Waker> {
        next(&mut self.putters, self.shut_down)
    }
}

fn next(waiters: &mut Waiters, shut_down: bool) -> Option<Waker> {
    // A shut-down has released everybody, and nobody comes after it.
    if shut_down || waiters.is_empty() { None } else { Some(waiters.pick_next()?.choose()) }
}

pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl<T, O: Order<T>> Crowded for &Shared<T, O> {
    type State = State<T, O>;

    fn state(&self) -> &Mutex<State<T, O>> {
        &self.state
    }

    fn released(state: &mut State<T, O>) -> Option<&mut Waiters> {
        [&mut state.joiners, &mut state.getters, &mut state.putters]
            .into_iter()
            .find(|list| list.has_released())
    }
}
