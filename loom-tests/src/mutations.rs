//! The mistakes, and the models that catch them.

/// One mistake.
pub(crate) struct Mutation {
    /// What is wrong.
    pub(crate) name: &'static str,
    /// Where.
    pub(crate) file: &'static str,
    /// What stands there, once.
    pub(crate) right: &'static str,
    /// What is put in its place.
    pub(crate) wrong: &'static str,
    /// The model that must fail.
    pub(crate) model: &'static str,
}

impl Mutation {
    /// The folder of the crate that it is planted in, which names the package.
    pub(crate) fn package(&self) -> &'static str {
        self.file.split('/').next().unwrap_or_default()
    }

    /// Whether its name, or that of its file, holds this.
    pub(crate) fn matches(&self, filter: &str) -> bool {
        self.name.contains(filter) || self.file.contains(filter)
    }

    /// The mutated text.
    pub(crate) fn apply(&self, text: &str) -> String {
        assert_eq!(
            text.matches(self.right).count(),
            1,
            "{}: {} does not have the text once",
            self.name,
            self.file
        );
        text.replace(self.right, self.wrong)
    }
}

const STATE: &str = "executor/src/task/state.rs";
const WAITERS: &str = "executor/src/task/waiters.rs";
const LIFO: &str = "executor/src/scheduler/lifo.rs";
const CLOSE: &str = "executor/src/scheduler/close.rs";
const WORK: &str = "executor/src/scheduler/work.rs";
const PROMISE: &str = "executor/src/task/promise.rs";
const REPORT: &str = "executor/src/task/report.rs";
const STRAND: &str = "executor/src/scheduler/strand.rs";
const SLEEP: &str = "executor/src/sleep/mod.rs";
const POOL_SLOT: &str = "blocking-pool/src/slot.rs";
const POOL_WORKER: &str = "blocking-pool/src/worker.rs";
const POOL_CREW: &str = "blocking-pool/src/crew.rs";
const TURNS: &str = "blocking-pool/src/turns.rs";
const HAND: &str = "blocking-pool/src/hand.rs";
const PERMITS: &str = "sync/src/permits.rs";
const QUEUED: &str = "sync/src/waiters.rs";
const EVENT: &str = "sync/src/event.rs";
const CONDITION: &str = "sync/src/condition.rs";
const QUEUE: &str = "sync/src/queue/shared.rs";
const QUEUE_WAITS: &str = "sync/src/queue/waits.rs";

macro_rules! mutations {
    ($($name:literal $file:ident $model:literal: $right:literal => $wrong:literal;)*) => {
        &[$(Mutation {
            name: $name,
            file: $file,
            right: $right,
            wrong: $wrong,
            model: concat!("loom_models::", $model),
        }),*]
    };
}

