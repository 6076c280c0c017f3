//! The faults, and the tests that catch them.

use crate::catcher::Catcher::{self, Random, Scenario, Test};

/// One mistake.
pub(crate) struct Fault {
    /// What is wrong.
    pub(crate) name: &'static str,
    /// Where.
    pub(crate) file: &'static str,
    /// What stands there, once.
    pub(crate) right: &'static str,
    /// What is put in its place. `FAULT` in it says whether the fault is switched on.
    wrong: &'static str,
    /// The test that must fail.
    pub(crate) catcher: Catcher,
    /// It fails by going on for ever.
    pub(crate) hangs: bool,
}

impl Fault {
    /// What is put in its place, with the switch.
    pub(crate) fn text(&self) -> String {
        let switch = format!("(cfg!(kumihimo_fault) && kumihimo_context::fault_is_on({:?}))", self.name);
        self.wrong.replace("FAULT", &switch)
    }
}

const POLL_CONTEXT: &str = "context/src/poll_context.rs";
const FORWARD: &str = "context/src/forward.rs";
const LEAF: &str = "context/src/leaf.rs";
const SCOPE: &str = "context/src/scope.rs";
const CANCEL: &str = "executor/src/task/cancel.rs";
const HANDLE: &str = "executor/src/task/handle.rs";
const HARNESS: &str = "executor/src/task/harness.rs";
const JOIN: &str = "executor/src/task/join.rs";
const PROMISE: &str = "executor/src/task/promise.rs";
const FAILURE: &str = "executor/src/task/failure.rs";
const REPORT: &str = "executor/src/task/report.rs";
const STATE: &str = "executor/src/task/state.rs";
const WAITERS: &str = "executor/src/task/waiters.rs";
const CALL: &str = "executor/src/scheduler/call.rs";
const PASS: &str = "executor/src/scheduler/pass.rs";
const SCHEDULER: &str = "executor/src/scheduler/mod.rs";
const STRAND: &str = "executor/src/scheduler/strand.rs";
const CONTEXT: &str = "executor/src/variables/context.rs";
const VAR: &str = "executor/src/variables/var.rs";
const AS_COMPLETED: &str = "combinators/src/as_completed.rs";
const CHILDREN: &str = "combinators/src/children.rs";
const FINALLY: &str = "combinators/src/finally.rs";
const GATHER: &str = "combinators/src/gather.rs";
const GROUP: &str = "combinators/src/task_group.rs";
const MEMBERS: &str = "combinators/src/group_members.rs";
const PART: &str = "combinators/src/part.rs";
const SHIELD: &str = "combinators/src/shield.rs";
const SHIELDED: &str = "executor/src/task/shielded.rs";
const TIMEOUT: &str = "combinators/src/timeout.rs";
const WAIT: &str = "combinators/src/wait.rs";
const WAITABLE: &str = "combinators/src/waitable.rs";
const WAIT_FOR: &str = "combinators/src/wait_for.rs";
const PERMITS: &str = "sync/src/permits.rs";
const QUEUED: &str = "sync/src/waiters.rs";
const CROWD: &str = "sync/src/crowd.rs";
const SEMAPHORE: &str = "sync/src/semaphore.rs";
const EVENT: &str = "sync/src/event.rs";
const CONDITION: &str = "sync/src/condition.rs";
const BARRIER: &str = "sync/src/barrier.rs";
const QUEUE: &str = "sync/src/queue/shared.rs";
const QUEUE_ORDER: &str = "sync/src/queue/order.rs";
const QUEUE_WAITS: &str = "sync/src/queue/waits.rs";
const RUNNER: &str = "src/runner.rs";

macro_rules! faults {
    ($($name:literal $file:ident $catcher:ident($by:literal) $($hangs:ident)?: $right:literal => $wrong:literal;)*) => {
        &[$(Fault {
            name: $name,
            file: $file,
            right: $right,
            wrong: $wrong,
            catcher: $catcher($by),
            hangs: !stringify!($($hangs)?).is_empty(),
        }),*]
    };
}

