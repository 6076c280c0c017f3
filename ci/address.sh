#!/usr/bin/env bash
# The tests under AddressSanitizer and LeakSanitizer: what is used after it is freed, freed twice, or never freed. The task cell,
# the intrusive lists and the slots of blocking jobs manage memory by hand, and loom does not see freeing.
# About 5 minutes on two cores. Part of `.ci/run`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo xtask sanitize address
