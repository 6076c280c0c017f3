//! Random programs.
//!
//! A program is some situations (`situation.rs`) that were rare so far, some tasks that do anything, and some that only
//! cancel others at random moments. Who awaits whom has no cycles, so every program ends.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use crate::contention::Contested;
use crate::coverage::Cell;
use crate::primitive::LockId;
use crate::program::{Block, Coroutine, Gather, Id, Line, Micros, Scope, Source, Statement, Then, Until};
use crate::random::Random;

/// How deep blocks nest in a random coroutine.
const DEPTH: usize = 3;

/// A program with these situations in it, and some more.
pub(crate) fn with_situations(random: &mut Random, situations: &[Cell]) -> Arc<Coroutine> {
    let mut generator = Generator::new(random);
    let root = generator.id();
    let mut body = Vec::new();
    for cell in situations {
        body.extend(generator.situation(*cell));
        if generator.random.one_in(4) {
            let pause = generator.short();
            body.push(generator.line(Statement::Sleep(pause)));
        }
    }
    generator.finish(root, body, 0..=2)
}

/// A program of anything.
pub(crate) fn anything(random: &mut Random) -> Arc<Coroutine> {
    let mut generator = Generator::new(random);
    let root = generator.id();
    generator.finish(root, Vec::new(), 4..=10)
}

pub(crate) struct Generator<'a> {
    pub(crate) random: &'a mut Random,
    ids: Id,
    numbers: usize,
    /// Who awaits whom, directly.
    awaits: BTreeSet<(Id, Id)>,
    /// Tasks that can be awaited.
    tasks: Vec<Id>,
    /// Groups, with the coroutine whose body they are in.
    groups: Vec<(usize, Id)>,
    pub(crate) contested: Contested,
}

/// Where statements are made.
#[derive(Clone)]
pub(crate) struct Place {
    who: Id,
    depth: usize,
    timeouts: Vec<usize>,
    /// Locks of blocks around.
    pub(crate) held: Vec<LockId>,
    made: Vec<usize>,
}

impl Place {
    fn new(who: Id) -> Place {
        Place { who, depth: 0, timeouts: Vec::new(), held: Vec::new(), made: Vec::new() }
    }
}

