//! What can be gathered: tuples, arrays and vectors of futures, as tasks.

use std::future::IntoFuture;
use std::marker::PhantomData;
use std::sync::Arc;

use kumihimo_executor::{Observer, Task, TaskError, TaskHandle};

use crate::into_task;

/// Something that [`gather`](crate::gather) takes: a tuple of up to twelve futures, an array or a vector.
pub trait Gatherable {
    /// Its futures, as tasks.
    type Children: Children;

    /// Makes tasks of the futures, in order.
    fn into_children(self) -> Self::Children;
}

/// The tasks that a gather waits for.
pub trait Children: Send + 'static {
    /// The values, in order.
    type Values;
    /// How the tasks ended, in order.
    type Outcomes;

    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Has each child that has not ended report to `observer`; gives those that have ended to `ended`, and whether with a value.
    fn observe(&mut self, observer: &Arc<dyn Observer>, ended: &mut dyn FnMut(usize, bool));

    /// Takes what a child ended with. `Err` if it has no value.
    fn settle(&mut self, index: usize) -> Result<(), TaskError>;

    /// As [`settle`](Self::settle), keeping how it ended.
    fn settle_outcome(&mut self, index: usize);

    /// The children, whatever they return.
    fn handles(&self) -> Box<[TaskHandle]>;

    /// The values; all children have been settled.
    fn values(&mut self) -> Self::Values;

    /// The outcomes; all children have been settled.
    fn outcomes(&mut self) -> Self::Outcomes;
}

/// Children that return `Result`s of one error type.
pub trait TryChildren: Children {
    /// The values of `Ok`, in order.
    type Oks;
    /// The error.
    type Error;

    /// As [`observe`](Children::observe), where a child that ends with an `Err` has no value.
    fn observe_results(&mut self, observer: &Arc<dyn Observer>, ended: &mut dyn FnMut(usize, bool));

    /// Takes the error of a settled child.
    fn take_error(&mut self, index: usize) -> Option<Self::Error>;

    /// The values; all children have been settled, with `Ok`.
    fn oks(&mut self) -> Self::Oks;
}

/// One child.
pub struct Child<T> {
    /// Runs, or its end has not been looked at.
    task: Task<T>,
    /// What it ended with.
    end: Option<Result<T, TaskError>>,
}

