"""`python -m covenue.cli` is `covenue`."""

from covenue.cli import main

main()
