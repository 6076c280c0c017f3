//! Random trees of foreign combinators around leaves and scopes of ours, and what a hit must come to in them.

use proptest::prelude::*;

use super::build::Run;
use super::support::Flavour;

/// How a join polls its branches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Join {
    /// `futures_util::join!` of two, or `join_all` of few: all branches, in order.
    Plain,
    /// A combinator that was written by hand: all branches in order, each with a waker of its own.
    OwnWakers,
    /// The same, from the last to the first.
    Backwards,
    /// `FuturesUnordered`.
    Unordered,
    /// `FuturesOrdered`.
    Ordered,
    /// `join_all` of more than 30.
    Large,
    /// `buffer_unordered`.
    Buffered,
    /// A combinator that was written by hand: only branches that were woken.
    WokenOnly,
}

impl Join {
    const ALL: [Join; 8] = [
        Join::Plain,
        Join::OwnWakers,
        Join::Backwards,
        Join::Unordered,
        Join::Ordered,
        Join::Large,
        Join::Buffered,
        Join::WokenOnly,
    ];

    /// Whether a poll of the join polls every branch that has not ended.
    fn polls_all(self) -> bool {
        matches!(self, Join::Plain | Join::OwnWakers | Join::Backwards)
    }
}

/// A future that does nothing but poll another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrapper {
    Boxed,
    Shared,
    Either,
    Abortable,
    /// `catch_unwind`; the panic goes on behind it.
    CatchUnwind,
    /// `into_stream`, and its first item.
    Stream,
}

impl Wrapper {
    const ALL: [Wrapper; 6] = [
        Wrapper::Boxed,
        Wrapper::Shared,
        Wrapper::Either,
        Wrapper::Abortable,
        Wrapper::CatchUnwind,
        Wrapper::Stream,
    ];
}

/// A future. Times are in milliseconds, and even, so that a hit at an odd one meets nothing else.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    Sleep(u64),
    /// Awaits a task that sleeps, and then cleans up for so long.
    Task(u64, u64),
    /// Panics at this (odd) time.
    Panic(u64),
    Wrap(Wrapper, Box<Node>),
    Join(Join, Vec<Node>),
    /// `finally`, with a clean-up that takes so long.
    Finally(u64, Box<Node>),
    /// `finally(..).or_spawn()`.
    OrSpawn(u64, Box<Node>),
    Catch(Box<Node>),
    /// `select` of two: the loser is dropped.
    Select(Box<Node>, Box<Node>),
}

impl Node {
    pub(crate) fn children(&self) -> Vec<&Node> {
        match self {
            Node::Sleep(_) | Node::Task(..) | Node::Panic(_) => Vec::new(),
            Node::Wrap(_, inside)
            | Node::Finally(_, inside)
            | Node::OrSpawn(_, inside)
            | Node::Catch(inside) => {
                vec![inside]
            }
            Node::Join(_, branches) => branches.iter().collect(),
            Node::Select(left, right) => vec![left, right],
        }
    }
}

fn even(times: std::ops::Range<u64>) -> impl Strategy<Value = u64> {
    (times.start / 2..times.end / 2).prop_map(|half| 2 * half)
}

fn odd() -> impl Strategy<Value = u64> {
    (0..30_u64).prop_map(|half| 2 * half + 1)
}

/// Long enough that most hits come before.
fn leaves() -> impl Strategy<Value = Node> + Clone + 'static {
    let task = (even(10..60), even(2..20)).prop_map(|(time, clean_up)| Node::Task(time, clean_up));
    prop_oneof![3 => even(10..80).prop_map(Node::Sleep), 1 => task].boxed()
}

/// One layer of a tree.
#[derive(Clone, Debug)]
enum Layer {
    Wrap(Wrapper),
    Join(Join, Vec<Node>, Vec<Node>),
    Finally(u64),
    OrSpawn(u64),
    Catch,
    Select(Node, bool),
}

impl Layer {
    fn around(self, node: Node) -> Node {
        let inside = Box::new(node);
        match self {
            Layer::Wrap(wrapper) => Node::Wrap(wrapper, inside),
            Layer::Join(join, before, after) => {
                Node::Join(join, before.into_iter().chain([*inside]).chain(after).collect())
            }
            Layer::Finally(clean_up) => Node::Finally(clean_up, inside),
            Layer::OrSpawn(clean_up) => Node::OrSpawn(clean_up, inside),
            Layer::Catch => Node::Catch(inside),
            Layer::Select(other, true) => Node::Select(Box::new(other), inside),
            Layer::Select(other, false) => Node::Select(inside, Box::new(other)),
        }
    }
}

