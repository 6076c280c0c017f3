#!/usr/bin/env bash
# Everything at once at random, in release, with 1 to 8 workers: spawning, waking, cancelling, dropping, blocking, locks and
# queues; a watchdog ends what hangs, and what is left is counted. For what takes too many threads or steps for a model.
# As long as it is told, in seconds; 60 by default. A person runs it, before a release and after a change of the scheduler.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo xtask stress "${1:-60}"
