"""`homeflex aggregator ask`: a signed question to one home, and its answer."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.exchange import (
    NOT_DONE,
    AsJson,
    BrokerUrl,
    Ca,
    Cert,
    CertKey,
    Login,
    OneSite,
    broker_at,
    run,
    teller,
    told,
)
from gateway.cli.span import seconds


def ask(
    verb: Annotated[str, typer.Argument(help="state, readings or diagnose.")],
    site: OneSite,
    sign: Annotated[Path, typer.Option(help="The private key's file, of role read.")],
    broker: BrokerUrl,
    log: Annotated[str | None, typer.Option(help="With readings: of which log, as telemetry:ev.")] = None,
    first: Annotated[int | None, typer.Option(min=0, help="With readings: from this number on.")] = None,
    last: Annotated[int | None, typer.Option(min=0, help="With readings: up to this number.")] = None,
    wait: Annotated[str, typer.Option(help="How long to wait for the answer.")] = "10s",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Ask a home for its state, how it fares, or rows of a log once more, which then come as backfill.

    Exit code 1: it answered that it does not; the text says why. 4: no answer in time.
    """
    from gateway.aggregator import jwk, question, talk
    from gateway.wire.rpc import REQUEST

    with told(as_json):
        rows = None if log is None or first is None or last is None else (log, first, last)
        payload = question.body(site, verb, time.time(), rows)
        token = jwk.load(sign).signed(payload, REQUEST)
        heard = run(
            talk.ask(broker_at(broker, ca, cert, key, login), site, verb, token, wait_s=seconds(wait))
        )
        teller(as_json)(heard)
    raise typer.Exit(0 if heard.body.get("reception") == "OK" else NOT_DONE)
