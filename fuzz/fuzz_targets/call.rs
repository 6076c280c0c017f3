//! A worker that is given any bytes for an argument.

#![no_main]

use std::collections::BTreeMap;

use kumihimo_blocking_pool::process::fuzzing::call;
use libfuzzer_sys::fuzz_target;
use serde::{Deserialize, Serialize};

/// Something of everything, and itself.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
enum Nested {
    Leaf,
    Numbers(u8, i16, u32, i64, u128, f64),
    Text { text: String, letter: char, maybe: Option<bool> },
    Many(Vec<Nested>),
    Named(BTreeMap<String, Nested>),
    Bytes(Vec<u8>, [u16; 3]),
    Result(Result<Box<Nested>, (i8, ())>),
}

fn same<T>(value: T) -> T {
    value
}

fuzz_target!(|input: &[u8]| {
    // What is decoded once is encoded in one way, and that is decoded to the same. Compared as bytes, since not each
    // number equals itself.
    if let Some(bytes) = call(same::<Nested>, input, 1 << 16) {
        assert_eq!(call(same::<Nested>, &bytes, 1 << 16), Some(bytes));
    }
    // Plain bytes take another way, to the same end.
    let (bytes, postcards) =
        (call(same::<Vec<u8>>, input, 1 << 16), postcard::take_from_bytes::<Vec<u8>>(input));
    let expected = postcards.ok().filter(|(_, rest)| rest.is_empty()).map(|(value, _)| value);
    assert_eq!(bytes, expected.map(|value| postcard::to_stdvec(&value).expect("bytes can be encoded")));
    // The limit holds.
    let _ = call(same::<Vec<Nested>>, input, 16);
    let _ = call(|value: Nested| format!("{value:?}"), input, 100);
});