/// All of them.
pub(crate) const FAULTS: &[Fault] = faults! {
    // Requests, and how they travel.
    "task cancelled before it began runs its body" STATE Scenario("s031_cancel_before_start"):
        "_ if s & STARTED == 0 => Step::DropUnpolled," => "_ if s & STARTED == 0 && !FAULT => Step::DropUnpolled,";
    "request is delivered twice" STATE Scenario("s034_cancel_caught_then_continues"):
        "!(SCHEDULED | PENDING | COMMITTED | IO_WOKEN | PASSED_ON) | RUNNING" =>
        "!(SCHEDULED | PENDING | if FAULT { 0 } else { COMMITTED } | IO_WOKEN | PASSED_ON) | RUNNING";
    "request to itself in the last step is forgotten" STATE Scenario("s041_cancel_self"):
        "if ended == Ended::Value && s & (PENDING | COMMITTED) != 0 {" =>
        "if ended == Ended::Value && s & (PENDING | COMMITTED) != 0 && !FAULT {";
    "request during a step is not passed on along the link" STATE Random(1):
        "} else if linked {" => "} else if linked && !FAULT {";
    "uncancel takes back a request that is on its way" STATE Scenario("s043_uncancel_before_delivery"):
        "self.0.fetch_and(!PENDING, Relaxed);" =>
        "self.0.fetch_and(!(PENDING | if FAULT { COMMITTED } else { 0 }), Relaxed);";
    "uncancel takes no request back" CANCEL Scenario("s043_uncancel_before_delivery"):
        "task.header().state.withdraw();" => "if !FAULT { task.header().state.withdraw(); }";
    "uncancel takes the request back though others are left" CANCEL Random(4):
        "if requests.count == 0 {" => "if requests.count == 0 || FAULT {";
    "last message wins while a request is on its way" CANCEL Test("cancellation::which_message_wins"):
        "Request::Already => requests.count += 1," =>
        "Request::Already => { requests.count += 1; if FAULT { requests.message = self.message.clone(); } }";
    "first message wins while the task is not suspended" CANCEL Scenario("s037_cancel_inside_finally"):
        "requests.message = self.message.clone();\n                requests.passed" =>
        "if requests.count == 1 || !FAULT { requests.message = self.message.clone(); }\n                requests.passed";
    "message is lost" HARNESS Scenario("s033_cancel_message"):
        "header.extras().requests.lock().message.clone()" =>
        "header.extras().requests.lock().message.clone().filter(|_| !FAULT)";
    "request that is passed on is not counted" CANCEL Scenario("s038_cancel_chain_inner_decides"):
        "requests.count += 1;\n        // For the case" => "requests.count += usize::from(!FAULT);\n        // For the case";
    "request of a time-out is not counted" CANCEL Scenario("s090_timeout_basic"):
        "requests.count += 1;\n    requests.of_parts" => "requests.count += usize::from(!FAULT);\n    requests.of_parts";
    "time-out strikes at once though what is awaited is at its end" CANCEL Test("timeouts::a_deadline_does_not_hurry_a_gather_that_is_about_to_end"):
        "Way::AtTheEnd => at_the_end = true," => "Way::AtTheEnd => at_the_end = !FAULT,";
    "later request's message replaces a time-out's" PART Test("timeouts::of_a_deadline_and_a_request_from_outside_the_first_has_the_say"):
        "if delivering() && on_its_way {" => "if delivering() && on_its_way && !FAULT {";
    "request of a time-out that was taken back is delivered" CANCEL Test("timeouts::a_deadline_that_was_taken_back_before_the_next_step_does_not_strike"):
        "due.withdrawable.is_none_or(|before| before == zeroed)" =>
        "due.withdrawable.is_none_or(|before| before == zeroed || FAULT)";
    "link is followed though somebody else awaits the task by now" CANCEL Test("regressions::an_awaiter_can_be_cancelled_while_the_end_is_being_told"):
        "Link::Task(target) => target.header().waiters.include(this)," =>
        "Link::Task(target) => FAULT || target.header().waiters.include(this),";
    "link is followed though the gather was moved away" CANCEL Test("cancellation::a_gather_that_was_given_away_is_not_cancelled_with_who_awaited_it"):
        "Link::Object(target) => unsafe { &*target }.wakes(this)," =>
        "Link::Object(target) => FAULT || unsafe { &*target }.wakes(this),";
    "links are not followed" CANCEL Scenario("s048_cancel_ticks"):
        "if !runs_here_with_links(header.runtime) || !header.state.is_suspended() {" =>
        "if FAULT || !runs_here_with_links(header.runtime) || !header.state.is_suspended() {";
    "request goes round for ever" CANCEL Test("extremes::two_tasks_that_await_each_other_can_be_cancelled") hangs:
        "if self.passed >= MAX_PASSED {" => "if self.passed >= MAX_PASSED && !FAULT {";
    "second request replaces the cancellation of an awaited task" JOIN Random(1):
        "if context::delivering() {\n            Join::absorb(task);" =>
        "if context::delivering() && !FAULT {\n            Join::absorb(task);";
    "outcome takes its own request for somebody else's" JOIN Test("cancellation::outcome_tells_whose_request_it_was"):
        "Failure::Cancelled(message) if self.forward.settle() => {" =>
        "Failure::Cancelled(message) if self.forward.settle() && !FAULT => {";
    "request that is passed on also hits the awaiter" FORWARD Scenario("s038_cancel_chain_inner_decides"):
        "poll_context::set_flags(flags & !DELIVERING);\n        self.owes" =>
        "poll_context::set_flags(flags & if FAULT { !0 } else { !DELIVERING });\n        self.owes";
    "dropped forward does not give its request back" FORWARD Test("cancellation::select_does_not_eat_a_request"):
        "if owes && !current.is_null()" => "if owes && !FAULT && !current.is_null()";
    "forward does not know of a request along the link" FORWARD Test("regressions::an_own_request_is_raised_though_the_awaiter_was_woken_in_between"):
        "if poll_context::flags() & PASSED_ON != 0 {\n            self.owes" =>
        "if poll_context::flags() & PASSED_ON != 0 && !FAULT {\n            self.owes";
    "end of a forward forgets a request along the link" FORWARD Test("cancellation::outcome_tells_whose_request_it_was"):
        "owed || poll_context::flags() & PASSED_ON != 0" =>
        "owed || poll_context::flags() & PASSED_ON != 0 && !FAULT";
    "leaf takes its result instead of the cancellation" LEAF Random(1):
        "(self.waiting && poll_context::delivering())" => "(self.waiting && !FAULT && poll_context::delivering())";
    "leaf that is ready at once is cancelled" LEAF Test("cancellation::what_is_done_already_gives_its_value_while_a_request_is_delivered"):
        " || !poll_context::spend()" => " || FAULT && poll_context::delivering() || !poll_context::spend()";
    "scope catches what a sibling branch raises" SCOPE Test("cancellation::a_joined_branch_that_raises_takes_its_siblings_along") hangs:
        "if flags & RAISING == 0 {\n            return Mask" =>
        "if flags & RAISING == 0 || FAULT {\n            return Mask";
    "caught delivery goes on to the scope around" SCOPE Scenario("s034_cancel_caught_then_continues"):
        "flags & !(DELIVERING | RAISING | OWED | AGAIN) | self.again" =>
        "flags & !(if FAULT { 0 } else { DELIVERING } | RAISING | OWED | AGAIN) | self.again";
    "time-out's delivery that nobody took hits its task" SCOPE Test("timeouts::a_block_that_ends_as_the_deadline_strikes_leaves_nothing_behind"):
        "if self.0 {\n                poll_context::set_flags(" => "if self.0 && !FAULT {\n                poll_context::set_flags(";
    "request comes back from what a scope drops" SCOPE Test("timeouts::one_that_is_dropped_while_it_cancels_owes_nothing"):
        "poll_context::set_flags(poll_context::flags() | DISCARDING);" =>
        "poll_context::set_flags(poll_context::flags() | if FAULT { 0 } else { DISCARDING });";
    "value beats a request that was not delivered" POLL_CONTEXT Test("regressions::a_request_that_comes_back_in_the_last_poll_is_delivered"):
        "flags() & (DELIVERING | REARMED) != 0" => "flags() & (DELIVERING | REARMED) != 0 && !FAULT";
    "clean-up is skipped when the work is cancelled" FINALLY Scenario("s037_cancel_inside_finally"):
        "if !matches!(this.result, Some(Came::Raising(_))) {" =>
        "if !matches!(this.result, Some(Came::Raising(_))) && !(FAULT && matches!(this.result, Some(Came::Cancelled(_)))) {";

    // Passes, hops and callbacks.
    "pass runs what becomes ready in it" PASS Random(1):
        "let ready = self.ready.borrow().len();" =>
        "let ready = if FAULT { usize::MAX } else { self.ready.borrow().len() };";
    "newest ready task goes first" PASS Scenario("s011_task_start_order_ticks"):
        "let next = self.ready.borrow_mut().pop_front();" =>
        "let mut ready = self.ready.borrow_mut(); let next = if FAULT { ready.pop_back() } else { ready.pop_front() }; drop(ready);";
    "combinators are told a pass too early" WAITERS Scenario("s069_gather_ticks"):
        "Flavor::CurrentThread => runtime.call_soon(Call::Tell(observer, index, with_value))," =>
        "Flavor::CurrentThread if FAULT => quietly(|| observer.ended(index, with_value)),
        Flavor::CurrentThread => runtime.call_soon(Call::Tell(observer, index, with_value)),";
    "combinators are told a pass too late" CALL Scenario("s069_gather_ticks"):
        "Call::Tell(observer, index, with_value) => quietly(||" =>
        "Call::Tell(observer, index, with_value) if FAULT => { crate::scheduler::Scheduler::try_current().expect(\"it runs\")
            .call_soon(Box::new(move || observer.ended(index, with_value))) }
            Call::Tell(observer, index, with_value) => quietly(||";
    "shield resumes a pass too early" SHIELDED Scenario("s054_shield_ticks"):
        "|| scheduler::links_here()" => "|| scheduler::links_here() && !FAULT";
    "those who wait are told in reverse order" WAITERS Scenario("s014_task_done_callbacks"):
        "self.entries.into_iter().filter_map(|(_, waiter)| waiter)" =>
        "{ let mut entries = self.entries; if FAULT { entries.reverse(); } entries.into_iter().filter_map(|(_, waiter)| waiter) }";
    "callbacks run inside of what ends the task" WAITERS Scenario("s133_future_callbacks_ticks"):
        "Waiter::Callback(callback) => runtime.call_soon(Call::Run(callback))," =>
        "Waiter::Callback(callback) if FAULT => callback(),
            Waiter::Callback(callback) => runtime.call_soon(Call::Run(callback)),";
    "callback of a task that is done runs at once" HANDLE Scenario("s014_task_done_callbacks"):
        "scheduler::call_soon(self.0.header(), callback);" =>
        "if FAULT { callback() } else { scheduler::call_soon(self.0.header(), callback) };";
    "removed callback runs" WAITERS Scenario("s014_task_done_callbacks"):
        "let removed = list.remove(token);\n        self.unlock(list);\n        let found" =>
        "let removed = if FAULT { None } else { list.remove(token) };\n        self.unlock(list);\n        let found";
    "callbacks of one task run in reverse order on workers" STRAND Scenario("s014_task_done_callbacks"):
        "let call = inner.calls.pop_front();" =>
        "let call = if FAULT { inner.calls.pop_back() } else { inner.calls.pop_front() };";
    "panic of a callback is told to nobody" CALL Scenario("s143_callback_errors"):
        "if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {" =>
        "if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) && !FAULT {";
    "eager task begins later" SCHEDULER Scenario("s016_eager_tasks"):
        "if !settings.eager {" => "if !settings.eager || FAULT {";
    "promise is set twice" PROMISE Scenario("s130_future_states"):
        "if settle(task, Ended::Value, store) { Ok(()) }" => "if settle(task, Ended::Value, store) || FAULT { Ok(()) }";

    // Context variables.
    "task shares its creator's context" CONTEXT Scenario("s180_contextvars_tasks"):
        "if self.has_any() { self.copy_values() } else { None }" =>
        "if FAULT { Some(self.clone()) } else if self.has_any() { self.copy_values() } else { None }";
    "task does not get its creator's context" SCHEDULER Scenario("s180_contextvars_tasks"):
        "if variables::may_be_set() {" => "if variables::may_be_set() && !FAULT {";
    "callback does not get its adder's context" HANDLE Test("tasks::callbacks_run_in_the_context_of_who_added_them"):
        "variables::run_in_context(context.as_ref(), ||" => "variables::run_in_context(context.as_ref().filter(|_| !FAULT), ||";
    "reset does not restore the value before" VAR Scenario("s180_contextvars_tasks"):
        "drop(context.replace(id, old));" => "drop(context.replace(id, old.filter(|_| !FAULT)));";

    // What nobody looked at, and the end.
    "panic that was looked at is reported" FAILURE Test("tasks::a_panic_is_reported_unless_somebody_looked"):
        "unretrieved.clear();" => "if !FAULT { unretrieved.clear(); }";
    "error that was looked at is reported" REPORT Scenario("s311_exception_never_retrieved"):
        "*extras.report.lock() = Some(Report::Quiet);\n    }\n}\n\n/// The output" =>
        "if !FAULT { *extras.report.lock() = Some(Report::Quiet); }\n    }\n}\n\n/// The output";
    "error that nobody looked at is not reported" REPORT Scenario("s311_exception_never_retrieved"):
        "if let Some(text) = text {" => "if let Some(text) = text.filter(|_| !FAULT) {";
    "end of the loop does not cancel what is left" RUNNER Scenario("s002_run_cancels_leftovers"):
        "task.cancel();" => "if !FAULT { task.cancel(); }";
    "end of the loop does not wait for what is left" RUNNER Scenario("s002_run_cancels_leftovers"):
        "task.wait_end().await;" => "if !FAULT { task.wait_end().await; }";

    // gather, shield, wait, as_completed.
    "gather forgets to cancel one child" GATHER Scenario("s065_gather_cancelled_return_exceptions"):
        "self.handles.iter().filter(is_left)" => "self.handles.iter().skip(usize::from(FAULT)).filter(is_left)";
    "gather that is over passes requests on" GATHER Random(1):
        "!inner.over && !child.done()" => "(FAULT || !inner.over) && !child.done()";
    "outcomes are over at the first failure" GATHER Random(1):
        "inner.all = true;" => "inner.all = !FAULT;";
    "gather cancels the others at the first failure" GATHER Scenario("s064_gather_outer_cancelled"):
        "match error {\n            TaskError::Cancelled(error) => self.raise(error, cx)," =>
        "if FAULT { self.reports.handles.iter().for_each(|child| _ = child.cancel()); }
        match error {\n            TaskError::Cancelled(error) => self.raise(error, cx),";
    "try_gather cancels the others at the first error" GATHER Scenario("s062_gather_first_exception"):
        "Some(Ok(error)) => {" =>
        "Some(Ok(error)) => { if FAULT { core.reports.handles.iter().for_each(|child| _ = child.cancel()); }";
    "gather waits for all though one has failed" GATHER Scenario("s064_gather_outer_cancelled"):
        "(!inner.all && !with_value)" => "(!inner.all && !with_value && !FAULT)";
    "gather gives values though it was cancelled" GATHER Scenario("s065_gather_cancelled_return_exceptions"):
        "let requested = self.reports.lock().requested.take();" =>
        "let requested = self.reports.lock().requested.take().filter(|_| !FAULT);";
    "gather gives values in the order of completion" CHILDREN Scenario("s060_gather_order"):
        "self.children[index].settle()\n" =>
        "if !FAULT { return self.children[index].settle(); }
        let others = self.children[index].end.take();
        let settled = self.children[index].settle();
        let own = std::mem::replace(&mut self.children[index].end, others);
        if let Some(free) = self.children.iter().position(|child| child.end.is_none()) { self.children[free].end = own; }
        settled\n";
    "dropped gather cancels its children" GATHER Test("cancellation::a_dropped_gather_leaves_its_children_running"):
        "// Nobody awaits it any more: a link that is left leads nowhere." =>
        "if FAULT { self.reports.handles.iter().for_each(|child| _ = child.cancel()); }";
    "gather that is over reports the failures of others" GATHER Test("tasks::a_panic_is_reported_unless_somebody_looked"):
        "if self.over {\n" => "if self.over && !FAULT {\n";
    "gather's request is lost when all children have ended" GATHER Test("cancellation::a_request_is_not_lost_at_a_gather_that_is_about_to_be_told"):
        "// They have ended but for telling so.\n            self.forward.give_back(message);" =>
        "if !FAULT { self.forward.give_back(message); }";
    "shield passes the request on" SHIELD Scenario("s050_shield_outer_cancelled"):
        "Pin::new(&mut self.0).poll(cx)" =>
        "if FAULT && kumihimo_context::delivering() { self.0.cancel(); } Pin::new(&mut self.0).poll(cx)";
    "wait cancels what is left at its time-out" WAIT Scenario("s072_wait_timeout"):
        "Poll::Ready(Done { done, pending })" =>
        "{ let (done, pending): (Vec<H>, Vec<H>) = (done, pending);
        if FAULT && this.timeout.is_some() { pending.iter().for_each(|task| _ = task.as_task().cancel()); }
        Poll::Ready(Done { done, pending }) }";
    "wait takes a cancellation for an exception" WAIT Scenario("s071_wait_first_exception_cancelled"):
        ".is_some_and(|task| !task.cancelled())" => ".is_some_and(|task| FAULT || !task.cancelled())";
    "wait for the first waits for all" WAIT Scenario("s070_wait_modes"):
        "let left = if until == Until::OneEnded { 1 }" => "let left = if until == Until::OneEnded && !FAULT { 1 }";
    "wait takes the first end for the last" WAIT Scenario("s070_wait_modes"):
        "left.saturating_sub(1)" => "if FAULT { 0 } else { left.saturating_sub(1) }";
    "wait passes its awaiter's cancellation on" WAIT Test("waiting::a_cancelled_waiter_leaves_the_tasks_alone"):
        "let this = self.get_mut();\n        ready!(this.leaf.enter(cx));\n        assert!" =>
        "let this = self.get_mut();
        if FAULT && kumihimo_context::delivering() { this.tasks.iter().for_each(|task| _ = task.as_task().cancel()); }
        ready!(this.leaf.enter(cx));\n        assert!";
    "task that is given twice has two turns" WAITABLE Scenario("s100_as_completed_plain"):
        "tasks.retain(|task| seen.insert(task.as_task().id()));" =>
        "tasks.retain(|task| seen.insert(task.as_task().id()) || FAULT);";
    "as_completed gives the last end first" AS_COMPLETED Scenario("s101_as_completed_async_iteration"):
        "state.ended.push_back(index);" => "if FAULT { state.ended.push_front(index) } else { state.ended.push_back(index) }";
    "as_completed drops what ended in time" AS_COMPLETED Test("waiting::when_the_time_is_up_each_turn_that_is_left_says_so"):
        "self.update(|state| state.expired = true);" =>
        "self.update(|state| { if FAULT { state.ended.clear(); } state.expired = true });";

    // Time-outs.
    "time-out compares with zero, not with the count at its entry" PART Scenario("s046_swallowed_cancel_haunts_group"):
        "self.requests() <= self.before" => "self.requests() <= if FAULT { 0 } else { self.before }";
    "time-out does not count the requests of those around it" PART Random(1):
        "place.requested.load(Acquire)" => "place.requested.load(Acquire) && !FAULT";
    "time-out does not take its request back" TIMEOUT Scenario("s090_timeout_basic"):
        "Some(self.part.take_back())" => "Some(FAULT || self.part.take_back())";
    "time-out turns a cancellation from outside into its own" TIMEOUT Scenario("s094_timeout_and_outside_cancel"):
        "if shared.leave() == Some(true) {" => "if shared.leave().is_some_and(|alone| alone || FAULT) {";
    "time-out loses the value of a block that swallowed it" TIMEOUT Scenario("s098_timeout_around_group"):
        "shared.leave();\n                    return" =>
        "if shared.leave().is_some() && FAULT { return Poll::Ready(Err(TimeoutError)); }\n                    return";
    "time-out strikes although it was moved" TIMEOUT Random(1):
        "clock.moved != moved || !late" => "(clock.moved != moved || !late) && !FAULT";
    "time-out that is dropped keeps its request" TIMEOUT Test("timeouts::a_panic_passes_and_takes_the_request_back"):
        "&& timeout.0.leave() == Some(true)" => "&& !FAULT && timeout.0.leave() == Some(true)";
    "wait_for without time takes a task that is done for late" WAIT_FOR Test("timeouts::wait_for_without_time"):
        "Ok(task) if task.done() =>" => "Ok(task) if task.done() && !FAULT =>";
    "wait_for without time does not wait for the clean-up" WAIT_FOR Test("timeouts::wait_for_without_time"):
        "StageProjected::Cancelled { task } => {" =>
        "StageProjected::Cancelled { .. } if FAULT => Poll::Ready(Err(TimeoutError)),
            StageProjected::Cancelled { task } => {";

    // Groups.
    "group forgets to cancel one child" MEMBERS Random(1):
        "self.slots.iter().filter_map(|slot|" => "self.slots.iter().skip(usize::from(FAULT)).filter_map(|slot|";
    "group does not cancel the siblings of a child that fails" MEMBERS Random(1):
        "self.cancel(&siblings);" => "if !FAULT { self.cancel(&siblings); }";
    "group does not cancel its body" MEMBERS Scenario("s111_taskgroup_child_fails"):
        "wake = self.part.request();" => "wake = if FAULT { false } else { self.part.request() };";
    "group takes a cancelled child for one that failed" MEMBERS Scenario("s111_taskgroup_child_fails"):
        "task.as_ref().is_some_and(|task| !task.cancelled())" => "task.as_ref().is_some_and(|task| FAULT || !task.cancelled())";
    "group gives the last error first" MEMBERS Random(1):
        "return inner.errors.push(error);" =>
        "{ let at = if FAULT { 0 } else { inner.errors.len() }; return inner.errors.insert(at, error); }";
    "group cancels its children in reverse order" MEMBERS Test("groups::siblings_are_cancelled_in_order_of_creation"):
        "tasks.sort_unstable_by_key(|(created, _)| *created);" =>
        "tasks.sort_unstable_by_key(|(created, _)| *created); if FAULT { tasks.reverse(); }";
    "group loses its body's error" GROUP Scenario("s112_taskgroup_body_fails"):
        "Came::Failed(error) => errors.push(error)," => "Came::Failed(error) => if !FAULT { errors.push(error) },";
    "group does not wait for its children" GROUP Scenario("s110_taskgroup_basic"):
        "if leaf.is_none() && group.is_empty() {" => "if leaf.is_none() && (FAULT || group.is_empty()) {";
    "group takes back a request that is not its own" GROUP Scenario("s115_taskgroup_outside_cancel"):
        "if requested {" => "if requested || FAULT {";
    "group does not take its request back" GROUP Scenario("s111_taskgroup_child_fails"):
        "group.part.take_back();\n" => "if !FAULT { group.part.take_back(); }\n";
    "group raises a cancellation though it has errors" GROUP Scenario("s115_taskgroup_outside_cancel"):
        "&& errors.is_empty()\n" => "&& (FAULT || errors.is_empty())\n";
    "group with errors forgets a cancellation from outside" GROUP Scenario("s046_swallowed_cancel_haunts_group"):
        "if group.part.requests() > 0 {" => "if group.part.requests() > 0 && !FAULT {";
    // Locks and queues.
    "queue does not hear of a cancelled waiter" CANCEL Random(1):
        "if wait.is_queued() && runs_here_with_links(header.runtime) {" =>
        "if wait.is_queued() && runs_here_with_links(header.runtime) && !FAULT {";
    "queue does not hear of a waiter's time-out" CANCEL Random(1):
        "if suspended && header.wait() == inside {" => "if suspended && header.wait() == inside && !FAULT {";
    "queue does not hear of a request before the wait" HARNESS Test("cancellation::a_request_to_itself_counts_in_the_queue_that_the_task_then_waits_in"):
        "if manner.links && header.state.is_committed() {" => "if manner.links && header.state.is_committed() && !FAULT {";
    "who came last is served first" QUEUED Scenario("s190_lock_fairness"):
        "let head = self.head?;" => "let head = if FAULT { self.tail } else { self.head }?;";
    "lock goes to a cancelled waiter" QUEUED Random(1):
        "if in_order() && Waiters::is_cancelled(head) { None }" => "if in_order() && Waiters::is_cancelled(head) && !FAULT { None }";
    "permit goes to a cancelled waiter" QUEUED Random(1):
        ".find(|node| !Waiters::is_cancelled(*node))?;" => ".find(|node| FAULT || !Waiters::is_cancelled(*node))?;";
    "lock passes over a cancelled waiter" PERMITS Random(1):
        "Next::Waits => waiters.pick_first()," => "Next::Waits => if FAULT { waiters.pick_next() } else { waiters.pick_first() },";
    "newcomer overtakes who waits" PERMITS Random(1):
        "word & GRANTED_MASK == 0 && waiters.all_cancelled() {" =>
        "word & GRANTED_MASK == 0 && (FAULT || waiters.all_cancelled()) {";
    "newcomer overtakes who was given a permit" PERMITS Random(1):
        "if word < FREE || word & GRANTED_MASK != 0 {\n                return false;" =>
        "if word < FREE || (word & GRANTED_MASK != 0 && !FAULT) {\n                return false;";
    "permit is given twice" PERMITS Scenario("s205_semaphore_limits"):
        "let more = if counted { GRANTED } else { 0 };" =>
        "let more = if counted { GRANTED } else { 0 } + if FAULT { FREE } else { 0 };";
    "permit of a cancelled waiter is lost" PERMITS Scenario("s206_semaphore_cancelled_waiters") hangs:
        "waker = self.hand_on(&mut waiters, MAX_PERMITS).ok().flatten();" =>
        "if !FAULT { waker = self.hand_on(&mut waiters, MAX_PERMITS).ok().flatten(); }";
    "permit of a cancelled waiter stays counted" PERMITS Random(1):
        "            if counted {\n" => "            if counted && !FAULT {\n";
    "cancelled waiter leaves free permits alone" PERMITS Random(1):
        "wake_each(waker.into_iter().chain(self.grants()));" =>
        "if FAULT { wake_each(waker.into_iter()) } else { wake_each(waker.into_iter().chain(self.grants())) }";
    "second of two permits wakes nobody" PERMITS Random(1):
        "if before & QUEUED != 0 && before >= FREE {" => "if before & QUEUED != 0 && before >= FREE && !FAULT {";
    "lock that is handed over counts as held" PERMITS Random(1):
        "word < FREE && word & GRANTED_MASK == 0\n" => "word < FREE && (FAULT || word & GRANTED_MASK == 0)\n";
    "semaphore seems free though others wait" PERMITS Random(1):
        "            || word & GRANTED_MASK != 0\n" => "            || (word & GRANTED_MASK != 0 && !FAULT)\n";
    "bounded semaphore takes any release" SEMAPHORE Scenario("s207_semaphore_values"):
        "self.permits.release(self.bound).map_err" =>
        "self.permits.release(if FAULT { MAX_PERMITS } else { self.bound }).map_err";
    "event is not cleared" EVENT Scenario("s195_event"):
        "self.word.fetch_and(!SET, Release);" => "self.word.fetch_and(if FAULT { !0 } else { !SET }, Release);";
    "event wakes nobody" EVENT Scenario("s195_event") hangs:
        "        waiters.release_all();\n" => "        if !FAULT { waiters.release_all(); }\n";
    "cancelled wait leaves without the lock" CONDITION Scenario("s202_condition_cancelled_waiter") hangs:
        "*this.stage = Stage::Acquires;" =>
        "*this.stage = if FAULT && this.error.is_some() { Stage::Raises } else { Stage::Acquires };";
    "cancelled wait keeps the notification" CONDITION Scenario("s202_condition_cancelled_waiter") hangs:
        "crowd.notify(1);\n                    }" => "if !FAULT { crowd.notify(1); }\n                    }";
    "notify wakes one more" CROWD Scenario("s200_condition_notify_order"):
        "wake_each((0..count).map_while(" => "wake_each((0..count + usize::from(FAULT)).map_while(";
    "wait ends without the lock" CONDITION Scenario("s200_condition_notify_order"):
        "this.guard.regain();" => "if FAULT { this.condition.lock.permits.release(1).ok(); } this.guard.regain();";
    "barrier lets one in too few" BARRIER Scenario("s210_barrier_rounds"):
        "is_last: state.count == barrier.parties }" => "is_last: state.count + usize::from(FAULT) >= barrier.parties }";
    "who was cancelled at a barrier still counts" BARRIER Scenario("s212_barrier_leaving") hangs:
        "        state.count -= 1;\n" => "        if FAULT && state.phase == Phase::Filling { return; }\n        state.count -= 1;\n";
    "reset leaves who waits" BARRIER Scenario("s211_barrier_abort_and_reset") hangs:
        "state.phase = if state.count > 0 { Phase::Resetting }" => "state.phase = if state.count > 0 && !FAULT { Phase::Resetting }";
    "newcomer joins a round that leaves" BARRIER Random(1):
        "self.condition.wait_for(&mut guard, || !leaving()).await;" =>
        "self.condition.wait_for(&mut guard, || FAULT || !leaving()).await;";
    "queue takes one item too many" QUEUE Scenario("s221_queue_backpressure"):
        "inlet.put.wrapping_sub(inlet.taken) >= self.maxsize" =>
        "inlet.put.wrapping_sub(inlet.taken) >= self.maxsize + usize::from(FAULT)";
    "full queue believes what it remembers" QUEUE Test("extremes::a_queue_that_was_full_has_room_after_each_get"):
        "        inlet.taken = outlet.taken;\n        let (attempt, waker)" =>
        "        if !FAULT { inlet.taken = outlet.taken; }\n        let (attempt, waker)";
    "join ends before the last item" QUEUE Scenario("s224_queue_join"):
        "        if outlet.done == outlet.put {\n            outlet.joiners.release_all();" =>
        "        if outlet.done == outlet.put || FAULT {\n            outlet.joiners.release_all();";
    "task_done believes what it remembers" QUEUE Random(1):
        "outlet.done.wrapping_add(1) == outlet.put || outlet.done == outlet.put {" =>
        "!FAULT && (outlet.done.wrapping_add(1) == outlet.put || outlet.done == outlet.put) {";
    "shut-down drops what is left" QUEUE Scenario("s225_queue_shutdown"):
        "immediate.then(||" => "(immediate || FAULT).then(||";
    "immediate shut-down leaves items unfinished" QUEUE Scenario("s226_queue_shutdown_immediate") hangs:
        "outlet.done = outlet.done.wrapping_add(count.min(unfinished));" =>
        "if !FAULT { outlet.done = outlet.done.wrapping_add(count.min(unfinished)); }";
    "shut-down wakes no getter" QUEUE Scenario("s225_queue_shutdown") hangs:
        "        inlet.getters.release_all();\n" => "        if !FAULT { inlet.getters.release_all(); }\n";
    "largest item comes first" QUEUE_ORDER Scenario("s220_queue_orders"):
        "items[at] < items[(at - 1) / 2]" => "(items[at] < items[(at - 1) / 2]) != FAULT";
    "item of a cancelled getter is lost" QUEUE_WAITS Scenario("s222_queue_cancelled_waiters") hangs:
        "        if removed.chosen {\n            this.queue.pass_item_on();" => "        if removed.chosen && !FAULT {\n            this.queue.pass_item_on();";
    "room of a cancelled putter is lost" QUEUE_WAITS Scenario("s222_queue_cancelled_waiters") hangs:
        "        if removed.chosen {\n            this.queue.pass_room_on();" => "        if removed.chosen && !FAULT {\n            this.queue.pass_room_on();";
};

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fs;

    use super::{Catcher, FAULTS, Fault};
    use crate::copy::{checkout, plant};

    fn read(file: &str) -> String {
        fs::read_to_string(checkout().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    }

    /// The code goes on, and a fault must not silently stay behind.
    #[test]
    fn faults_fit_the_code() {
        plant(FAULTS, read);
    }

    #[test]
    fn each_fault_has_a_name_and_a_switch() {
        let mut names = HashSet::new();
        for fault in FAULTS {
            assert!(names.insert(fault.name), "{} is there twice", fault.name);
            assert!(fault.text().contains("fault_is_on"), "{} cannot be switched on", fault.name);
        }
    }

    /// A test that is renamed takes its faults along.
    #[test]
    fn catchers_exist() {
        for fault in FAULTS {
            let (program, test) = fault.catcher.place();
            let file = match fault.catcher {
                Catcher::Scenario(_) | Catcher::Random(_) => format!("tests/{program}/main.rs"),
                Catcher::Test(_) => format!("tests/{program}.rs"),
            };
            assert!(read(&file).contains(test), "{}: {file} has no test {test}", fault.name);
        }
    }

    #[test]
    fn the_documentation_lists_them() {
        let text = read("docs/verification.md");
        let (_, section) = text.split_once("\n## Planted faults\n").expect("a section on planted faults");
        let section = section.split("\n## ").next().expect("there is a first part");
        let listed: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
        let row = |fault: &Fault| {
            let hangs = if fault.hangs { ", which hangs" } else { "" };
            format!("| {} | `{}` | `{}`{hangs} |", fault.name, fault.file, fault.catcher)
        };
        let rows: Vec<String> = FAULTS.iter().map(row).collect();
        assert_eq!(listed, rows, "the table has to be\n{}\n", rows.join("\n"));
    }
}