impl<T: Send + 'static> Child<T> {
    #[track_caller]
    fn new<F>(future: F) -> Child<T>
    where
        F: IntoFuture<Output = T>,
        F::IntoFuture: Send + 'static,
    {
        Child { task: into_task(future.into_future()), end: None }
    }

    fn observe(&mut self, index: usize, observer: &Arc<dyn Observer>, ended: &mut dyn FnMut(usize, bool)) {
        if let Some(with_value) = self.task.observe(observer.clone(), index) {
            ended(index, with_value);
        }
    }

    fn settle(&mut self) -> Result<(), TaskError> {
        match self.task.try_take().expect("a child that reported has ended") {
            Ok(value) => {
                self.end = Some(Ok(value));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    fn settle_outcome(&mut self) {
        self.end = self.task.try_take();
    }

    fn outcome(&mut self) -> Result<T, TaskError> {
        self.end.take().expect("all children were settled")
    }

    fn value(&mut self) -> T {
        self.outcome().unwrap_or_else(|error| unreachable!("a child without a value was settled: {error}"))
    }
}

impl<T: Send + 'static, E: Send + 'static> Child<Result<T, E>> {
    fn observe_result(
        &mut self,
        index: usize,
        observer: &Arc<dyn Observer>,
        ended: &mut dyn FnMut(usize, bool),
    ) {
        if let Some(with_value) = self.task.observe_result(observer.clone(), index) {
            ended(index, with_value);
        }
    }

    fn take_error(&mut self) -> Option<E> {
        match self.end.take() {
            Some(Ok(Err(error))) => Some(error),
            end => {
                self.end = end;
                None
            }
        }
    }

    fn ok(&mut self) -> T {
        self.value().unwrap_or_else(|_| unreachable!("a child with an error was taken for one without"))
    }
}

/// Children of one type. `S` says whether they came as a vector or an array.
pub struct List<T, S> {
    children: Vec<Child<T>>,
    shape: PhantomData<fn() -> S>,
}

/// They came as a vector.
pub struct AsVec;

/// They came as an array.
pub struct AsArray<const N: usize>;

impl<F> Gatherable for Vec<F>
where
    F: IntoFuture,
    F::IntoFuture: Send + 'static,
    F::Output: Send + 'static,
{
    type Children = List<F::Output, AsVec>;

    #[track_caller]
    fn into_children(self) -> Self::Children {
        List::new(self)
    }
}

impl<F, const N: usize> Gatherable for [F; N]
where
    F: IntoFuture,
    F::IntoFuture: Send + 'static,
    F::Output: Send + 'static,
{
    type Children = List<F::Output, AsArray<N>>;

    #[track_caller]
    fn into_children(self) -> Self::Children {
        List::new(self)
    }
}

impl<T: Send + 'static, S> List<T, S> {
    #[track_caller]
    fn new<F>(futures: impl IntoIterator<Item = F>) -> List<T, S>
    where
        F: IntoFuture<Output = T>,
        F::IntoFuture: Send + 'static,
    {
        let mut children = Vec::new();
        // A loop, not a closure, which would hide the caller's place from the tasks.
        for future in futures {
            children.push(Child::new(future));
        }
        List { children, shape: PhantomData }
    }
}

/// How a list gives its values back.
pub trait Shape: 'static {
    /// The collection.
    type Of<T>;

    /// Makes it.
    fn of<T>(values: Vec<T>) -> Self::Of<T>;
}

impl Shape for AsVec {
    type Of<T> = Vec<T>;

    fn of<T>(values: Vec<T>) -> Vec<T> {
        values
    }
}

impl<const N: usize> Shape for AsArray<N> {
    type Of<T> = [T; N];

    fn of<T>(values: Vec<T>) -> [T; N] {
        values.try_into().unwrap_or_else(|_| unreachable!("as many values as children"))
    }
}

impl<T: Send + 'static, S: Shape> Children for List<T, S> {
    type Values = S::Of<T>;
    type Outcomes = S::Of<Result<T, TaskError>>;

    fn len(&self) -> usize {
        self.children.len()
    }

    fn observe(&mut self, observer: &Arc<dyn Observer>, ended: &mut dyn FnMut(usize, bool)) {
        for (index, child) in self.children.iter_mut().enumerate() {
            child.observe(index, observer, ended);
        }
    }

    fn settle(&mut self, index: usize) -> Result<(), TaskError> {
        self.children[index].settle()
    }

    fn settle_outcome(&mut self, index: usize) {
        self.children[index].settle_outcome();
    }

    fn handles(&self) -> Box<[TaskHandle]> {
        self.children.iter().map(|child| child.task.handle()).collect()
    }

    fn values(&mut self) -> Self::Values {
        S::of(self.children.iter_mut().map(Child::value).collect())
    }

    fn outcomes(&mut self) -> Self::Outcomes {
        S::of(self.children.iter_mut().map(Child::outcome).collect())
    }
}

impl<T: Send + 'static, E: Send + 'static, S: Shape> TryChildren for List<Result<T, E>, S> {
    type Oks = S::Of<T>;
    type Error = E;

    fn observe_results(&mut self, observer: &Arc<dyn Observer>, ended: &mut dyn FnMut(usize, bool)) {
        for (index, child) in self.children.iter_mut().enumerate() {
            child.observe_result(index, observer, ended);
        }
    }

    fn take_error(&mut self, index: usize) -> Option<E> {
        self.children[index].take_error()
    }

    fn oks(&mut self) -> Self::Oks {
        S::of(self.children.iter_mut().map(Child::ok).collect())
    }
}