/// All of them.
pub(crate) const MUTATIONS: &[Mutation] = mutations! {
    "wake during a step is forgotten" STATE "waking::two_wakers_and_a_step":
        "((s - less) | SCHEDULED, Wake::Nothing)" => "(s - less, Wake::Nothing)";
    "wake of a scheduled task, unseen" STATE "waking::two_wakers_and_a_step":
        "compare_exchange_weak(current, next, AcqRel, Relaxed)" => "compare_exchange_weak(current, next, Acquire, Relaxed)";
    "start does not acquire" STATE "waking::two_wakers_and_a_step":
        "compare_exchange_weak(current, next, AcqRel, Relaxed)" => "compare_exchange_weak(current, next, Release, Relaxed)";
    "last reference by value is kept" STATE "waking::a_waker_outlives_the_owner":
        "let gone = consume && s & REF_MASK == REF;" => "let gone = false;";
    "request during a step is forgotten" STATE "cancelling::two_requests":
        "} else if s & PENDING == 0 {" => "} else if s & PENDING == 0 || !linked {";
    "request is delivered twice" STATE "cancelling::a_request_and_a_wake_up":
        "!(SCHEDULED | PENDING | COMMITTED | IO_WOKEN | PASSED_ON)" => "!(SCHEDULED | PENDING | IO_WOKEN | PASSED_ON)";
    "withdrawal takes a stranger's request" STATE "cancelling::two_requests":
        "(s | COMMITTED | SCHEDULED, Request::Schedule)" => "(s | SCHEDULED, Request::Schedule)";
    "completion overlooks that no owner is left" STATE "awaiting::the_owner_lets_go":
        "if s & INTEREST_MASK == 0 { (next, Complete::Orphaned) }" => "if false { (next, Complete::Orphaned) }";
    "last owner leaves the output" STATE "awaiting::the_owner_lets_go":
        "if s & COMPLETE != 0 && !taken {" => "if false && s & COMPLETE != 0 && !taken {";
    "list forgets the lone waiter" WAITERS "awaiting::two_awaiters":
        "entries: vec![(0, Some(alone))]," => "entries: vec![(0, None)],";
    "lone waiter is not counted" WAITERS "awaiting::a_registration_outlives_the_awaiter":
        "            task.header().state.add_ref();\n            let word" => "            let word";
    "awaiter is told nothing" WAITERS "awaiting::one_awaiter":
        "Waiting::Alone(task) => task.wake()," => "Waiting::Alone(task) => task.drop_ref(),";
    "unlocked list is dropped" WAITERS "awaiting::two_awaiters":
        "self.0.store(Box::into_raw(list), Release);" => "drop(list); self.0.store(ptr::null_mut(), Release);";
    "slot is put without release" LIFO "lifo::put_and_take_against_a_thief":
        "self.0.store(task, Release);" => "self.0.store(task, Relaxed);";
    "slot is taken in two steps" LIFO "lifo::put_and_take_against_a_thief":
        "to_task(self.0.swap(ptr::null_mut(), Acquire))" =>
        "{ let task = self.0.load(Acquire); self.0.store(ptr::null_mut(), Release); to_task(task) }";
    "close does not wait for a scheduled task" CLOSE "closing::a_request_while_closing":
        "if shared.registry.close() {" => "if shared.registry.close() || true {";
    "idle task is dropped unseized" CLOSE "closing::a_wake_up_while_closing":
        "if task.header().state.seize() {" => "if task.header().state.seize() || task.header().state.ended().is_none() {";
    "pusher without its fence" SLEEP "sleeping::a_push":
        "        // The push comes before this fence, the sleeper's last look after its own: one of the two sees the other.\n        fence(SeqCst);" => "";
    "sleeper without its fence" SLEEP "sleeping::a_push":
        "        // The announcement comes before this fence, the last look after it; see `notify`.\n        fence(SeqCst);" => "";
    "last searcher without its fence" SLEEP "sleeping::two_items_that_need_each_other":
        "            fence(SeqCst);\n        }\n        last" => "        }\n        last";
    "two batons" SLEEP "sleeping::a_push":
        "if inner.holder.is_none() {\n            inner.holder = Some(Holder { worker, waiting: true });\n        } else {" =>
        "if inner.holder.is_none() || true {\n            inner.holder = Some(Holder { worker, waiting: true });\n        } else {";
    "claimed holder is not interrupted" SLEEP "sleeping::a_push":
        "return interrupt();" => "return;";
    "pinned worker in the poller is not woken" SLEEP "sleeping::a_push_to_an_inbox":
        "} else if inner.holder == Some(Holder { worker, waiting: true }) {" => "} else if false {";
    "stop forgets the poller" SLEEP "sleeping::everybody_is_woken":
        "            self.parkers.unpark(worker);\n        }\n        if let Some(Holder { worker, waiting: true }) = inner.holder {" =>
        "            self.parkers.unpark(worker);\n        }\n        if let Some(Holder { worker, waiting: true }) = inner.holder && false {";
    "claim does not count as searching" SLEEP "sleeping::a_push":
        "self.counts.fetch_add(SEARCHING - IDLE, SeqCst);" => "self.counts.fetch_sub(IDLE, SeqCst);";
    "nobody watches a poller that was left" SLEEP "sleeping::a_released_poller_is_taken_over":
        "inner.holder = None;\n        self.appoint_on_leaving(inner);" => "inner.holder = None;";
    "handed over to nobody" SLEEP "sleeping::a_poller_is_handed_over":
        "inner.holder = Some(Holder { worker, waiting: true });\n            drop(inner);" => "drop(inner);";
    "watcher in the poller is not told" SLEEP "sleeping::a_watcher_is_appointed":
        "            self.set_watcher(&mut inner, Some(worker));\n            drop(inner);\n            interrupt();" =>
        "            self.set_watcher(&mut inner, Some(worker));";
    "no last look" WORK "working::a_task_from_outside":
        "= !self.has_own_work() && !self.is_work_left() && !stop();" => "= !self.has_own_work() && !stop();";
    "promise is settled by both" PROMISE "settling::two_values":
        "if !task.header().state.seize() {" => "if !task.header().state.seize() && task.header().state.ended().is_some() {";
    "callback is not kept" WAITERS "settling::callbacks_and_the_end":
        "let token = list.push(Waiter::Callback(callback));" => "let token = list.next; drop(callback);";
    "strand ends in two steps" STRAND "settling::calls_on_the_strand":
        "let mut inner = self.0.lock();\n        let call = inner.calls.pop_front();" =>
        "let call = self.0.lock().calls.pop_front();\n        let mut inner = self.0.lock();";
    "two strands" STRAND "settling::calls_on_the_strand":
        "inner.running = call.is_some();" => "inner.running = false;";
    "report reads what its owner takes" REPORT "settling::a_report_and_the_owner":
        "*extras.report.lock() = Some(Report::Quiet);" => "let _unclaimed = extras;";
    "outcome is handed over without release" POOL_SLOT "slot_hands_over_and_wakes":
        "self.state.fetch_or(done, AcqRel)" => "self.state.fetch_or(done, Acquire)";
    "job is started by two" POOL_SLOT "slot_run_or_refused":
        "& (DETACHED | STARTED) != 0" => "& DETACHED != 0";
    "job is withdrawn while it runs" POOL_SLOT "slot_polled_and_cancelled":
        "(state & STARTED == 0).then_some(state | DETACHED)" => "Some(state | DETACHED)";
    "withdrawn job keeps its waker" POOL_SLOT "slot_polled_and_cancelled":
        "if before & WAKER != 0 {\n            // SAFETY: `DETACHED` came before `DONE`, so `complete`, if it ever runs" =>
        "if false {\n            // SAFETY: `DETACHED` came before `DONE`, so `complete`, if it ever runs";
    "submitter to a pool without its fence" POOL_CREW "crew_one_thread_two_jobs":
        "        fence(SeqCst);\n        let counts = self.counts();" => "        let counts = self.counts();";
    "pool breaks without a reason" POOL_WORKER "pool_breaks":
        "        drop(broken);\n        self.crew.close();" =>
        "        *broken = None;\n        drop(broken);\n        self.crew.close();";
    "reason comes after the close" POOL_WORKER "pool_breaks":
        "let mut broken = self.broken.lock()" => "self.crew.close();\n        let mut broken = self.broken.lock()";
    "broken pool strands what waits" POOL_WORKER "pool_breaks":
        "        self.refuse_queued(|| JobError::Broken(error.clone()));" =>
        "        while self.queue.pop().is_some() {}";
    "broken thread runs jobs" POOL_WORKER "pool_breaks":
        "let broken = self.initialize().err();" => "let _error = self.initialize();\n        let broken: Option<BrokenThreadPool> = None;";
    "initializing thread counts as searching" POOL_WORKER "pool_initializes_in_parallel":
        "self.answer(self.begin_initializer());\n        let result" =>
        "self.initializing.fetch_add(1, Relaxed);\n        self.crew.search();\n        let result";
    "call of a past turn begins" TURNS "pool_has_calls_back":
        "(claimed.turn == turn).then(" => "(claimed.turn >= turn).then(";
    "turn that is not the next" TURNS "pool_has_calls_back":
        "turn: claimed.turn.wrapping_add(1), ..claimed }" => "turn: claimed.turn, ..claimed }";
    "calls are counted before the turn ends" HAND "pool_has_calls_back":
        "        let claimed = turns.next();\n        self.turn = claimed.turn;\n        self.calls.split_off(self.begun_of(claimed.begun)).into()" =>
        "        let begun = self.begun(turns);\n        self.turn = turns.next().turn;\n        self.calls.split_off(begun).into()";
    "calls are sent with the turn before" HAND "pool_has_calls_back":
        "self.turn = claimed.turn;" => "self.turn = claimed.turn.wrapping_sub(1);";
    "who queues does not look again" PERMITS "three_lock_in_turn":
        "let Err(word) = self.take_past(&waiters) else { return true };" =>
        "if self.take_past(&waiters).is_ok() { return true }; let word = self.word.load(Relaxed);";
    "permit is released without release" PERMITS "three_lock_in_turn":
        "compare_exchange_weak(word, word + FREE, Release, Relaxed)" =>
        "compare_exchange_weak(word, word + FREE, Relaxed, Relaxed)";
    "permit is acquired without acquire" PERMITS "three_lock_in_turn":
        "                return self.try_acquire_past_cancelled();\n            }\n            // Acquire: pairs with the Release of who gave the permit back.\n            match self.word.compare_exchange_weak(word, word - FREE, Acquire, Relaxed) {" =>
        "                return self.try_acquire_past_cancelled();\n            }\n            match self.word.compare_exchange_weak(word, word - FREE, Relaxed, Relaxed) {";
    "permit is released past the queue" PERMITS "three_lock_in_turn":
        "return self.release_to_waiters(limit);" => "{}";
    "newcomer takes the granted permit" PERMITS "a_semaphore_lets_two_in":
        "        let more = if counted { GRANTED } else { 0 };" =>
        "        let more = FREE + if counted { GRANTED } else { 0 };";
    "free permits behind a granted one stay" PERMITS "a_newcomer_behind_a_granted_permit_gets_the_free_one":
        "if before & QUEUED != 0 && before >= FREE {" => "if false {";
    "who gives up keeps its permit" PERMITS "a_permit_granted_to_who_gives_up_is_not_lost":
        "            waker = self.hand_on(&mut waiters, MAX_PERMITS).ok().flatten();" => "            waker = None;";
    "counted permit of who gives up stays counted" PERMITS "a_permit_granted_to_who_gives_up_is_not_lost":
        "                self.word.fetch_sub(GRANTED, Relaxed);" => "";
    "who gives up passes nothing on" PERMITS "who_gives_up_passes_the_lock_on":
        "wake_each(waker.into_iter().chain(self.grants()));" => "drop(waker);";
    "waiter is not woken" PERMITS "who_gives_up_passes_the_lock_on":
        "        if let Some(waker) = waker? {\n            waker.wake();\n        }\n        Ok(())" => "        drop(waker?);\n        Ok(())";
    "chosen without release" QUEUED "who_is_polled_by_the_way_sees_what_was_done":
        "store(state, Release)" => "store(state, Relaxed)";
    "chosen is seen without acquire" QUEUED "who_is_polled_by_the_way_sees_what_was_done":
        "self.state.load(Acquire) >= CHOSEN" => "self.state.load(Relaxed) >= CHOSEN";
    "the first who polled is woken" QUEUED "the_last_who_polls_is_woken":
        "if unsafe { waiters.wakes(node, cx.waker()) } {" => "if true || unsafe { waiters.wakes(node, cx.waker()) } {";
    "who left is still linked" QUEUED "a_notification_of_who_gives_up_goes_to_the_other":
        "                self.head = next;\n" => "";
    "event is set without release" EVENT "an_event_wakes_and_publishes":
        "compare_exchange_weak(word, SET, Release, Relaxed)" => "compare_exchange_weak(word, SET, Relaxed, Relaxed)";
    "event is seen without acquire" EVENT "an_event_wakes_and_publishes":
        "self.word.load(Acquire) == SET" => "self.word.load(Relaxed) == SET";
    "waiter queues unannounced" EVENT "an_event_wakes_and_publishes":
        "compare_exchange_weak(word, QUEUED, Relaxed, Acquire)" => "compare_exchange_weak(word, word, Relaxed, Acquire)";
    "event releases nobody" EVENT "an_event_that_is_cleared_at_once_has_woken":
        "        waiters.release_all();\n" => "";
    "lock is released before the wait begins" CONDITION "a_condition_misses_nothing":
        "            // SAFETY: it is not waiting, it waits in this list, and `drop` gives it up." =>
        "            this.guard.release();\n            // SAFETY: as before.";
    "notification of who is dropped is lost" CONDITION "a_notification_of_who_gives_up_goes_to_the_other":
        "if removed.chosen || *this.stage == Stage::Acquires {" => "if *this.stage == Stage::Acquires {";
    "item wakes nobody" QUEUE "a_queue_hands_over":
        "(Attempt::Done, inlet.next_getter())" => "(Attempt::Done, None)";
    "room wakes nobody" QUEUE "a_queue_hands_over":
        "if outlet.may_have_putters { self.call_putter(&mut outlet) } else { None };" => "None;";
    "who was woken for room keeps what is left" QUEUE "who_was_woken_for_room_wakes_the_next":
        "std::mem::take(&mut outlet.skipped).then(|| PassRoomOn(self))" => "None";
    "who finds the queue empty wakes nobody" QUEUE "who_takes_its_time_with_the_room_holds_up_nobody":
        "if in_order() { None } else { outlet.next_putter() };" => "None;";
    "putter looks at one end only" QUEUE "a_queue_hands_over":
        "        inlet.taken = outlet.taken;\n        let (attempt, waker) = self.put_into(inlet, item);\n        if let Attempt::Full(_) = attempt {" =>
        "        let (attempt, waker) = self.put_into(inlet, item);\n        if let Attempt::Full(_) = attempt {";
    "shut-down leaves the getters" QUEUE "a_shut_down_wakes":
        "        inlet.getters.release_all();\n" => "";
    "last item wakes no joiner" QUEUE "a_join_waits_for_the_last":
        "            outlet.joiners.release_all();\n            Telling" => "            Telling";
    "getter that gives up keeps the item" QUEUE_WAITS "a_getter_that_gives_up_leaves_the_item":
        "        if removed.chosen {\n            this.queue.pass_item_on();" => "        if false {";
    "putter that gives up keeps the room" QUEUE_WAITS "a_putter_that_gives_up_leaves_the_room":
        "        if removed.chosen {\n            this.queue.pass_room_on();" => "        if false {";
};

#[cfg(test)]
mod tests {
    use super::MUTATIONS;

    /// The code goes on, and a mutation must not silently stay behind.
    #[test]
    fn mutations_fit_the_code() {
        for mutation in MUTATIONS {
            let file = crate::copy::checkout().join(mutation.file);
            let text =
                std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", mutation.file));
            mutation.apply(&text);
        }
    }
}
