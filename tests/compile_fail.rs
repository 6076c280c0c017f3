//! Programs that must not compile, with what the compiler says of them; and their neighbours, which must.
//!
//! `TRYBUILD=overwrite cargo test --test compile_fail` writes the `.stderr` files anew.

#[test]
fn compile_fail_and_pass() {
    let tests = trybuild::TestCases::new();
    tests.pass("tests/ui/pass/*.rs");
    tests.compile_fail("tests/ui/soundness/*.rs");
    tests.compile_fail("tests/ui/macros/*.rs");
}