impl Gatherable for () {
    type Children = ();

    fn into_children(self) {}
}

impl Children for () {
    type Values = ();
    type Outcomes = ();

    fn len(&self) -> usize {
        0
    }

    fn observe(&mut self, _observer: &Arc<dyn Observer>, _ended: &mut dyn FnMut(usize, bool)) {}

    fn settle(&mut self, _index: usize) -> Result<(), TaskError> {
        Ok(())
    }

    fn settle_outcome(&mut self, _index: usize) {}

    fn handles(&self) -> Box<[TaskHandle]> {
        Box::default()
    }

    fn values(&mut self) {}

    fn outcomes(&mut self) {}
}

macro_rules! tuples {
    ($(($($F:ident $T:ident $n:tt),+);)*) => {$(
        impl<$($F),+> Gatherable for ($($F,)+)
        where
            $($F: IntoFuture, $F::IntoFuture: Send + 'static, $F::Output: Send + 'static,)+
        {
            type Children = ($(Child<$F::Output>,)+);

            #[track_caller]
            fn into_children(self) -> Self::Children {
                ($(Child::new(self.$n),)+)
            }
        }

        impl<$($T: Send + 'static),+> Children for ($(Child<$T>,)+) {
            type Values = ($($T,)+);
            type Outcomes = ($(Result<$T, TaskError>,)+);

            fn len(&self) -> usize {
                [$($n),+].len()
            }

            fn observe(&mut self, observer: &Arc<dyn Observer>, ended: &mut dyn FnMut(usize, bool)) {
                $(self.$n.observe($n, observer, ended);)+
            }

            fn settle(&mut self, index: usize) -> Result<(), TaskError> {
                match index {
                    $($n => self.$n.settle(),)+
                    _ => unreachable!("there is no child {index}"),
                }
            }

            fn settle_outcome(&mut self, index: usize) {
                match index {
                    $($n => self.$n.settle_outcome(),)+
                    _ => unreachable!("there is no child {index}"),
                }
            }

            fn handles(&self) -> Box<[TaskHandle]> {
                Box::new([$(self.$n.task.handle()),+])
            }

            fn values(&mut self) -> Self::Values {
                ($(self.$n.value(),)+)
            }

            fn outcomes(&mut self) -> Self::Outcomes {
                ($(self.$n.outcome(),)+)
            }
        }

        impl<E: Send + 'static, $($T: Send + 'static),+> TryChildren for ($(Child<Result<$T, E>>,)+) {
            type Oks = ($($T,)+);
            type Error = E;

            fn observe_results(&mut self, observer: &Arc<dyn Observer>, ended: &mut dyn FnMut(usize, bool)) {
                $(self.$n.observe_result($n, observer, ended);)+
            }

            fn take_error(&mut self, index: usize) -> Option<E> {
                match index {
                    $($n => self.$n.take_error(),)+
                    _ => unreachable!("there is no child {index}"),
                }
            }

            fn oks(&mut self) -> Self::Oks {
                ($(self.$n.ok(),)+)
            }
        }
    )*};
}

tuples! {
    (F0 T0 0);
    (F0 T0 0, F1 T1 1);
    (F0 T0 0, F1 T1 1, F2 T2 2);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4, F5 T5 5);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4, F5 T5 5, F6 T6 6);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4, F5 T5 5, F6 T6 6, F7 T7 7);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4, F5 T5 5, F6 T6 6, F7 T7 7, F8 T8 8);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4, F5 T5 5, F6 T6 6, F7 T7 7, F8 T8 8, F9 T9 9);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4, F5 T5 5, F6 T6 6, F7 T7 7, F8 T8 8, F9 T9 9, F10 T10 10);
    (F0 T0 0, F1 T1 1, F2 T2 2, F3 T3 3, F4 T4 4, F5 T5 5, F6 T6 6, F7 T7 7, F8 T8 8, F9 T9 9, F10 T10 10, F11 T11 11);
}