/// Layers, with `branches` beside the tree in joins.
fn layers(select: bool, branches: BoxedStrategy<Node>) -> impl Strategy<Value = Vec<Layer>> {
    let beside = prop::collection::vec(branches.clone(), 0..3);
    let layer = prop_oneof![
        3 => prop::sample::select(&Wrapper::ALL).prop_map(Layer::Wrap),
        4 => (prop::sample::select(&Join::ALL), beside.clone(), beside)
            .prop_map(|(join, before, after)| Layer::Join(join, before, after)),
        2 => even(2..20).prop_map(Layer::Finally),
        1 => even(2..20).prop_map(Layer::OrSpawn),
        1 => Just(Layer::Catch),
        (if select { 2 } else { 0 }) => (branches, any::<bool>()).prop_map(|(other, last)| Layer::Select(other, last)),
    ];
    prop::collection::vec(layer, 0..6)
}

/// Trees with this in the midst of them. With `select`, what a hit comes to depends on more than where it hits.
pub(crate) fn trees(select: bool, innermost: impl Strategy<Value = Node>) -> impl Strategy<Value = Node> {
    let grow =
        |(node, layers): (Node, Vec<Layer>)| layers.into_iter().fold(node, |node, layer| layer.around(node));
    let branches = (leaves(), layers(select, leaves().boxed())).prop_map(grow).boxed();
    (innermost, layers(select, branches)).prop_map(grow)
}

/// Trees of any kind, some with a panic in the midst.
pub(crate) fn all_trees() -> impl Strategy<Value = Node> {
    trees(true, prop_oneof![3 => leaves(), 1 => (0..60_u64).prop_map(Node::Panic)])
}

/// What strikes the task, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hit {
    Cancel(u64),
    /// A `timeout` around all of it.
    Timeout(u64),
    /// A leaf of the tree, `Node::Panic`.
    Panic(u64),
}

impl Hit {
    pub(crate) fn at(self) -> u64 {
        match self {
            Hit::Cancel(at) | Hit::Timeout(at) | Hit::Panic(at) => at,
        }
    }
}

/// A tree, and a hit at an odd time.
pub(crate) fn hit_trees() -> impl Strategy<Value = (Node, Hit)> {
    let panics = odd().prop_flat_map(|at| (trees(false, Just(Node::Panic(at))), Just(Hit::Panic(at))));
    prop_oneof![
        (trees(false, leaves()), odd().prop_map(Hit::Cancel)),
        (trees(false, leaves()), odd().prop_map(Hit::Timeout)),
        panics,
    ]
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Begun,
    Ended,
    /// Before its end.
    Dropped,
    CleanUp,
    CleanedUp,
    Caught,
}

/// What happened, to which node, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Events(pub(crate) Vec<(u64, usize, What)>);

impl Events {
    /// When something happened to a node.
    pub(crate) fn times(&self, node: usize, what: What) -> Vec<u64> {
        self.0.iter().filter(|event| event.1 == node && event.2 == what).map(|event| event.0).collect()
    }

    fn happened(&self, node: usize, what: What, before: u64) -> bool {
        self.times(node, what).iter().any(|time| *time < before)
    }
}

/// How a task ended, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Value,
    TimedOut(u64),
    Cancelled(u64),
    Panicked(u64),
}

/// The nodes of a tree, each before those in it: their places are their numbers.
pub(crate) struct Flat<'a> {
    nodes: Vec<&'a Node>,
    parents: Vec<Option<usize>>,
}

