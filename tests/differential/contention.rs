//! Programs' parts that wait for locks, queues and the like, and those that let them go on, often in the step in which they
//! cancel them.

use crate::coverage::{Cell, Leaf};
use crate::generator::{Generator, Place};
use crate::model::Cause;
use crate::primitive::{
    Guarded, Number, Operation, bound_of, conditions_of, maxsize_of, parties_of, value_of,
};
use crate::program::{Block, Coroutine, Id, Line, Micros, Scope, Statement};

/// So many of each kind are there for everybody. Situations use these, or have their own.
const SHARED: Number = 4;

/// What the situation that is being made is about.
pub(crate) struct Contested {
    /// How many numbers were given away.
    numbers: Number,
    number: Number,
    /// The condition's lock is held around the leaf.
    held: bool,
}

impl Default for Contested {
    fn default() -> Contested {
        Contested { numbers: SHARED, number: 0, held: false }
    }
}

/// The lock that situations contend for: alone, or a condition's.
fn lock(number: Number) -> Guarded {
    if number.is_multiple_of(2) { Guarded::Lock(number) } else { Guarded::Condition(number) }
}

fn semaphore(number: Number) -> Guarded {
    if number.is_multiple_of(2) { Guarded::Semaphore(number) } else { Guarded::BoundedSemaphore(number) }
}

/// Whether one can wait there at all.
fn is_contestable(leaf: Leaf, number: Number) -> bool {
    match leaf {
        Leaf::Put => maxsize_of(number) > 0,
        Leaf::Barrier => parties_of(number) > 1,
        _ => true,
    }
}

/// Whether whoever lets others go on has to come first, or to hold something for long.
fn needs_holder(leaf: Leaf) -> bool {
    matches!(leaf, Leaf::Lock | Leaf::Reacquire)
}

