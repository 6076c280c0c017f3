//! Programs' parts in which a certain thing hits a task that is suspended on a certain statement in a certain scope.

use std::sync::Arc;

use crate::coverage::{Cell, Leaf};
use crate::generator::Generator;
use crate::model::Cause;
use crate::program::{Block, Coroutine, Gather, Id, Line, Micros, Scope, Source, Statement, Until};

/// A failure, or nothing, after some time.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    /// It sleeps for long.
    Sleeps,
    Fails,
    Panics,
}

impl Generator<'_> {
    /// Statements for somebody who does not wait for what they begin.
    pub(crate) fn situation(&mut self, cell: Cell) -> Vec<Line> {
        if cell.leaf.is_of_primitive() {
            return self.contention(cell);
        }
        let victim = self.id();
        match cell.hit {
            Cause::Cancel => {
                let (body, inner) = self.sleeping_in_scope(victim, cell);
                let target = self.target(victim, cell, inner);
                let victim = self.spawn(Coroutine { id: victim, scope: Scope::None, body }, None);
                vec![victim, self.cancels(target, cell.leaf)]
            }
            Cause::Timeout => {
                let (body, inner) = self.scoped(victim, cell, Fate::Sleeps, None);
                let victim_line = self.spawn(Coroutine { id: victim, scope: Scope::None, body }, None);
                let target = self.target(victim, cell, inner);
                let outside = self.times_out(target, cell.leaf);
                vec![victim_line, outside]
            }
            Cause::Error | Cause::Panic => {
                let body = self.fails(victim, cell);
                let victim_line = self.spawn(Coroutine { id: victim, scope: Scope::None, body }, None);
                let mut lines = vec![victim_line];
                if self.random.one_in(3) {
                    lines.push(self.observer(victim));
                }
                lines
            }
        }
    }

    /// The leaf in its scope, and the task that is suspended on it, if that is not the victim.
    pub(crate) fn sleeping_in_scope(&mut self, victim: Id, cell: Cell) -> (Block, Option<Id>) {
        self.scoped(victim, cell, Fate::Sleeps, None)
    }

    /// Whom to hit: the victim, or the task within that is suspended on the leaf.
    pub(crate) fn target(&mut self, victim: Id, cell: Cell, inner: Option<Id>) -> Id {
        inner.filter(|_| cell.scope == Scope::Shield || self.random.one_in(2)).unwrap_or(victim)
    }

    /// A task that awaits the victim, come what may.
    fn observer(&mut self, victim: Id) -> Line {
        let id = self.id();
        self.note_await(id, victim);
        let body = vec![self.line(Statement::Await(victim))];
        self.spawn(Coroutine { id, scope: Scope::None, body }, None)
    }

    pub(crate) fn cancels(&mut self, target: Id, leaf: Leaf) -> Line {
        let id = self.id();
        let when = if leaf == Leaf::Yield { 0 } else { self.short() };
        let mut body = vec![self.line(Statement::Sleep(when))];
        let with_message = self.random.one_in(2);
        body.push(self.line(Statement::Cancel { task: target, with_message }));
        if self.random.one_in(5) {
            let again = if self.random.one_in(2) { 0 } else { self.short() };
            body.push(self.line(Statement::Sleep(again)));
            body.push(self.line(Statement::Cancel { task: target, with_message: !with_message }));
        }
        self.spawn(Coroutine { id, scope: Scope::None, body }, None)
    }

    pub(crate) fn times_out(&mut self, target: Id, leaf: Leaf) -> Line {
        let id = self.id();
        self.note_await(id, target);
        let delay = if leaf == Leaf::Yield { 0 } else { self.short() };
        let mut body = Vec::new();
        let await_target = self.line(Statement::Await(target));
        body.push(self.line(Statement::Timeout { delay, body: vec![await_target] }));
        self.spawn(Coroutine { id, scope: Scope::None, body }, None)
    }

    /// The body of a victim that is hit by a failure: that of what it awaits, or that of a sibling in a group.
    pub(crate) fn fails(&mut self, victim: Id, cell: Cell) -> Block {
        let fate = if cell.hit == Cause::Error { Fate::Fails } else { Fate::Panics };
        let raises = matches!(cell.leaf, Leaf::Task | Leaf::Gather | Leaf::Shield | Leaf::GroupEnd);
        if raises && self.random.one_in(2) {
            return self.scoped(victim, cell, fate, None).0;
        }
        let group = self.number();
        self.note_group(group, victim);
        let bad = self.id();
        self.note_await(victim, bad);
        let mut bad_body = self.ill_fated(fate, cell.leaf == Leaf::Yield);
        if cell.leaf.is_of_primitive() && self.random.one_in(3) {
            // In the step in which it fails.
            let release = self.release(cell.leaf);
            let fails = bad_body.len() - 1;
            bad_body.splice(fails..fails, release);
        }
        let bad_line =
            self.spawn(Coroutine { id: bad, scope: Scope::GroupChild, body: bad_body }, Some(group));
        let mut body = vec![bad_line];
        if cell.scope == Scope::GroupBody {
            body.extend(self.leaf(victim, cell.leaf, Fate::Sleeps));
        } else if cell.scope == Scope::None {
            let (spawn, inner) = self.inner_task(victim, cell, Fate::Sleeps, None);
            body.extend([spawn, self.line(Statement::Await(inner))]);
        } else if cell.scope != Scope::GroupChild && self.random.one_in(2) {
            let child = self.id();
            self.note_await(victim, child);
            let (inside, _) = self.scoped(child, cell, Fate::Sleeps, Some(group));
            body.push(
                self.spawn(Coroutine { id: child, scope: Scope::GroupChild, body: inside }, Some(group)),
            );
        } else {
            body.extend(self.scoped(victim, cell, Fate::Sleeps, Some(group)).0);
        }
        vec![Line { number: group, statement: Statement::Group(body) }]
    }

    /// A body that ends as said.
    fn ill_fated(&mut self, fate: Fate, at_once: bool) -> Block {
        let delay = match fate {
            Fate::Sleeps => self.long(),
            _ if at_once => 0,
            _ => self.short(),
        };
        let mut body = Vec::new();
        if delay > 0 {
            body.push(self.line(Statement::Sleep(delay)));
        }
        match fate {
            Fate::Sleeps => {}
            Fate::Fails => body.push(self.line(Statement::Raise)),
            Fate::Panics => body.push(self.line(Statement::Panic)),
        }
        body
    }

    fn ill_fated_coroutine(&mut self, who: Id, scope: Scope, fate: Fate) -> Coroutine {
        let id = self.id();
        self.note_await(who, id);
        Coroutine { id, scope, body: self.ill_fated(fate, false) }
    }

    /// The leaf in its scope, for `who` to run; and the task that is suspended on the leaf, if that is another.
    ///
    /// Children are made in `group`, if there is one, so that a failure there hits them.
    fn scoped(&mut self, who: Id, cell: Cell, fate: Fate, group: Option<usize>) -> (Block, Option<Id>) {
        match cell.scope {
            Scope::None => (self.leaf(who, cell.leaf, fate), None),
            Scope::TryCancelled => {
                let body = self.leaf(who, cell.leaf, fate);
                let statement =
                    Statement::TryCancelled { body, handler: self.handler(who), then: self.then() };
                (vec![self.line(statement)], None)
            }
            Scope::Finally => {
                let body = self.leaf(who, cell.leaf, fate);
                let statement = Statement::Finally { body, clean_up: self.handler(who) };
                (vec![self.line(statement)], None)
            }
            Scope::Timeout => {
                let delay = self.own_delay(cell);
                let body = self.leaf(who, cell.leaf, fate);
                (vec![self.line(Statement::Timeout { delay, body })], None)
            }
            Scope::WaitFor => {
                let delay = self.own_delay(cell).max(1_000);
                let inner = self.id();
                self.note_await(who, inner);
                let body = self.leaf(inner, cell.leaf, fate);
                let coroutine = Arc::new(Coroutine { id: inner, scope: Scope::WaitFor, body });
                let statement = Statement::WaitFor { source: Source::Coroutine(coroutine), delay };
                (vec![self.line(statement)], None)
            }
            Scope::GroupBody => {
                let number = self.number();
                self.note_group(number, who);
                let body = self.leaf(who, cell.leaf, fate);
                (vec![Line { number, statement: Statement::Group(body) }], None)
            }
            Scope::GroupChild => self.in_group_child(who, cell, fate, group),
            Scope::Shield => {
                let (spawn, inner) = self.inner_task(who, cell, fate, group);
                let shield = self.line(Statement::Shield(Source::Task(inner)));
                (vec![spawn, shield], Some(inner))
            }
            Scope::GatherChild => self.in_gather_child(who, cell, fate, group),
        }
    }

    fn own_delay(&mut self, cell: Cell) -> Micros {
        match (cell.hit, cell.leaf) {
            (Cause::Timeout, Leaf::Yield) => 0,
            (Cause::Timeout, leaf) if leaf.is_of_primitive() && self.random.one_in(4) => 0,
            (Cause::Timeout, _) if self.random.one_in(2) => self.short(),
            _ => self.long() + 4_000_000,
        }
    }

    fn inner_task(&mut self, who: Id, cell: Cell, fate: Fate, group: Option<usize>) -> (Line, Id) {
        let inner = self.id();
        self.note_await(who, inner);
        let body = self.leaf(inner, cell.leaf, fate);
        (self.spawn(Coroutine { id: inner, scope: cell.scope, body }, group), inner)
    }

    fn in_group_child(
        &mut self,
        who: Id,
        cell: Cell,
        fate: Fate,
        group: Option<usize>,
    ) -> (Block, Option<Id>) {
        if group.is_some() {
            let (spawn, inner) = self.inner_task(who, cell, fate, group);
            return (vec![spawn], Some(inner));
        }
        let number = self.number();
        self.note_group(number, who);
        let (spawn, inner) = self.inner_task(who, cell, fate, Some(number));
        (vec![Line { number, statement: Statement::Group(vec![spawn]) }], Some(inner))
    }

    fn in_gather_child(
        &mut self,
        who: Id,
        cell: Cell,
        fate: Fate,
        group: Option<usize>,
    ) -> (Block, Option<Id>) {
        let mode = self.random.pick(&[Gather::First, Gather::Outcomes, Gather::Values]);
        // A task, if somebody may want to await it by itself.
        let as_task = mode != Gather::Values && self.random.one_in(2);
        let (mut lines, source, inner) = if as_task {
            let (spawn, inner) = self.inner_task(who, cell, fate, group);
            (vec![spawn], Source::Task(inner), Some(inner))
        } else {
            let inner = self.id();
            self.note_await(who, inner);
            let body = self.leaf(inner, cell.leaf, fate);
            let coroutine = Coroutine { id: inner, scope: Scope::GatherChild, body };
            (Vec::new(), Source::Coroutine(Arc::new(coroutine)), None)
        };
        let mut sources = vec![source];
        if self.random.one_in(2) {
            let other = self.ill_fated_coroutine(who, Scope::GatherChild, Fate::Sleeps);
            sources.insert(self.random.below(2), Source::Coroutine(Arc::new(other)));
        }
        lines.push(self.line(Statement::Gather { sources, mode }));
        (lines, inner)
    }

    /// Statements that suspend `who` on a leaf for long, or until the failure that is its fate.
    fn leaf(&mut self, who: Id, leaf: Leaf, fate: Fate) -> Block {
        match leaf {
            leaf if leaf.is_of_primitive() => self.primitive_leaf(leaf),
            Leaf::Sleep => {
                let delay = self.long();
                vec![self.line(Statement::Sleep(delay))]
            }
            Leaf::Yield => (0..4).map(|_| self.line(Statement::Sleep(0))).collect(),
            Leaf::TimeoutSleep => {
                let delay = self.long();
                let longer = delay + self.long();
                let sleep = self.line(Statement::Sleep(delay));
                vec![self.line(Statement::Timeout { delay: longer, body: vec![sleep] })]
            }
            Leaf::Task => {
                let task = self.ill_fated_coroutine(who, Scope::None, fate);
                let id = task.id;
                vec![self.spawn(task, None), self.line(Statement::Await(id))]
            }
            Leaf::Shield => {
                let inner = self.ill_fated_coroutine(who, Scope::Shield, fate);
                if self.random.one_in(2) {
                    return vec![self.line(Statement::Shield(Source::Coroutine(Arc::new(inner))))];
                }
                let id = inner.id;
                vec![self.spawn(inner, None), self.line(Statement::Shield(Source::Task(id)))]
            }
            Leaf::Gather => self.gather_leaf(who, fate),
            Leaf::Wait | Leaf::AsCompleted => self.wait_leaf(who, leaf),
            Leaf::GroupEnd => {
                let number = self.number();
                self.note_group(number, who);
                let mut body = Vec::new();
                if fate != Fate::Sleeps || self.random.one_in(2) {
                    let child = self.ill_fated_coroutine(who, Scope::GroupChild, fate);
                    body.push(self.spawn(child, Some(number)));
                }
                let child = self.ill_fated_coroutine(who, Scope::GroupChild, Fate::Sleeps);
                body.push(self.spawn(child, Some(number)));
                vec![Line { number, statement: Statement::Group(body) }]
            }
            _ => unreachable!("of a primitive"),
        }
    }

    fn gather_leaf(&mut self, who: Id, fate: Fate) -> Block {
        // With the other modes failures are values.
        let mode = match fate {
            Fate::Sleeps => self.random.pick(&[Gather::First, Gather::Outcomes, Gather::Values]),
            _ => Gather::First,
        };
        let mut lines = Vec::new();
        let mut sources = Vec::new();
        for fate in [fate, Fate::Sleeps] {
            let child = self.ill_fated_coroutine(who, Scope::GatherChild, fate);
            if mode == Gather::Values || self.random.one_in(2) {
                sources.push(Source::Coroutine(Arc::new(child)));
            } else {
                sources.push(Source::Task(child.id));
                lines.push(self.spawn(child, None));
            }
        }
        lines.push(self.line(Statement::Gather { sources, mode }));
        lines
    }

    fn wait_leaf(&mut self, who: Id, leaf: Leaf) -> Block {
        let mut lines = Vec::new();
        let mut tasks = Vec::new();
        for _ in 0..self.random.between(1, 2) {
            let child = self.ill_fated_coroutine(who, Scope::None, Fate::Sleeps);
            tasks.push(child.id);
            lines.push(self.spawn(child, None));
        }
        let timeout = self.random.one_in(3).then(|| self.long());
        let until = self.random.pick(&[Until::All, Until::FirstCompleted, Until::FirstException]);
        let statement = match leaf {
            Leaf::Wait => Statement::Wait { tasks, until, timeout },
            _ => Statement::AsCompleted { tasks, timeout },
        };
        lines.push(self.line(statement));
        lines
    }
}
