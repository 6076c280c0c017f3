//! The constructors that the loader would have run after our hook.
//!
//! C++ objects with static lifetime, and the crates that collect things before `main`, have entries in the same
//! section as our hook. A worker never returns to the loader, so it runs them itself: a function that is called here
//! must find its program as it does in the pool's process.

use super::Arguments;
use crate::process::hook::Entry;

/// Runs the main program's constructors that come after `hook`.
#[cfg(all(target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
pub(super) fn run_after(hook: Entry, arguments: Arguments) {
    for entry in after(elf::init_array(), hook as usize) {
        // SAFETY: the linker has put constructors there and nothing else, and the loader has relocated them. It has
        // called our own entry, so it would call these, in this order, with the same arguments.
        let constructor = unsafe { std::mem::transmute::<usize, Entry>(entry) };
        constructor(arguments.count, arguments.arguments, arguments.environment);
    }
}

/// The entries behind `own`. The linker may leave gaps.
#[cfg(all(target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
fn after(entries: &[usize], own: usize) -> impl Iterator<Item = usize> {
    let behind = entries.iter().copied().skip_while(move |&entry| entry != own).skip(1);
    behind.filter(|&entry| entry != 0 && entry != usize::MAX)
}

/// Where it is not known how to find them, the constructors before the hook have to do.
#[cfg(not(all(target_os = "linux", any(target_env = "gnu", target_env = "musl"))))]
pub(super) fn run_after(_: Entry, _: Arguments) {}

#[cfg(all(target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
mod elf {
    use std::ffi::{c_int, c_void};
    use std::slice;

    /// An entry of the dynamic section.
    #[repr(C)]
    struct Dynamic {
        tag: usize,
        value: usize,
    }

    /// The tags that we look for (`DT_NULL`, `DT_INIT_ARRAY`, `DT_INIT_ARRAYSZ`).
    const END: usize = 0;
    const INIT_ARRAY: usize = 25;
    const INIT_ARRAY_SIZE: usize = 27;

    /// The main program's constructors; none if it has no dynamic section, as programs that can't be moved.
    pub(super) fn init_array() -> &'static [usize] {
        let mut found: &'static [usize] = &[];
        // SAFETY: `find` has the type that is asked for, gets `found` back, and does not unwind.
        unsafe { libc::dl_iterate_phdr(Some(find), (&raw mut found).cast()) };
        found
    }

    /// Called with the first object, which is the main program, and by returning 1 with no other.
    unsafe extern "C" fn find(info: *mut libc::dl_phdr_info, _: usize, found: *mut c_void) -> c_int {
        // SAFETY: the linker's description is valid during the call; `found` is the caller's, which nobody else uses
        // meanwhile.
        let (info, found) = unsafe { (&*info, &mut *found.cast::<&'static [usize]>()) };
        // SAFETY: that is what the two fields say.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let base = info.dlpi_addr as usize;
        if let Some(header) = headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC) {
            // SAFETY: the header says where the dynamic section is.
            *found =
                unsafe { in_section(base, base.wrapping_add(header.p_vaddr as usize) as *const Dynamic) };
        }
        1
    }

    /// The constructors that a dynamic section tells of.
    ///
    /// # Safety
    ///
    /// `entry` is the first entry of the section of a program that is loaded at `base`, for good.
    unsafe fn in_section(base: usize, mut entry: *const Dynamic) -> &'static [usize] {
        let (mut array, mut size) = (None, 0);
        loop {
            // SAFETY: not beyond the entry that is the last.
            let Dynamic { tag, value } = unsafe { entry.read() };
            match tag {
                END => break,
                INIT_ARRAY => array = Some(base.wrapping_add(value) as *const usize),
                INIT_ARRAY_SIZE => size = value / size_of::<usize>(),
                _ => {}
            }
            // SAFETY: this was not the last one.
            entry = unsafe { entry.add(1) };
        }
        // SAFETY: so the section says; nobody writes there after the program has been relocated.
        array.map_or(&[], |array| unsafe { slice::from_raw_parts(array, size) })
    }
}

#[cfg(all(test, target_os = "linux", any(target_env = "gnu", target_env = "musl")))]
mod tests {
    use std::ffi::{c_char, c_int};
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::process::hook;

    static CALLED: AtomicUsize = AtomicUsize::new(0);

    #[used]
    #[unsafe(link_section = ".init_array")]
    static CONSTRUCTOR: Entry = construct;

    extern "C" fn construct(count: c_int, _: *const *const c_char, _: *const *const c_char) {
        CALLED.fetch_add(count as usize, Ordering::SeqCst);
    }

    #[test]
    fn the_programs_constructors_are_found() {
        assert!(hook::keep());
        let entries = elf::init_array();
        assert!(entries.contains(&(construct as *const () as usize)));
        assert!(entries.contains(&hook::entry()));
        assert!(CALLED.load(Ordering::SeqCst) > 0, "the loader has called it");
    }

    #[test]
    fn what_comes_after_the_hook() {
        let all = |own| after(&[7, 8, 0, usize::MAX, 9, 10], own).collect::<Vec<_>>();
        assert_eq!(all(7), [8, 9, 10]);
        assert_eq!(all(9), [10]);
        assert!(all(10).is_empty() && all(11).is_empty());
    }
}