impl Generator<'_> {
    /// A situation that is about a primitive.
    pub(crate) fn contention(&mut self, cell: Cell) -> Vec<Line> {
        self.contest(cell.leaf);
        let victim = self.id();
        let (body, inner) = match cell.hit {
            Cause::Cancel | Cause::Timeout => self.suspended(victim, cell),
            Cause::Error | Cause::Panic => (self.fails(victim, cell), None),
        };
        let target = self.target(victim, cell, inner);
        let victim = self.spawn(Coroutine { id: victim, scope: Scope::None, body }, None);
        let races = cell.hit == Cause::Cancel && self.random.one_in(2);
        let mut first = Vec::new();
        let mut last = Vec::new();
        if races || needs_holder(cell.leaf) || self.random.one_in(2) {
            let provoker = self.provoker(cell.leaf, races.then_some(target));
            if cell.leaf == Leaf::Lock { &mut first } else { &mut last }.push(provoker);
        }
        for _ in 0..self.room(cell.leaf) {
            let bystander = self.bystander(cell.leaf);
            if self.random.one_in(2) { &mut first } else { &mut last }.push(bystander);
        }
        match cell.hit {
            Cause::Cancel if !races => last.push(self.cancels(target, cell.leaf)),
            Cause::Timeout => last.push(self.times_out(target, cell.leaf)),
            _ => {}
        }
        [first, vec![victim], last].concat()
    }

    /// Chooses what the situation is about.
    fn contest(&mut self, leaf: Leaf) {
        let own = self.random.one_in(2);
        loop {
            self.contested.number = if own {
                self.contested.numbers += 1;
                self.contested.numbers - 1
            } else {
                self.anyone()
            };
            if is_contestable(leaf, self.contested.number) {
                return;
            }
        }
    }

    /// The number of something that others may use, too.
    fn anyone(&mut self) -> Number {
        let of = if self.random.one_in(2) { SHARED } else { self.contested.numbers };
        self.random.below(of)
    }

    /// The leaf in its scope; with the lock held around the scope now and then.
    fn suspended(&mut self, victim: Id, cell: Cell) -> (Block, Option<Id>) {
        let of_condition = matches!(cell.leaf, Leaf::Condition | Leaf::ConditionFor | Leaf::Reacquire);
        let same_task =
            matches!(cell.scope, Scope::TryCancelled | Scope::Finally | Scope::Timeout | Scope::GroupBody);
        self.contested.held = of_condition && same_task && self.random.one_in(3);
        let (body, inner) = self.sleeping_in_scope(victim, cell);
        if !std::mem::take(&mut self.contested.held) {
            return (body, inner);
        }
        let guarded = Guarded::Condition(self.contested.number);
        (vec![self.line(Statement::With { guarded, body })], inner)
    }

    /// How many others may wait for the same without letting it go on.
    fn room(&mut self, leaf: Leaf) -> usize {
        let wanted = self.random.between(0, 2);
        if leaf == Leaf::Barrier { wanted.min(parties_of(self.contested.number) - 2) } else { wanted }
    }

    fn operate(&mut self, operation: Operation) -> Line {
        self.line(Statement::Operate(operation))
    }

    fn with(&mut self, guarded: Guarded, body: Block) -> Line {
        self.line(Statement::With { guarded, body })
    }

    /// Statements that suspend for long on a leaf, unless others let them go on.
    pub(crate) fn primitive_leaf(&mut self, leaf: Leaf) -> Block {
        let number = self.contested.number;
        let condition = Guarded::Condition(number);
        let wait = match leaf {
            Leaf::ConditionFor => {
                Operation::WaitForLevel { condition: number, level: self.random.between(1, 4) }
            }
            _ => Operation::WaitCondition(number),
        };
        match leaf {
            Leaf::Lock => {
                let body = self.brief();
                vec![self.with(lock(number), body)]
            }
            Leaf::Event => {
                vec![self.operate(Operation::ClearEvent(number)), self.operate(Operation::WaitEvent(number))]
            }
            Leaf::Condition | Leaf::ConditionFor | Leaf::Reacquire => {
                let wait = self.operate(wait);
                if self.contested.held { vec![wait] } else { vec![self.with(condition, vec![wait])] }
            }
            Leaf::Semaphore => self.semaphore_leaf(semaphore(number)),
            Leaf::Barrier if self.random.one_in(4) => {
                let body = self.brief();
                vec![self.with(Guarded::Barrier(number), body)]
            }
            Leaf::Barrier => vec![self.operate(Operation::WaitBarrier(number))],
            Leaf::Get => self.after_some(Operation::GetNowait(number), 2, Operation::Get(number)),
            Leaf::Put => {
                let room = maxsize_of(number);
                self.after_some(Operation::PutNowait(number), room, Operation::Put(number))
            }
            Leaf::Join => self.after_some(Operation::PutNowait(number), 1, Operation::Join(number)),
            _ => unreachable!("{leaf:?} is of no primitive"),
        }
    }

    /// What is done within a lock, say.
    fn brief(&mut self) -> Block {
        let delay = self.short();
        let statement = match self.random.below(3) {
            0 => Statement::Log,
            1 => Statement::Sleep(0),
            _ => Statement::Sleep(delay),
        };
        vec![self.line(statement)]
    }

    /// Takes the permits that there are, and one more; for good, or in blocks.
    fn semaphore_leaf(&mut self, semaphore: Guarded) -> Block {
        let permits = match semaphore {
            Guarded::BoundedSemaphore(number) => bound_of(number),
            Guarded::Semaphore(number) => value_of(number),
            _ => unreachable!("it is no semaphore"),
        };
        let mut block = self.brief();
        if self.random.one_in(2) {
            for _ in 0..=permits {
                block = vec![self.with(semaphore, block)];
            }
            return block;
        }
        (0..=permits).map(|_| self.operate(Operation::Take(semaphore))).collect()
    }

    fn after_some(&mut self, first: Operation, times: usize, then: Operation) -> Block {
        let mut block: Block = (0..times).map(|_| self.operate(first.clone())).collect();
        block.push(self.operate(then));
        block
    }

    /// Some passes, or some time.
    fn soon(&mut self) -> Block {
        if self.random.one_in(2) {
            let delay = self.short();
            return vec![self.line(Statement::Sleep(delay))];
        }
        (0..self.random.below(4)).map(|_| self.line(Statement::Sleep(0))).collect()
    }

    /// Somebody who waits for the same.
    fn bystander(&mut self, leaf: Leaf) -> Line {
        let id = self.id();
        let body = self.primitive_leaf(leaf);
        self.spawn(Coroutine { id, scope: Scope::None, body }, None)
    }

    /// A task that lets others go on, and cancels the target in the same step.
    fn provoker(&mut self, leaf: Leaf, target: Option<Id>) -> Line {
        let id = self.id();
        let when = if target.is_none() && needs_holder(leaf) {
            let delay = self.long();
            vec![self.line(Statement::Sleep(delay))]
        } else {
            self.soon()
        };
        let (before, after) = self.around(leaf, target);
        let body = match leaf {
            Leaf::Lock => {
                let held = self.with(lock(self.contested.number), [when, before].concat());
                [vec![held], after].concat()
            }
            Leaf::Reacquire => {
                // After the victim.
                let mut body: Block = (0..4).map(|_| self.line(Statement::Sleep(0))).collect();
                let condition = self.contested.number;
                let advance = self.random.one_in(2);
                let notify = self.operate(Operation::Notify { condition, count: None, advance });
                let held = [vec![notify], when, before].concat();
                body.push(self.with(Guarded::Condition(condition), held));
                [body, after].concat()
            }
            _ => [when, before, self.release(leaf), after].concat(),
        };
        self.spawn(Coroutine { id, scope: Scope::None, body }, None)
    }

    /// What is done in the step in which somebody is let go on, before and after.
    fn around(&mut self, leaf: Leaf, target: Option<Id>) -> (Block, Block) {
        let mut sides = [Vec::new(), Vec::new()];
        if let Some(task) = target {
            let cancel = |this: &mut Self| {
                let with_message = this.random.one_in(2);
                this.line(Statement::Cancel { task, with_message })
            };
            let side = self.random.below(2);
            sides[side].push(cancel(self));
            if self.random.one_in(5) {
                sides[1].push(cancel(self));
            }
            if self.random.one_in(8) {
                sides[1].push(self.line(Statement::Uncancel(task)));
            }
        }
        // A newcomer.
        if self.random.one_in(3) {
            let side = self.random.below(2);
            if side == 1 || leaf != Leaf::Lock {
                let newcomer = self.bystander(leaf);
                sides[side].push(newcomer);
            }
        }
        if self.random.one_in(4) {
            sides[1].extend(self.primitive_leaf(leaf));
        }
        // What can be seen before those who were let go on have run.
        if self.random.one_in(3) {
            let look = self.look(leaf);
            let side = self.random.below(2);
            let at = self.random.below(sides[side].len() + 1);
            sides[side].insert(at, look);
        }
        let [before, after] = sides;
        (before, after)
    }

    /// Lets somebody go on who waits on such a leaf, if nothing else is in the way.
    pub(crate) fn release(&mut self, leaf: Leaf) -> Block {
        let number = self.contested.number;
        let times = self.random.between(1, 2);
        let shuts_down = self.random.one_in(8);
        let immediate = self.random.one_in(2);
        let shutdown = Operation::Shutdown { queue: number, immediate };
        let operations = match leaf {
            Leaf::Lock => return self.primitive_leaf(leaf),
            Leaf::Condition | Leaf::ConditionFor | Leaf::Reacquire => return self.notifies(number),
            Leaf::Event if times == 2 => vec![Operation::SetEvent(number), Operation::ClearEvent(number)],
            Leaf::Event => vec![Operation::SetEvent(number)],
            Leaf::Semaphore => vec![Operation::Release(semaphore(number)); times],
            Leaf::Barrier => match self.random.below(6) {
                0 => vec![Operation::Abort(number)],
                1 => vec![Operation::Reset(number)],
                _ => vec![Operation::WaitBarrier(number)],
            },
            Leaf::Get | Leaf::Put if shuts_down => vec![shutdown],
            Leaf::Get => vec![Operation::PutNowait(number); times],
            Leaf::Put => vec![Operation::GetNowait(number); times],
            Leaf::Join if shuts_down => vec![shutdown],
            Leaf::Join if times == 2 => vec![Operation::GetNowait(number), Operation::TaskDone(number)],
            Leaf::Join => vec![Operation::TaskDone(number)],
            _ => unreachable!("{leaf:?} is of no primitive"),
        };
        operations.into_iter().map(|operation| self.operate(operation)).collect()
    }

    /// Something that shows the state of what the situation is about, or takes of it what is there for the taking.
    fn look(&mut self, leaf: Leaf) -> Line {
        let number = self.contested.number;
        let takes = self.random.one_in(2);
        self.operate(match leaf {
            Leaf::Lock => Operation::Locked(lock(number)),
            Leaf::Condition | Leaf::ConditionFor | Leaf::Reacquire => {
                Operation::Locked(Guarded::Condition(number))
            }
            Leaf::Event => Operation::IsSet(number),
            Leaf::Semaphore if takes => Operation::TryTake(semaphore(number)),
            Leaf::Semaphore => Operation::Locked(semaphore(number)),
            Leaf::Barrier => Operation::LookBarrier(number),
            Leaf::Get if takes => Operation::GetNowait(number),
            Leaf::Put if takes => Operation::PutNowait(number),
            Leaf::Get | Leaf::Put | Leaf::Join => Operation::LookQueue(number),
            _ => unreachable!("{leaf:?} is of no primitive"),
        })
    }

    fn notifies(&mut self, condition: Number) -> Block {
        let count = self.random.pick(&[None, Some(1), Some(1), Some(2)]);
        let advance = !self.random.one_in(3);
        let notify = self.operate(Operation::Notify { condition, count, advance });
        if self.contested.held {
            return vec![notify];
        }
        vec![self.with(Guarded::Condition(condition), vec![notify])]
    }

    /// Something that `async with` takes.
    pub(crate) fn any_guarded(&mut self) -> Guarded {
        let number = self.anyone();
        match self.random.weighted(&[3, 4, 2, 2, 1]) {
            0 => Guarded::Lock(number),
            1 => Guarded::Condition(number),
            2 => Guarded::Semaphore(number),
            3 => Guarded::BoundedSemaphore(number),
            _ => Guarded::Barrier(number),
        }
    }

    /// Any operation; those that may wait for ever mostly within a time-out.
    pub(crate) fn any_operation(&mut self, place: &Place, delay: Micros) -> Statement {
        let number = self.anyone();
        let held: Vec<Number> = place.held.iter().flat_map(|lock| conditions_of(*lock)).collect();
        if !held.is_empty() && self.random.one_in(2) {
            let condition = self.random.pick(&held);
            return self.on_condition(condition, delay);
        }
        let semaphore = semaphore(number);
        match self.random.weighted(&[2, 3, 2, 1, 2, 1, 1, 2, 3, 2, 3, 2, 2, 2, 1, 2, 2, 2, 2]) {
            0 => {
                let of = self.random.pick(&[lock(number), semaphore]);
                Statement::Operate(Operation::Locked(of))
            }
            1 => Statement::Operate(Operation::Release(semaphore)),
            2 => Statement::Operate(Operation::SetEvent(number)),
            3 => Statement::Operate(Operation::ClearEvent(number)),
            4 => Statement::Operate(Operation::IsSet(number)),
            5 => Statement::Operate(Operation::Abort(number)),
            6 => Statement::Operate(Operation::Reset(number)),
            7 => Statement::Operate(Operation::LookBarrier(number)),
            8 => Statement::Operate(Operation::PutNowait(number)),
            9 => Statement::Operate(Operation::GetNowait(number)),
            10 => Statement::Operate(Operation::TaskDone(number)),
            11 => Statement::Operate(Operation::LookQueue(number)),
            12 => self.limited(Operation::WaitEvent(number), delay),
            13 => self.limited(Operation::Take(semaphore), delay),
            14 => self.limited(Operation::WaitBarrier(number), delay),
            15 => self.limited(Operation::Put(number), delay),
            16 => self.limited(Operation::Get(number), delay),
            17 => Statement::Operate(Operation::TryTake(semaphore)),
            _ if self.random.one_in(4) => {
                let immediate = self.random.one_in(2);
                Statement::Operate(Operation::Shutdown { queue: number, immediate })
            }
            _ => self.limited(Operation::Join(number), delay),
        }
    }

    /// Something that is done while the condition's lock is held.
    fn on_condition(&mut self, condition: Number, delay: Micros) -> Statement {
        match self.random.below(5) {
            0 => self.limited(Operation::WaitCondition(condition), delay),
            1 => {
                let level = self.random.between(1, 4);
                self.limited(Operation::WaitForLevel { condition, level }, delay)
            }
            _ => {
                let count = self.random.pick(&[None, Some(0), Some(1), Some(2)]);
                let advance = self.random.one_in(2);
                Statement::Operate(Operation::Notify { condition, count, advance })
            }
        }
    }

    fn limited(&mut self, operation: Operation, delay: Micros) -> Statement {
        if self.random.one_in(4) {
            return Statement::Operate(operation);
        }
        let body = vec![self.operate(operation)];
        let limited = Statement::Timeout { delay, body };
        if self.random.one_in(2) {
            return limited;
        }
        let body = vec![self.line(limited)];
        Statement::TryError { body, handler: Vec::new() }
    }
}
