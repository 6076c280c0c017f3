//! The memory of tasks, in a model: counted here rather than by loom, which can't take the leaks of a failed execution.

use std::alloc::{self, Layout};
use std::cell::Cell;

thread_local! {
    /// Blocks of this execution; `None` outside of models, where loom counts.
    static BLOCKS: Cell<Option<usize>> = const { Cell::new(None) };
}

/// An execution begins. Gives the blocks that the one before has leaked.
pub fn rewind() -> usize {
    BLOCKS.replace(Some(0)).unwrap_or(0)
}

/// There are no more executions. Gives the blocks that the last one has leaked.
pub fn end() -> usize {
    kumihimo_context::model::rewind();
    BLOCKS.take().unwrap_or(0)
}

/// # Safety
///
/// As for [`std::alloc::alloc`].
pub(crate) unsafe fn alloc(layout: Layout) -> *mut u8 {
    match BLOCKS.get() {
        Some(blocks) => {
            BLOCKS.set(Some(blocks + 1));
            // SAFETY: as the caller says.
            unsafe { alloc::alloc(layout) }
        }
        // SAFETY: as the caller says.
        None => unsafe { loom::alloc::alloc(layout) },
    }
}

/// # Safety
///
/// As for [`std::alloc::dealloc`]; the block came from [`alloc`], in the same execution.
pub(crate) unsafe fn dealloc(block: *mut u8, layout: Layout) {
    match BLOCKS.get() {
        Some(blocks) => {
            BLOCKS.set(Some(blocks - 1));
            // SAFETY: as the caller says.
            unsafe { alloc::dealloc(block, layout) }
        }
        // SAFETY: as the caller says.
        None => unsafe { loom::alloc::dealloc(block, layout) },
    }
}