impl<'a> Generator<'a> {
    fn new(random: &'a mut Random) -> Generator<'a> {
        Generator {
            random,
            ids: 0,
            numbers: 0,
            awaits: BTreeSet::new(),
            tasks: Vec::new(),
            groups: Vec::new(),
            contested: Contested::default(),
        }
    }

    /// Adds so many tasks that do anything, some that cancel others, and some statements for the root itself.
    fn finish(mut self, root: Id, mut body: Block, tasks: RangeInclusive<usize>) -> Arc<Coroutine> {
        for _ in 0..self.random.between(*tasks.start(), *tasks.end()) {
            body.push(self.spawn_random(0));
            if self.random.one_in(4) {
                body.push(self.line(Statement::Sleep(0)));
            }
        }
        for _ in 0..self.random.between(0, *tasks.end() / 2 + 1) {
            body.push(self.canceller());
        }
        body.extend(self.block(&mut Place::new(root), 3));
        Arc::new(Coroutine { id: root, scope: Scope::None, body })
    }

    pub(crate) fn id(&mut self) -> Id {
        self.ids += 1;
        self.ids - 1
    }

    pub(crate) fn number(&mut self) -> usize {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn line(&mut self, statement: Statement) -> Line {
        Line { number: self.number(), statement }
    }

    pub(crate) fn short(&mut self) -> Micros {
        self.random.between(1_000, 60_000) as Micros
    }

    pub(crate) fn long(&mut self) -> Micros {
        self.random.between(200_000, 3_000_000) as Micros
    }

    fn any_time(&mut self) -> Micros {
        if self.random.one_in(2) { self.short() } else { self.long() }
    }

    /// Of a time-out: none at all now and then.
    fn any_limit(&mut self) -> Micros {
        if self.random.one_in(8) { 0 } else { self.any_time() }
    }

    /// A task that can be awaited.
    pub(crate) fn spawn(&mut self, coroutine: Coroutine, group: Option<usize>) -> Line {
        self.tasks.push(coroutine.id);
        self.line(Statement::Spawn { coroutine: Arc::new(coroutine), group })
    }

    /// Notes that `who` awaits `whom`.
    pub(crate) fn note_await(&mut self, who: Id, whom: Id) {
        self.awaits.insert((who, whom));
    }

    pub(crate) fn note_group(&mut self, number: usize, who: Id) {
        self.groups.push((number, who));
    }

    /// Everybody who awaits `task`, directly or not; the task itself, too.
    fn awaiters(&self, task: Id) -> BTreeSet<Id> {
        let mut found = BTreeSet::from([task]);
        let mut new = vec![task];
        while let Some(task) = new.pop() {
            let awaiters = self.awaits.iter().filter(|(_, whom)| *whom == task);
            new.extend(awaiters.map(|(who, _)| *who).filter(|who| found.insert(*who)));
        }
        found
    }

    /// Some task that `who` may await.
    fn awaitable(&mut self, who: Id) -> Option<Id> {
        let awaiters = self.awaiters(who);
        let tasks: Vec<Id> = self.tasks.iter().copied().filter(|task| !awaiters.contains(task)).collect();
        if tasks.is_empty() {
            return None;
        }
        let task = self.random.pick(&tasks);
        self.note_await(who, task);
        Some(task)
    }

    fn awaitables(&mut self, who: Id) -> Vec<Id> {
        let wanted = self.random.between(1, 3);
        (0..wanted).filter_map(|_| self.awaitable(who)).collect()
    }

    fn anybody(&mut self) -> Id {
        self.random.below(self.ids)
    }

    fn spawn_random(&mut self, depth: usize) -> Line {
        let id = self.id();
        let group = if self.groups.is_empty() || !self.random.one_in(4) {
            None
        } else {
            let (group, owner) = self.random.pick(&self.groups.clone());
            Some((group, owner))
        };
        if let Some((_, owner)) = group {
            self.note_await(owner, id);
        }
        let scope = if group.is_some() { Scope::GroupChild } else { Scope::None };
        let coroutine = self.coroutine(id, scope, depth);
        self.spawn(coroutine, group.map(|(group, _)| group))
    }

    fn coroutine(&mut self, id: Id, scope: Scope, depth: usize) -> Coroutine {
        if depth > DEPTH {
            let delay = self.any_time();
            return Coroutine { id, scope, body: vec![self.line(Statement::Sleep(delay))] };
        }
        let mut place = Place { depth, ..Place::new(id) };
        let length = self.random.between(1, 4);
        Coroutine { id, scope, body: self.block(&mut place, length) }
    }

    /// A task that cancels somebody some time.
    fn canceller(&mut self) -> Line {
        let id = self.id();
        let mut body = Vec::new();
        for _ in 0..self.random.between(1, 3) {
            let when = if self.random.one_in(4) { 0 } else { self.any_time() };
            body.push(self.line(Statement::Sleep(when)));
            let task = self.anybody();
            let with_message = self.random.one_in(2);
            body.push(self.line(Statement::Cancel { task, with_message }));
            if self.random.one_in(6) {
                body.push(self.line(Statement::Uncancel(task)));
            }
        }
        self.spawn(Coroutine { id, scope: Scope::None, body }, None)
    }

    fn block(&mut self, place: &mut Place, length: usize) -> Block {
        (0..length).map(|_| self.statement(place)).collect()
    }

    /// A block that nests in `place`.
    fn inner(&mut self, place: &Place) -> Block {
        let mut place = Place { depth: place.depth + 1, ..place.clone() };
        let length = self.random.between(1, 3);
        self.block(&mut place, length)
    }

    /// What a handler or a clean-up does: often nothing much.
    pub(crate) fn handler(&mut self, who: Id) -> Block {
        let delay = self.short();
        match self.random.below(6) {
            0 => Vec::new(),
            1 => vec![self.line(Statement::Log)],
            2 => vec![self.line(Statement::Sleep(0))],
            3 | 4 => vec![self.line(Statement::Sleep(delay))],
            _ => {
                let mut place = Place { depth: DEPTH, ..Place::new(who) };
                self.block(&mut place, 2)
            }
        }
    }

    pub(crate) fn then(&mut self) -> Then {
        self.random.pick(&[Then::Swallow, Then::Raise, Then::Raise, Then::Fail])
    }

    fn statement(&mut self, place: &mut Place) -> Line {
        let number = self.number();
        let statement = if place.depth < DEPTH && self.random.one_in(3) {
            self.with_blocks(place, number)
        } else {
            self.simple(place)
        };
        if matches!(statement, Statement::Make { .. }) {
            place.made.push(number);
        }
        Line { number, statement }
    }

    fn with_blocks(&mut self, place: &Place, number: usize) -> Statement {
        let who = place.who;
        match self.random.below(8) {
            0 | 1 => Statement::TryCancelled {
                body: self.inner(place),
                handler: self.handler(who),
                then: self.then(),
            },
            2 => Statement::TryError { body: self.inner(place), handler: self.handler(who) },
            3 => Statement::Finally { body: self.inner(place), clean_up: self.handler(who) },
            4 => {
                let delay = self.any_limit();
                let mut inside = place.clone();
                inside.timeouts.push(number);
                Statement::Timeout { delay, body: self.inner(&inside) }
            }
            5 | 6 => {
                let guarded = self.any_guarded();
                let mut inside = place.clone();
                inside.held.extend(guarded.lock());
                Statement::With { guarded, body: self.inner(&inside) }
            }
            _ => {
                self.note_group(number, who);
                let mut body = Vec::new();
                for _ in 0..self.random.between(0, 2) {
                    let id = self.id();
                    self.note_await(who, id);
                    let coroutine = self.coroutine(id, Scope::GroupChild, place.depth + 1);
                    body.push(self.spawn(coroutine, Some(number)));
                }
                body.extend(self.inner(place));
                Statement::Group(body)
            }
        }
    }

    fn simple(&mut self, place: &Place) -> Statement {
        const WEIGHTS: [usize; 20] = [2, 2, 1, 4, 3, 2, 2, 4, 4, 5, 2, 3, 4, 5, 2, 2, 6, 4, 1, 18];
        let who = place.who;
        match self.random.weighted(&WEIGHTS) {
            0 if place.made.is_empty() => Statement::Log,
            1 => Statement::Raise,
            2 => Statement::Panic,
            3 => self.spawn_random(place.depth + 1).statement,
            4 => Statement::Cancel { task: self.anybody(), with_message: self.random.one_in(2) },
            5 => Statement::Uncancel(self.anybody()),
            6 => Statement::Look(self.anybody()),
            7 => Statement::Sleep(0),
            8 => Statement::Sleep(self.any_time()),
            9 => self.awaitable(who).map_or(Statement::Log, Statement::Await),
            10 => {
                let delay = self.any_limit();
                Statement::WaitFor { source: self.source(place, Scope::WaitFor), delay }
            }
            11 => Statement::Shield(self.source(place, Scope::Shield)),
            12 => {
                let (sources, mode) = self.gather(place);
                Statement::Gather { sources, mode }
            }
            0 if !place.made.is_empty() => {
                let gather = self.random.pick(&place.made);
                Statement::CancelMade { gather, with_message: self.random.one_in(2) }
            }
            13 if !place.made.is_empty() => Statement::AwaitMade(self.random.pick(&place.made)),
            13 => {
                let (sources, mode) = self.gather(place);
                Statement::Make { sources, mode }
            }
            14 => {
                let until = self.random.pick(&[Until::All, Until::FirstCompleted, Until::FirstException]);
                let timeout = self.random.one_in(2).then(|| self.any_limit());
                self.on_tasks(who, |tasks| Statement::Wait { tasks, until, timeout })
            }
            15 => {
                let timeout = self.random.one_in(2).then(|| self.any_limit());
                self.on_tasks(who, |tasks| Statement::AsCompleted { tasks, timeout })
            }
            16 if !place.timeouts.is_empty() => {
                let timeout = self.random.pick(&place.timeouts);
                let delay = match self.random.below(5) {
                    0 => None,
                    1 => Some(0),
                    _ => Some(self.any_time()),
                };
                Statement::Reschedule { timeout, delay }
            }
            17 if !place.timeouts.is_empty() => Statement::LookTimeout(self.random.pick(&place.timeouts)),
            19 => {
                let delay = self.any_limit();
                self.any_operation(place, delay)
            }
            18 => Statement::Cancel { task: who, with_message: self.random.one_in(2) },
            _ => Statement::Sleep(self.any_time()),
        }
    }

    fn on_tasks(&mut self, who: Id, make: impl FnOnce(Vec<Id>) -> Statement) -> Statement {
        let tasks = self.awaitables(who);
        if tasks.is_empty() { Statement::Log } else { make(tasks) }
    }

    fn source(&mut self, place: &Place, scope: Scope) -> Source {
        if self.random.one_in(2)
            && let Some(task) = self.awaitable(place.who)
        {
            return Source::Task(task);
        }
        self.source_coroutine(place, scope)
    }

    fn source_coroutine(&mut self, place: &Place, scope: Scope) -> Source {
        let id = self.id();
        self.note_await(place.who, id);
        Source::Coroutine(Arc::new(self.coroutine(id, scope, place.depth + 1)))
    }

    fn gather(&mut self, place: &Place) -> (Vec<Source>, Gather) {
        let mode = self.random.pick(&[Gather::First, Gather::First, Gather::Outcomes, Gather::Values]);
        let count = self.random.between(1, 3);
        let mut sources: Vec<Source> = (0..count)
            .map(|_| match mode {
                Gather::Values => self.source_coroutine(place, Scope::GatherChild),
                _ => self.source(place, Scope::GatherChild),
            })
            .collect();
        if let Some(Source::Task(id)) = sources.first()
            && self.random.one_in(4)
        {
            sources.push(Source::Task(*id));
        }
        (sources, mode)
    }
}
