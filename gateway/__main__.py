"""`python -m gateway` is the command `homeflex`."""

from gateway.cli.start import main

main()
