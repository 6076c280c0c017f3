//! `ExceptionGroup`: several errors as one.

use std::fmt::{self, Write};

/// The errors of a [`task_group`](crate::task_group), in the order in which the tasks ended; the body's own comes last.
///
/// It shows as a tree. An error may be, or hold, a group in turn: its lines are then indented below the outer group's.
///
/// ```
/// use kumihimo_combinators::ExceptionGroup;
///
/// let inner = ExceptionGroup::new("two hosts", vec!["refused", "no route"]);
/// let outer = ExceptionGroup::new("fetching", vec![inner.to_string(), "disk full".into()]);
/// let tree = "\
/// fetching (2 sub-exceptions)
/// +---------------- 1 ----------------
/// | two hosts (2 sub-exceptions)
/// | +---------------- 1 ----------------
/// | | refused
/// | +---------------- 2 ----------------
/// | | no route
/// | +------------------------------------
/// +---------------- 2 ----------------
/// | disk full
/// +------------------------------------";
/// assert_eq!(outer.to_string(), tree);
/// ```
///
/// `split` and `subgroup` are Python's `except*`. They look at the members as they are: where these may be groups themselves,
/// the predicate decides what becomes of a whole inner group, and may look inside.
///
/// As an [`Error`](std::error::Error) it has no source: its text tells of all its members.
#[doc(alias = "BaseExceptionGroup")]
#[doc(alias = "except*")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExceptionGroup<E> {
    message: String,
    /// At least one.
    exceptions: Vec<E>,
}

impl<E> ExceptionGroup<E> {
    /// A group of these errors.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn new(message: impl Into<String>, exceptions: Vec<E>) -> ExceptionGroup<E> {
        assert!(
            !exceptions.is_empty(),
            "an exception group needs at least one error: make it only if there are some"
        );
        ExceptionGroup { message: message.into(), exceptions }
    }

    /// What the group is about.
    #[doc(alias = "ExceptionGroup.message")]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The errors; at least one.
    #[doc(alias = "ExceptionGroup.exceptions")]
    pub fn exceptions(&self) -> &[E] {
        &self.exceptions
    }

    /// The errors, moved out.
    pub fn into_exceptions(self) -> Vec<E> {
        self.exceptions
    }

    /// The errors, one after the other.
    pub fn iter(&self) -> std::slice::Iter<'_, E> {
        self.exceptions.iter()
    }

    /// Divides the group into the errors that match and the others, in order; `None` for a side without any.
    ///
    /// ```
    /// use kumihimo_combinators::ExceptionGroup;
    ///
    /// let group = ExceptionGroup::new("numbers", vec![1, 2, 3]);
    /// let (odd, even) = group.split(|n| n % 2 == 1);
    /// assert_eq!(odd.unwrap().exceptions(), [1, 3]);
    /// assert_eq!(even.unwrap().exceptions(), [2]);
    /// ```
    #[doc(alias = "ExceptionGroup.split")]
    pub fn split(self, matches: impl FnMut(&E) -> bool) -> (Option<Self>, Option<Self>) {
        let ExceptionGroup { message, exceptions } = self;
        let (matching, others): (Vec<E>, Vec<E>) = exceptions.into_iter().partition(matches);
        let group = |message: String, exceptions: Vec<E>| {
            (!exceptions.is_empty()).then_some(ExceptionGroup { message, exceptions })
        };
        (group(message.clone(), matching), group(message, others))
    }

    /// The errors that match, as a group; `None` if there are none.
    #[doc(alias = "ExceptionGroup.subgroup")]
    pub fn subgroup(self, matches: impl FnMut(&E) -> bool) -> Option<Self> {
        self.split(matches).0
    }
}

impl<E> IntoIterator for ExceptionGroup<E> {
    type Item = E;
    type IntoIter = std::vec::IntoIter<E>;

    fn into_iter(self) -> Self::IntoIter {
        self.exceptions.into_iter()
    }
}

impl<'a, E> IntoIterator for &'a ExceptionGroup<E> {
    type Item = &'a E;
    type IntoIter = std::slice::Iter<'a, E>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<E: fmt::Display> fmt::Display for ExceptionGroup<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.exceptions.len() == 1 { "" } else { "s" };
        write!(f, "{} ({} sub-exception{plural})", self.message, self.exceptions.len())?;
        for (index, exception) in self.exceptions.iter().enumerate() {
            write!(f, "\n+---------------- {} ----------------\n| ", index + 1)?;
            write!(Indented(f), "{exception}")?;
        }
        f.write_str("\n+------------------------------------")
    }
}

/// Has every line but the first begin in the branch of the tree.
struct Indented<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Indented<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (index, line) in text.split('\n').enumerate() {
            if index > 0 {
                self.0.write_str("\n| ")?;
            }
            self.0.write_str(line)?;
        }
        Ok(())
    }
}

impl<E: fmt::Debug + fmt::Display> std::error::Error for ExceptionGroup<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error that may be a group, as programs with nested groups have them.
    #[derive(Debug)]
    enum Error {
        Plain(&'static str),
        Group(ExceptionGroup<Error>),
    }

    impl fmt::Display for Error {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Error::Plain(text) => f.write_str(text),
                Error::Group(group) => group.fmt(f),
            }
        }
    }

    fn nested() -> ExceptionGroup<Error> {
        let inner = ExceptionGroup::new("inner", vec![Error::Plain("one\ntwo")]);
        ExceptionGroup::new("outer", vec![Error::Group(inner), Error::Plain("three")])
    }

    #[test]
    fn nested_groups_show_as_a_tree() {
        let tree = [
            "outer (2 sub-exceptions)",
            "+---------------- 1 ----------------",
            "| inner (1 sub-exception)",
            "| +---------------- 1 ----------------",
            "| | one",
            "| | two",
            "| +------------------------------------",
            "+---------------- 2 ----------------",
            "| three",
            "+------------------------------------",
        ];
        assert_eq!(nested().to_string(), tree.join("\n"));
    }

    #[test]
    fn splitting_takes_whole_members() {
        let (groups, plain) = nested().split(|error| matches!(error, Error::Group(_)));
        assert_eq!(groups.unwrap().exceptions().len(), 1);
        let plain = plain.unwrap();
        assert!(matches!(plain.exceptions(), [Error::Plain("three")]) && plain.message() == "outer");
        assert!(plain.subgroup(|error| matches!(error, Error::Group(_))).is_none());
    }

    #[test]
    fn a_group_of_boxed_errors_is_an_error() {
        let boxed: Box<dyn std::error::Error + Send + Sync> = "text".into();
        let group = ExceptionGroup::new("group", vec![boxed]);
        let error: Box<dyn std::error::Error + Send + Sync> = group.into();
        assert!(error.to_string().contains("text"));
    }

    #[test]
    fn it_is_iterated_over() {
        let group = ExceptionGroup::new("numbers", vec![1, 2]);
        assert_eq!(group.iter().sum::<i32>(), 3);
        let mut doubled = Vec::new();
        for number in &group {
            doubled.push(number * 2);
        }
        assert_eq!(doubled, [2, 4]);
        assert_eq!(group.into_iter().collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    #[should_panic(expected = "at least one error")]
    fn an_empty_group_is_refused() {
        let _ = ExceptionGroup::<()>::new("nothing", Vec::new());
    }
}
