//! The way into a worker: code that the loader runs before `main`.
//!
//! A worker is this program, started once more with a variable in its environment. The hook looks at that variable
//! only; if it is absent, as always but in workers, nothing else happens. So nothing needs to be registered, and
//! `main` need not know: tests, benches, doctests and examples have the hook like any program.

use std::ffi::{CStr, c_char, c_int};
use std::hint::black_box;

use super::child::{self, Arguments};
use super::image;

/// Goes up whenever a pool and a worker of different versions would not understand each other.
pub(crate) const PROTOCOL: u8 = 1;

/// The variable that makes a process a worker.
pub(super) const VARIABLE: &CStr = c"KUMIHIMO_PROCESS_POOL";

/// What a re-executed program is to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Serves the calls that come over its standard input.
    Worker,
    /// Forks workers on request.
    Zygote,
}

impl Role {
    /// What the variable holds: the role, and the `PROTOCOL`.
    pub(super) const fn value(self) -> &'static CStr {
        match self {
            Role::Worker => c"worker 1",
            Role::Zygote => c"zygote 1",
        }
    }

    /// The role that the variable's value stands for.
    pub(super) fn of(value: &CStr) -> Option<Role> {
        [Role::Worker, Role::Zygote].into_iter().find(|role| role.value() == value)
    }
}

/// The loader calls what it finds in this section. Without a priority in its name, so that it comes after the
/// standard library's own entry, which keeps the arguments.
#[used]
#[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
#[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
static HOOK: Entry = early;

/// What such a section consists of. The arguments are there with glibc and Apple's loader, elsewhere they are garbage.
pub(super) type Entry = extern "C" fn(c_int, *const *const c_char, *const *const c_char);

/// Must be called by the code that starts workers: a reference from there is what makes the linker take the hook in.
///
/// Says whether the hook is in the main program: in a shared library it would not run in workers.
pub(super) fn keep() -> bool {
    image::contains(entry())
}

/// The hook's address.
pub(super) fn entry() -> usize {
    // By way of the static: its value alone the compiler could know without it.
    *black_box(&HOOK) as usize
}

extern "C" fn early(count: c_int, arguments: *const *const c_char, environment: *const *const c_char) {
    // SAFETY: a C string; the loader runs these functions on one thread, so nobody changes the environment meanwhile.
    let value = unsafe { libc::getenv(VARIABLE.as_ptr()) };
    // A shared library that the program is linked to may have such a hook too. It comes first, but the pool is the main
    // program's, as `keep` sees to.
    if value.is_null() || !keep() {
        return;
    }
    // SAFETY: `getenv` returned a C string, and nobody changes it while it is compared.
    let role = Role::of(unsafe { CStr::from_ptr(value) });
    child::main(role, early, Arguments { count, arguments, environment })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_for_roles_and_name_the_protocol() {
        for role in [Role::Worker, Role::Zygote] {
            assert_eq!(Role::of(role.value()), Some(role));
            assert!(role.value().to_str().unwrap().ends_with(&format!(" {PROTOCOL}")));
        }
        assert_eq!(Role::of(c"worker"), None);
        assert!(keep());
    }
}
