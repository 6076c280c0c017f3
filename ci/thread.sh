#!/usr/bin/env bash
# The tests under ThreadSanitizer: data races in whole programs, where a model shows a few threads only. One suppression, of a
# dependency (tsan-suppressions.txt).
# About 8 minutes on two cores; it builds the standard library along. Part of `.ci/run`.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo xtask sanitize thread
