//! What a rule has to say against the tree.

/// Complaints of one rule, all shown at the end, so that one run tells everything.
#[derive(Default)]
pub(super) struct Complaints(Vec<String>);

impl Complaints {
    /// Complains unless `fine`.
    pub(super) fn unless(&mut self, fine: bool, complaint: impl FnOnce() -> String) {
        if !fine {
            self.0.push(complaint());
        }
    }
}

impl Drop for Complaints {
    fn drop(&mut self) {
        assert!(self.0.is_empty() || std::thread::panicking(), "\n{}\n", self.0.join("\n"));
    }
}
