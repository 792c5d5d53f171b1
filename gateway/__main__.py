"""`python -m gateway` is the command `homeflex`."""

from gateway.cli.main import main

main()
