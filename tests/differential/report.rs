//! A disagreement, as text: the program, and both traces with the first difference marked.

use std::fmt::Write as _;

use crate::program::Coroutine;
use crate::python;

pub(crate) fn disagreement(root: &Coroutine, names: [&str; 2], traces: [&[String]; 2]) -> String {
    let [left, right] = traces;
    let first = (0..).find(|at| left.get(*at) != right.get(*at)).expect("they differ somewhere");
    let width =
        left.iter().map(|line| line.chars().count()).chain([names[0].len()]).max().unwrap_or_default();
    let mut text = python::source("program", root);
    writeln!(text, "\n  {:<width$} | {}", names[0], names[1]).expect("a string takes everything");
    for at in 0..left.len().max(right.len()) {
        let mark = if at == first { '>' } else { ' ' };
        let side = |trace: &[String]| trace.get(at).cloned().unwrap_or_default();
        writeln!(text, "{mark} {:<width$} | {}", side(left), side(right)).expect("a string takes everything");
    }
    text
}
