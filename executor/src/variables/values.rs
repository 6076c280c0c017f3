//! What a context contains.

use std::any::Any;
use std::sync::Arc;

/// A variable's number: unique in the process, never zero.
pub(super) type Id = usize;

/// A variable's value; counted, so that it can leave a lock before it is cloned or dropped.
pub(super) type Value = Arc<dyn Any + Send + Sync>;

/// Values of variables. There are few, so a sorted list is the fastest map, and the smallest to copy.
#[derive(Clone, Default)]
pub(super) struct Values(Vec<(Id, Value)>);

impl Values {
    pub(super) fn get(&self, id: Id) -> Option<&Value> {
        self.find(id).ok().map(|at| &self.0[at].1)
    }

    /// Sets a value, or takes it out; gives the one before.
    pub(super) fn replace(&mut self, id: Id, value: Option<Value>) -> Option<Value> {
        match (self.find(id), value) {
            (Ok(at), Some(value)) => Some(std::mem::replace(&mut self.0[at].1, value)),
            (Ok(at), None) => Some(self.0.remove(at).1),
            (Err(at), Some(value)) => {
                self.0.insert(at, (id, value));
                None
            }
            (Err(_), None) => None,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, id: Id) -> Result<usize, usize> {
        self.0.binary_search_by_key(&id, |entry| entry.0)
    }
}
