//! Async code, and models of it: see `README.md`.

pub mod counter;
pub mod publication;
pub mod transfer;
