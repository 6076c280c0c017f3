#!/usr/bin/env bash
# Each memory ordering of the hand-synchronised parts weakened, each fence left out, and mistakes written by hand: a model has to
# fail. A model that can't fail shows nothing. With K/N each N-th of them, from the K-th on.
# 17 minutes on two cores for all. A person runs it, after a change of these parts or of their models.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec cargo xtask loom --mutants "$@"
