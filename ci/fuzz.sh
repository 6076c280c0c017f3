#!/usr/bin/env bash
# The frames between a process pool and its processes, and the arguments in them, under libFuzzer with AddressSanitizer: bytes of
# another process are not to be trusted. As long as it is told, in seconds for each target; 600 by default. A person runs it, after
# a change of the wire format. fuzz/README.md says more.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../fuzz"
export RUSTC_BOOTSTRAP=1 RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
for target in frames call; do
    mkdir -p "corpus/$target"
    cargo run --release --target x86_64-unknown-linux-gnu --bin "$target" -- "corpus/$target" \
        -max_total_time="${1:-600}" -max_len=4096 -timeout=10
done
