//! Makes a program that is run differently smaller, while it is run differently.

use std::sync::Arc;

use crate::program::{Block, Coroutine, Line, Source, Statement};

/// How many candidates are tried at once.
const CHUNK: usize = 64;

/// Takes the first smaller program that still `disagree`s, again and again.
pub(crate) fn shrink(
    program: Arc<Coroutine>,
    mut disagree: impl FnMut(&[Arc<Coroutine>]) -> Vec<bool>,
) -> Arc<Coroutine> {
    let mut smallest = program;
    let mut from = 0;
    loop {
        let all = candidates(&smallest);
        // Goes on where the last one was found: what came before it did not help.
        let rotated: Vec<Arc<Coroutine>> =
            all.iter().cycle().skip(from.min(all.len())).take(all.len()).cloned().collect();
        let found = rotated.chunks(CHUNK).enumerate().find_map(|(chunk, candidates)| {
            let found = disagree(candidates).into_iter().position(|disagrees| disagrees)?;
            Some(chunk * CHUNK + found)
        });
        let Some(found) = found else { return smallest };
        from = (from + found) % all.len();
        smallest = rotated[found].clone();
    }
}

/// The program with one thing less, in every way.
fn candidates(program: &Arc<Coroutine>) -> Vec<Arc<Coroutine>> {
    (0..)
        .map_while(|edit| {
            let mut smaller = program.clone();
            let mut left = edit;
            edit_block(&mut Arc::make_mut(&mut smaller).body, &mut left).then_some(smaller)
        })
        .collect()
}

/// Makes the edit that `left` says, counting those it passes; false if there are fewer.
fn edit_block(block: &mut Block, left: &mut usize) -> bool {
    for at in 0..block.len() {
        if is_it(left) {
            block.remove(at);
            return true;
        }
        for inner in 0..inner_blocks(&block[at]).len() {
            if is_it(left) {
                let lines = inner_blocks(&block[at])[inner].clone();
                block.splice(at..=at, lines);
                return true;
            }
        }
    }
    block.iter_mut().any(|line| edit_statement(&mut line.statement, left))
}

fn is_it(left: &mut usize) -> bool {
    let is_it = *left == 0;
    *left = left.wrapping_sub(1);
    is_it
}

/// Blocks that may stand in the place of their statement. Not those of tasks that the statement does not await: others may
/// await each other in a circle then.
fn inner_blocks(line: &Line) -> Vec<&Block> {
    let mut blocks = Vec::new();
    if !matches!(line.statement, Statement::Spawn { .. } | Statement::Make { .. }) {
        line.statement.for_each_block(&mut |block| blocks.push(block));
    }
    blocks
}

fn edit_statement(statement: &mut Statement, left: &mut usize) -> bool {
    match statement {
        Statement::Spawn { coroutine, group } => {
            if group.is_some() && is_it(left) {
                *group = None;
                return true;
            }
            edit_block(&mut Arc::make_mut(coroutine).body, left)
        }
        Statement::Cancel { with_message, .. } | Statement::CancelMade { with_message, .. } => {
            let edit = *with_message && is_it(left);
            *with_message &= !edit;
            edit
        }
        Statement::WaitFor { source, .. } | Statement::Shield(source) => edit_source(source, left),
        Statement::Gather { sources, .. } | Statement::Make { sources, .. } => {
            remove_one(sources, left) || sources.iter_mut().any(|source| edit_source(source, left))
        }
        Statement::Wait { tasks, timeout, .. } | Statement::AsCompleted { tasks, timeout } => {
            if timeout.is_some() && is_it(left) {
                *timeout = None;
                return true;
            }
            remove_one(tasks, left)
        }
        Statement::TryCancelled { body, handler: other, .. }
        | Statement::TryError { body, handler: other }
        | Statement::Finally { body, clean_up: other } => edit_block(body, left) || edit_block(other, left),
        Statement::Timeout { body, .. } | Statement::Group(body) | Statement::With { body, .. } => {
            edit_block(body, left)
        }
        _ => false,
    }
}

fn edit_source(source: &mut Source, left: &mut usize) -> bool {
    match source {
        Source::Task(_) => false,
        Source::Coroutine(coroutine) => edit_block(&mut Arc::make_mut(coroutine).body, left),
    }
}

fn remove_one<T>(list: &mut Vec<T>, left: &mut usize) -> bool {
    for at in 0..list.len() {
        if list.len() > 1 && is_it(left) {
            list.remove(at);
            return true;
        }
    }
    false
}
