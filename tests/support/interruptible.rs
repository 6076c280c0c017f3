//! Programs that Ctrl-C reaches, however the tests are run.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Has the program begin with SIGINT as it is by default: who runs the tests may have ignored it, which is inherited.
pub(crate) fn interruptible(program: &mut Command) {
    // SAFETY: `signal` is async-signal-safe.
    unsafe {
        program.pre_exec(|| {
            libc::signal(libc::SIGINT, libc::SIG_DFL);
            Ok(())
        })
    };
}
