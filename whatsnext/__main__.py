"""`python -m whatsnext`: the command line."""

from whatsnext.cli import main

main()
