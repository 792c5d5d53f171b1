"""What the commands of `homeflex aggregator` share: options, the broker, errors with their exit codes.

The modules of the aggregator are loaded where they are used: no other command is to pay for them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.span import seconds
from gateway.wire.moment import duration_of

if TYPE_CHECKING:
    from gateway.aggregator.broker import Broker
    from gateway.aggregator.heard import Heard

NOT_DONE, WRONG_USAGE, NO_BROKER, NO_ANSWER, IN_PART = 1, 2, 3, 4, 5
USER, PASSWORD = "HOMEFLEX_BROKER_USER", "HOMEFLEX_BROKER_PASSWORD"

AsJson = Annotated[bool, typer.Option("--json", help="For a program: JSON, one object a line.")]
BrokerUrl = Annotated[
    str,
    typer.Option(
        "--broker",
        envvar="HOMEFLEX_BROKER",
        help="mqtts://host:8883; plain mqtt:// only to this machine.",
    ),
]
Ca = Annotated[
    Path | None, typer.Option(help="Authority of the broker's certificate (PEM); else the system's.")
]
Cert = Annotated[Path | None, typer.Option(help="Our own certificate (PEM), with --key.")]
CertKey = Annotated[Path | None, typer.Option("--key", help="The key of --cert (PEM).")]
Login = Annotated[
    Path | None,
    typer.Option(help=f"A file with user and password, a line each; else ${USER} and ${PASSWORD}."),
]
OneSite = Annotated[str, typer.Option("--site", help="Which home.")]
AnySite = Annotated[str, typer.Option("--site", help="Which home; + is all.")]
Lasting = Annotated[str | None, typer.Option("--for", help="Stop after so long: 90s, 30m, 2h, 1d.")]
ResultT = TypeVar("ResultT")


@contextlib.contextmanager
def told(as_json: bool) -> Iterator[None]:
    """Errors in words, each with its exit code. Ctrl-C is how one stops listening."""
    from gateway.aggregator.broker import NoBroker
    from gateway.aggregator.jwk import BadKey
    from gateway.aggregator.talk import NoAnswer

    codes = {NoBroker: NO_BROKER, NoAnswer: NO_ANSWER, BadKey: WRONG_USAGE, ValueError: WRONG_USAGE}
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(0) from None
    except (NoBroker, NoAnswer, BadKey, ValueError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        if as_json:
            typer.echo(json.dumps({"error": str(error)}))
        else:
            typer.echo(str(error), err=True)
        raise typer.Exit(
            next((c for kind, c in codes.items() if isinstance(error, kind)), NOT_DONE)
        ) from None


def run(conversation: Coroutine[Any, Any, ResultT]) -> ResultT:
    """A conversation, to its end."""
    return asyncio.run(conversation)


def broker_at(url: str, ca: Path | None, cert: Path | None, key: Path | None, login: Path | None) -> Broker:
    """The broker of these options, and who we are there.

    Raises:
        OSError, ValueError: what would be right.
    """
    from gateway.aggregator.broker import Broker

    user: tuple[str | None, str | None] = (os.environ.get(USER), os.environ.get(PASSWORD))
    if login is not None:
        lines = login.read_text(encoding="utf-8").splitlines()
        if len(lines) != 2:
            raise ValueError(f"{login} must have two lines: the user, the password")
        user = lines[0], lines[1]
    return Broker.at(url, ca=ca, certificate=cert, key=key, login=user)


def teller(as_json: bool, *, readings: bool = False) -> Callable[[Heard], None]:
    """Prints what is heard, as lines or as JSON, each at once."""
    from gateway.aggregator.heard import line_of
    from gateway.aggregator.telling import Changes

    changes = Changes()

    def tell(heard: Heard) -> None:
        if as_json:
            typer.echo(line_of(heard))
        else:
            for line in changes.lines(heard, readings=readings):
                typer.echo(line)
        sys.stdout.flush()  # also into a pipe, line by line

    return tell


def say(facts: object, text: str, as_json: bool) -> None:
    """Print an answer: its facts for a program, its text for a person."""
    typer.echo(json.dumps(facts, ensure_ascii=False) if as_json else text)


def delay(text: str | None) -> str | None:
    """A delay as the contract writes it; None is left out."""
    return None if text is None else duration_of(int(seconds(text)))
