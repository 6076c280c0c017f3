//! How many descriptors this process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::terminal::complain;

/// Descriptors that are not connections or their files: the listener, the runtime's, standard ones, folders.
const BESIDES: u64 = 64;

/// Raises the limit as far as `connections` need it and the system allows. Returns how many connections it suffices for.
pub(crate) fn raise_for(connections: usize) -> usize {
    // A connection, and the file it sends.
    let wanted = 2 * connections as u64 + BESIDES;
    let limit = getrlimit(Resource::Nofile);
    let mut have = limit.current.unwrap_or(u64::MAX);
    if have < wanted {
        let raised = limit.maximum.map_or(wanted, |most| wanted.min(most));
        if setrlimit(Resource::Nofile, Rlimit { current: Some(raised), ..limit }).is_ok() {
            have = raised;
        }
    }
    if have >= wanted {
        return connections;
    }
    let enough_for = (have.saturating_sub(BESIDES) / 2).max(1) as usize;
    complain(format_args!(
        "the limit on open files is {have} and can't be raised to {wanted} (see ulimit -n): \
         at most {enough_for} connections at once, not {connections}"
    ));
    enough_for
}