impl<'a> Flat<'a> {
    pub(crate) fn new(tree: &'a Node) -> Flat<'a> {
        let mut flat = Flat { nodes: Vec::new(), parents: Vec::new() };
        flat.add(tree, None);
        flat
    }

    fn add(&mut self, node: &'a Node, parent: Option<usize>) {
        let number = self.nodes.len();
        self.nodes.push(node);
        self.parents.push(parent);
        for child in node.children() {
            self.add(child, Some(number));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &'a Node)> + '_ {
        self.nodes.iter().copied().enumerate()
    }

    fn children(&self, node: usize) -> Vec<usize> {
        (0..self.nodes.len()).filter(|child| self.parents[*child] == Some(node)).collect()
    }

    fn ancestors(&self, node: usize) -> impl Iterator<Item = usize> + '_ {
        std::iter::successors(self.parents[node], |node| self.parents[*node])
    }

    fn is_inside(&self, node: usize, scope: usize) -> bool {
        self.ancestors(node).any(|ancestor| ancestor == scope)
    }

    /// Whether nothing but scopes and wrappers is around a node, so that whatever strikes the task comes past there.
    pub(crate) fn is_on_the_trunk(&self, node: usize) -> bool {
        self.ancestors(node)
            .all(|ancestor| !matches!(self.nodes[ancestor], Node::Join(..) | Node::Select(..)))
    }

    /// Who takes a request that is delivered to `node`: the first, in the order of polling, of the awaits of tasks and of the
    /// scopes, the inner before the outer. Branches that are not polled are not asked.
    fn taker(&self, node: usize, at: u64, events: &Events) -> Option<usize> {
        if !events.happened(node, What::Begun, at) || events.happened(node, What::Ended, at) {
            return None;
        }
        let mut children = self.children(node);
        let inside = |child: usize| self.taker(child, at, events);
        match self.nodes[node] {
            Node::Sleep(_) | Node::Panic(_) => None,
            Node::Task(..) => Some(node),
            Node::Join(join, _) if !join.polls_all() => None,
            Node::Join(join, _) => {
                if *join == Join::Backwards {
                    children.reverse();
                }
                children.into_iter().find_map(inside)
            }
            Node::Wrap(..) => inside(children[0]),
            Node::Select(..) => unreachable!("no hits are foretold there"),
            // Not a scope any more, once its clean-up runs.
            Node::Finally(..) | Node::OrSpawn(..) if events.happened(node, What::CleanUp, at) => None,
            Node::Finally(..) | Node::OrSpawn(..) | Node::Catch(_) => inside(children[0]).or(Some(node)),
        }
    }

    /// Checks what holds whatever strikes the task: each future ends or is dropped, once. A clean-up begins once, at most, and
    /// always on the trunk; there a request that comes later may cut it short. One that is spawned if need be runs to its end.
    pub(crate) fn check_anyhow(&self, Run { end, requested, events }: &Run) -> Result<(), TestCaseError> {
        if *requested && !self.iter().any(|(_, node)| matches!(node, Node::Catch(_))) {
            let panics = self.iter().any(|(_, node)| matches!(node, Node::Panic(_)));
            let ended = matches!(end, End::Cancelled(_)) || (panics && matches!(end, End::Panicked(_)));
            prop_assert!(ended || self.drops_a_panic(events), "the request is lost");
        }
        for (number, node) in self.iter() {
            let count = |what| events.times(number, what).len();
            let (begun, clean_up, cleaned_up) =
                (count(What::Begun), count(What::CleanUp), count(What::CleanedUp));
            prop_assert!(begun <= 1 && count(What::Ended) + count(What::Dropped) == begun, "{}", number);
            prop_assert!(clean_up <= begun && cleaned_up <= clean_up, "{}", number);
            match node {
                Node::OrSpawn(..) => prop_assert_eq!(cleaned_up, begun, "{}", number),
                Node::Finally(..) if self.is_on_the_trunk(number) => {
                    prop_assert_eq!(clean_up, begun, "{}", number)
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether a panic was on its way through a clean-up when a race dropped that. A panic takes the place of a request; so both
    /// are gone.
    fn drops_a_panic(&self, events: &Events) -> bool {
        let panics = self.iter().filter(|(_, node)| matches!(node, Node::Panic(_)));
        panics.flat_map(|(panic, node)| self.ancestors(panic).map(move |scope| (node, scope))).any(
            |(node, scope)| {
                let Node::Panic(at) = *node else { unreachable!() };
                events.times(scope, What::CleanUp) == [at] && !events.times(scope, What::Dropped).is_empty()
            },
        )
    }

    /// The await that counts as the only one, if a poll looks at a single one: awaits in branches that are not polled don't show.
    fn only_await(&self, at: u64, events: &Events) -> Option<usize> {
        let is_polled = |node: usize| {
            let hides =
                |around: usize| matches!(self.nodes[around], Node::Join(join, _) if !join.polls_all());
            let happened = |what| events.happened(node, what, at);
            happened(What::Begun) && !happened(What::Ended) && !self.ancestors(node).any(hides)
        };
        let suspended = |(number, node): &(usize, &Node)| {
            let cleans_up = !node.children().is_empty() && events.happened(*number, What::CleanUp, at);
            (node.children().is_empty() || cleans_up) && is_polled(*number)
        };
        let mut all = self.iter().filter(suspended);
        all.next().filter(|_| all.next().is_none()).map(|(number, _)| number)
    }

    /// Checks what happened against what must happen.
    pub(crate) fn check(&self, flavour: Flavour, hit: Hit, run: &Run) -> Result<(), TestCaseError> {
        let mut steps = Steps { flat: self, events: &run.events, dropped: Vec::new(), cut: None };
        let expected = if run.events.happened(0, What::Ended, hit.at()) {
            End::Value
        } else {
            steps.follow(flavour, hit)?
        };
        prop_assert_eq!(run.end, expected);
        for (number, node) in self.iter() {
            steps.check_node(number, node)?;
        }
        Ok(())
    }
}

/// A hit on its way from the inside out.
struct Steps<'a> {
    flat: &'a Flat<'a>,
    events: &'a Events,
    /// What was dropped, when: everything inside of a scope, or (`None`) all of it.
    dropped: Vec<(Option<usize>, u64)>,
    /// The awaited task that was cancelled in its clean-up.
    cut: Option<usize>,
}

impl Steps<'_> {
    /// Gives the task's end.
    fn follow(&mut self, flavour: Flavour, hit: Hit) -> Result<End, TestCaseError> {
        let (flat, events) = (self.flat, self.events);
        let mut time = hit.at();
        let mut next = match hit {
            Hit::Panic(_) => {
                let origin =
                    flat.iter().find(|(_, node)| matches!(node, Node::Panic(_))).expect("one panics").0;
                self.outwards(origin, hit)
            }
            _ => {
                // On one thread a request goes straight to a task that counts as all that is awaited.
                let linked = flat.only_await(time, events).filter(|_| flavour == Flavour::CurrentThread);
                let linked = linked.filter(|node| matches!(flat.nodes[*node], Node::Task(..)));
                linked.filter(|node| self.is_hit(*node, time)).or_else(|| flat.taker(0, time, events))
            }
        };
        while let Some(node) = next {
            match *flat.nodes[node] {
                Node::Task(sleep, clean_up) => {
                    // A task in its clean-up is cancelled at once.
                    if time < sleep { time += clean_up } else { self.cut = Some(node) }
                }
                Node::Catch(_) => {
                    prop_assert_eq!(events.times(node, What::Caught), [time]);
                    self.dropped.push((Some(node), time));
                    return Ok(End::Value);
                }
                Node::Finally(clean_up, _) | Node::OrSpawn(clean_up, _) => {
                    prop_assert_eq!(events.times(node, What::CleanUp), [time], "the clean-up of {}", node);
                    self.dropped.push((Some(node), time));
                    time += clean_up;
                    prop_assert_eq!(events.times(node, What::CleanedUp), [time], "the clean-up of {}", node);
                }
                ref other => unreachable!("{other:?} takes nothing"),
            }
            next = self.outwards(node, hit);
        }
        self.dropped.push((None, time));
        Ok(match hit {
            Hit::Cancel(_) => End::Cancelled(time),
            Hit::Timeout(_) => End::TimedOut(time),
            Hit::Panic(_) => End::Panicked(time),
        })
    }

    /// Whether an awaited task was cancelled then.
    fn is_hit(&self, task: usize, time: u64) -> bool {
        let (began, ended) =
            (self.events.times(task, What::CleanUp), self.events.times(task, What::CleanedUp));
        began == [time] || (began.first().is_some_and(|began| *began < time) && ended.is_empty())
    }

    /// The scope that is next on the way out.
    fn outwards(&self, node: usize, hit: Hit) -> Option<usize> {
        self.flat.ancestors(node).find(|ancestor| match self.flat.nodes[*ancestor] {
            Node::Finally(..) | Node::OrSpawn(..) => true,
            Node::Catch(_) => !matches!(hit, Hit::Panic(_)),
            _ => false,
        })
    }

    /// A node has ended, or it was dropped with what is around it, and then; its clean-up runs once, or not at all.
    fn check_node(&self, number: usize, node: &Node) -> Result<(), TestCaseError> {
        let times = |what| self.events.times(number, what);
        if times(What::Begun).is_empty() {
            return Ok(());
        }
        let with = |scope: Option<usize>| scope.is_none_or(|scope| self.flat.is_inside(number, scope));
        let dropped = self.dropped.iter().find(|(scope, _)| with(*scope)).map(|(_, time)| *time);
        let ended = times(What::Ended).first().copied();
        match (ended, dropped) {
            (Some(ended), Some(dropped)) => prop_assert!(ended < dropped, "{} ended after all", number),
            (None, Some(dropped)) => {
                prop_assert_eq!(times(What::Dropped), [dropped], "{} is dropped", number)
            }
            (None, None) => {
                prop_assert!(false, "{} went on, and did not end: {:?}", number, times(What::Dropped))
            }
            (Some(_), None) => {}
        }
        let cleaned_up = times(What::CleanedUp).len();
        match node {
            Node::Finally(..) => {
                prop_assert_eq!(cleaned_up, usize::from(ended.is_some() || self.was_hit(number)))
            }
            Node::OrSpawn(..) => prop_assert_eq!(cleaned_up, 1, "{} is spawned", number),
            Node::Task(..) => {
                prop_assert_eq!(cleaned_up, usize::from(self.cut != Some(number)), "{}", number)
            }
            _ => {}
        }
        Ok(())
    }

    fn was_hit(&self, scope: usize) -> bool {
        self.dropped.iter().any(|(hit, _)| *hit == Some(scope))
    }
}
