//! What catches a fault.

use std::fmt;

/// Programs that are made for a seed. Few are run: the first disagreement ends the test.
const PROGRAMS: &str = "2000";

/// A test that fails when the fault is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Catcher {
    /// A program whose trace is compared with CPython's, `tests/conformance/NAME.rs`.
    Scenario(&'static str),
    /// Random programs of this seed, compared with the model of asyncio's rules.
    Random(u64),
    /// A test of the facade, `FILE::NAME`.
    Test(&'static str),
}

impl Catcher {
    /// The test program, and the test in it.
    pub(crate) fn place(&self) -> (&'static str, &'static str) {
        match *self {
            Catcher::Scenario(name) => ("conformance", name),
            Catcher::Random(_) => ("differential", "kumihimo_agrees_with_the_model"),
            Catcher::Test(path) => path.split_once("::").expect("a file and a test"),
        }
    }

    /// What the test program finds in its environment.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        match *self {
            Catcher::Random(seed) => {
                vec![("KUMIHIMO_FUZZ_SEED", seed.to_string()), ("KUMIHIMO_FUZZ_PROGRAMS", PROGRAMS.into())]
            }
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Catcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Catcher::Scenario(name) => f.write_str(name),
            Catcher::Random(seed) => write!(f, "random programs, seed {seed}"),
            Catcher::Test(path) => f.write_str(path),
        }
    }
}
