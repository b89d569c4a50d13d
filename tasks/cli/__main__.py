"""`python -m tasks.cli`: the command line without its console script."""

from tasks.cli import main

if __name__ == "__main__":
    main()
