//! The frames between a process pool and its workers, cut and corrupted in any way.

#![no_main]

use kumihimo_blocking_pool::process::fuzzing::decode;
use libfuzzer_sys::fuzz_target;

/// The kinds that there are, and some that there are not.
const KINDS: [u8; 10] = [1, 2, 65, 66, 67, 68, 69, 70, 0, 71];

fuzz_target!(|input: &[u8]| {
    let Some((&limit, rest)) = input.split_first() else { return };
    let stream = pieces(rest);
    let pieces: Vec<&[u8]> = stream.iter().map(Vec::as_slice).collect();
    decode(u32::from(limit) * 8, &pieces);
});

/// Makes pieces of the input: two bytes say what a piece is to be, and how long.
fn pieces(mut input: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while let Some((&[what, length], rest)) = input.split_first_chunk::<2>() {
        let (content, rest) = rest.split_at(usize::from(length).min(rest.len()));
        input = rest;
        // Most random headers are errors, so some pieces get one that is right, or nearly.
        if what < 128 {
            let kind = KINDS[usize::from(what) % KINDS.len()];
            let mut header = vec![content.len() as u8, 0, 0, 0, kind, 0, 0, 0];
            header.extend(u64::from(what / 64).to_le_bytes());
            pieces.push(header);
        }
        pieces.push(content.to_vec());
    }
    pieces.push(input.to_vec());
    pieces
}
