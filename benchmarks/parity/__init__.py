"""Our numbers beside those of the authors' own code, run from checkouts that you have.

    python -m benchmarks.parity --checkouts DIR

DIR holds checkouts of the repositories that `--list` names, each in a folder of the repository's name; what is missing
is named and left out. Nothing of them is copied into this repository: their modules are imported from DIR and run, each
repository in a process of its own, on small seeded inputs. docs/explanation/parity.md holds the table of one run.

`comparison` says what a comparison is, `registry` which there are, `loading` how a checkout's modules are imported,
`running` drives the processes, `child` is one of them, `table` prints. `subjects` has a file per repository.
"""
