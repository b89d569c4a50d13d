#!/usr/bin/env bash
# The runs behind docs/results.md and docs/photoface.md, one after the other, each in a folder of its own below FOLDER:
#     benchmarks/published_runs.sh FOLDER
# Some 16 hours of two cores. After any interruption the same command continues; a run that is published takes seconds.
set -eu
folder=${1:?FOLDER, which gets a folder of outputs for each run}
cd "$(dirname "$0")/.."
latentbench=${LATENTBENCH:-.venv/bin/latentbench}
"$latentbench" run --domain synthface --profile full --outputs "$folder/full"
"$latentbench" run --domain synthface --profile standard --outputs "$folder/standard"
"$latentbench" run --domain synthface --profile standard --set protocol.seed=2023 --outputs "$folder/standard-seed-2023"
"$latentbench" run --domain photoface --profile smoke --outputs "$folder/photoface-smoke"
"$latentbench" run --domain photoface --profile overnight --set domain.photoface.methods= --outputs "$folder/photoface"
