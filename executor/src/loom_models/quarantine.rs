//! Makes a use after free fail: freed memory is overwritten, and kept from being used again for a while.
//!
//! loom's atomics hold an index into the model's objects, so using a freed one panics at once.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: Quarantine = Quarantine;

/// The system's allocator, with a quarantine.
struct Quarantine;

/// The last blocks that were freed, oldest first.
struct Ring {
    blocks: [(usize, Layout); BLOCKS],
    next: usize,
}

const BLOCKS: usize = 1024;
const LARGEST: usize = 65_536;

static RING: Mutex<Ring> = Mutex::new(Ring { blocks: [(0, Layout::new::<()>()); BLOCKS], next: 0 });

// SAFETY: memory comes from the system's allocator and goes back there once.
unsafe impl GlobalAlloc for Quarantine {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let (mut block, mut layout) = (block, layout);
        if layout.size() <= LARGEST
            && let Ok(mut ring) = RING.lock()
        {
            // SAFETY: the block is of this size, and nobody's any more.
            unsafe { block.write_bytes(0xdd, layout.size()) };
            let next = ring.next;
            ring.next = (next + 1) % BLOCKS;
            let oldest = std::mem::replace(&mut ring.blocks[next], (block.expose_provenance(), layout));
            (block, layout) = (std::ptr::with_exposed_provenance_mut(oldest.0), oldest.1);
        }
        if !block.is_null() {
            // SAFETY: it was allocated with this layout, and is freed once.
            unsafe { System.dealloc(block, layout) };
        }
    }
}
