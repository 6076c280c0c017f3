//! What occurred in the programs that were run: constructs, and what hit which suspended statement in which scope.

use std::collections::BTreeMap;
use std::fmt;

use crate::model::Cause;
use crate::primitive::Operation;
use crate::program::{Block, Coroutine, Scope, Statement};

/// What a task can be suspended on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Leaf {
    Sleep,
    Yield,
    Task,
    Gather,
    Wait,
    AsCompleted,
    Shield,
    GroupEnd,
    TimeoutSleep,
    Lock,
    Event,
    Condition,
    ConditionFor,
    /// A condition's lock, by a wait that ends.
    Reacquire,
    Semaphore,
    Barrier,
    Get,
    Put,
    Join,
}

impl Leaf {
    pub(crate) const ALL: [Leaf; 19] = [
        Leaf::Sleep,
        Leaf::Yield,
        Leaf::Task,
        Leaf::Gather,
        Leaf::Wait,
        Leaf::AsCompleted,
        Leaf::Shield,
        Leaf::GroupEnd,
        Leaf::TimeoutSleep,
        Leaf::Lock,
        Leaf::Event,
        Leaf::Condition,
        Leaf::ConditionFor,
        Leaf::Reacquire,
        Leaf::Semaphore,
        Leaf::Barrier,
        Leaf::Get,
        Leaf::Put,
        Leaf::Join,
    ];

    /// Whether it is a wait for a lock, a queue or the like.
    pub(crate) fn is_of_primitive(self) -> bool {
        self >= Leaf::Lock
    }
}

impl Cause {
    pub(crate) const ALL: [Cause; 4] = [Cause::Cancel, Cause::Timeout, Cause::Error, Cause::Panic];
}

/// A scope, what is suspended directly in it, and what hits it there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cell {
    pub(crate) scope: Scope,
    pub(crate) leaf: Leaf,
    pub(crate) hit: Cause,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    /// How many statements there are of each name.
    constructs: BTreeMap<&'static str, usize>,
    cells: BTreeMap<Cell, usize>,
}

impl Coverage {
    pub(crate) fn hit(&mut self, scope: Scope, leaf: Leaf, hit: Cause) {
        *self.cells.entry(Cell { scope, leaf, hit }).or_default() += 1;
    }

    pub(crate) fn hits(&self, cell: Cell) -> usize {
        self.cells.get(&cell).copied().unwrap_or_default()
    }

    /// How many statements have this name.
    pub(crate) fn constructs_of(&self, name: &str) -> usize {
        self.constructs.get(name).copied().unwrap_or_default()
    }

    /// Counts the statements of a program.
    pub(crate) fn constructs(&mut self, root: &Coroutine) {
        let mut names = BTreeMap::new();
        collect(&root.body, &mut names);
        for (name, count) in names {
            *self.constructs.entry(name).or_default() += count;
        }
    }

    pub(crate) fn add(&mut self, other: &Coverage) {
        for (name, count) in &other.constructs {
            *self.constructs.entry(name).or_default() += count;
        }
        for (cell, count) in &other.cells {
            *self.cells.entry(*cell).or_default() += count;
        }
    }

    /// All cells, the rarest first.
    pub(crate) fn rarest(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = cells().collect();
        cells.sort_by_key(|cell| self.hits(*cell));
        cells
    }

    /// What is in fewer than `wanted` places.
    pub(crate) fn gaps(&self, wanted: usize) -> Vec<String> {
        let cells = cells().filter(|cell| self.hits(*cell) < wanted);
        let cells = cells
            .map(|cell| format!("{:?} x {:?} x {:?}: {}", cell.scope, cell.leaf, cell.hit, self.hits(cell)));
        let names = Statement::NAMES.iter().chain(&Operation::NAMES);
        let constructs = names.filter(|name| self.constructs_of(name) < wanted);
        let constructs = constructs.map(|name| format!("{name}: {}", self.constructs_of(name)));
        cells.chain(constructs).collect()
    }
}

fn cells() -> impl Iterator<Item = Cell> {
    Scope::ALL.into_iter().flat_map(|scope| {
        Leaf::ALL
            .into_iter()
            .flat_map(move |leaf| Cause::ALL.into_iter().map(move |hit| Cell { scope, leaf, hit }))
    })
}

fn collect(block: &Block, names: &mut BTreeMap<&'static str, usize>) {
    for line in block {
        *names.entry(line.statement.name()).or_default() += 1;
        line.statement.for_each_block(&mut |block| collect(block, names));
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "suspended leaf, by scope: hits by cancel/time-out/error/panic")?;
        write!(f, "{:<12}", "")?;
        for scope in Scope::ALL {
            write!(f, " {:>19}", format!("{scope:?}"))?;
        }
        writeln!(f)?;
        for leaf in Leaf::ALL {
            write!(f, "{:<12}", format!("{leaf:?}"))?;
            for scope in Scope::ALL {
                let hits = Cause::ALL.map(|hit| self.hits(Cell { scope, leaf, hit }).to_string());
                write!(f, " {:>19}", hits.join("/"))?;
            }
            writeln!(f)?;
        }
        writeln!(f, "statements:")?;
        for (name, count) in &self.constructs {
            writeln!(f, "  {name:<28} {count:>7}")?;
        }
        Ok(())
    }
}
