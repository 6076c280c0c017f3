//! Without `--cfg kumihimo_loom` there are no models, and nothing of them is left in the code.

/// What is ready, in a model.
pub(crate) enum Queue {}

impl Queue {
    pub(crate) fn push(&self, _task: crate::task::header::TaskRef) {
        match *self {}
    }

    pub(crate) fn rouse(&self) {
        match *self {}
    }
}

/// What happened in a model.
pub(crate) mod trace {
    use kumihimo_context::WaitWord;

    use crate::task::header::{Header, TaskRef};
    use crate::task::state::Ended;

    #[inline(always)]
    pub(crate) fn created(_task: TaskRef) {}

    #[inline(always)]
    pub(crate) fn named(_task: &Header, _name: &str) {}

    #[inline(always)]
    pub(crate) fn suspended(_task: &Header, _wait: WaitWord) {}

    #[inline(always)]
    pub(crate) fn may_have_ended(_task: TaskRef) -> bool {
        true
    }

    #[inline(always)]
    pub(crate) fn ended(_task: &Header, _ended: Ended) {}
}
