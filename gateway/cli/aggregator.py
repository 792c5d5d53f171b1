"""`homeflex aggregator`: the other end of the contract, for who integrates with it.

Exit codes: 0 done; 1 not done, refused, or something is missing; 2 wrong usage; 3 no broker; 4 no answer in
time; 5 done in part.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import aggregator_ask, aggregator_keys
from gateway.cli.exchange import (
    IN_PART,
    NOT_DONE,
    AnySite,
    AsJson,
    BrokerUrl,
    Ca,
    Cert,
    CertKey,
    Lasting,
    Login,
    OneSite,
    broker_at,
    delay,
    run,
    say,
    teller,
    told,
)
from gateway.cli.span import seconds
from gateway.wire.moment import utc_s_of

if TYPE_CHECKING:
    from gateway.aggregator.heard import Heard

app = typer.Typer(
    no_args_is_help=True,
    help="The aggregator's side: keys, instructions, what homes say, whether their readings are whole.\n\n"
    "docs/aggregator.md begins with a simulated home. Exit codes: 0 done; 1 not done, refused, or something "
    "is missing; 2 wrong usage; 3 no broker; 4 no answer in time; 5 done in part.",
    epilog="Example: homeflex aggregator watch --broker mqtt://127.0.0.1:1883",
)
app.add_typer(aggregator_keys.app, name="keys")

app.command(
    "ask",
    epilog="Example: homeflex aggregator ask readings --site home-7f3a --sign read-2026-11.json --log event "
    "--first 1 --last 9 --broker mqtts://broker.example",
)(aggregator_ask.ask)

Value = str | None


@app.command(
    epilog="Example: homeflex aggregator send --site home-7f3a --sign agg-2026-11.json "
    "--target class:ev --cap 1.4 --for 30m --broker mqtts://broker.example"
)
def send(
    site: OneSite,
    sign: Annotated[Path, typer.Option(help="The private key's file, of role dispatch.")],
    broker: BrokerUrl,
    file: Annotated[Path | None, typer.Argument(help="A body to send as it is, unchecked, instead.")] = None,
    target: Annotated[
        list[str] | None, typer.Option(help="site, class:ev|heat|plug or asset:ID; again for more.")
    ] = None,
    cap: Annotated[
        Value, typer.Option(metavar="KW", help="Draw at most; 1.4 or, in turn, 1.4,0.5,3.")
    ] = None,
    setpoint: Annotated[Value, typer.Option(metavar="KW", help="Draw this.")] = None,
    floor: Annotated[Value, typer.Option(metavar="KW", help="Draw at least.")] = None,
    soc: Annotated[Value, typer.Option(metavar="0..1", help="Be charged so far by the end.")] = None,
    simple: Annotated[Value, typer.Option(metavar="0..3", help="A level that the home maps.")] = None,
    start: Annotated[str, typer.Option(help="now, +10m, or 2026-11-23T17:00:00Z.")] = "now",
    for_: Annotated[str, typer.Option("--for", help="How long each value holds.")] = "30m",
    service: Annotated[
        str, typer.Option(help="bm, tcm, dfs, sustain, secure, or a name of your own.")
    ] = "trial",
    service_class: Annotated[str, typer.Option("--class", help="response or routine.")] = "response",
    ref: Annotated[str | None, typer.Option(help="Your own reference, told in the summary.")] = None,
    priority: Annotated[int, typer.Option(help="The lower wins among setpoints and floors.")] = 10,
    start_delay: Annotated[str | None, typer.Option(help="Start at random within so long; 0s: none.")] = None,
    end_delay: Annotated[str | None, typer.Option(help="Let go at random within so long; 0s: none.")] = None,
    manual: Annotated[bool, typer.Option("--manual", help="For the household's own hands.")] = False,
    expires: Annotated[str, typer.Option(help="How long it may be under way.")] = "10m",
    id_: Annotated[str | None, typer.Option("--id", help="Its id, as to revise one; else a new one.")] = None,
    cancel: Annotated[str | None, typer.Option(metavar="ID", help="End this instruction.")] = None,
    stop_all: Annotated[bool, typer.Option("--stop-all", help="End all instructions.")] = False,
    revision: Annotated[int | None, typer.Option(help="Higher than the last; 0, or 1 to cancel.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Tell how it goes, to its end.")] = False,
    wait: Annotated[str, typer.Option(help="How long to wait for the reception.")] = "10s",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Sign an instruction, publish it (QoS 1, never retained), and tell what the home answers.

    Exit code 0: received, and something of it accepted; with --follow as of `watch --id`.
    """
    from gateway.aggregator import instruction, jwk, talk
    from gateway.wire.dispatch import SCHEMA

    kinds = dict(zip(instruction.UNITS, (cap, setpoint, floor, soc, simple), strict=True))
    asked = {kind: text for kind, text in kinds.items() if text is not None}
    if [file is not None, bool(asked), cancel is not None, stop_all].count(True) != 1 or len(asked) > 1:
        raise typer.BadParameter(
            "one of --cap, --setpoint, --floor, --soc, --simple, --cancel, --stop-all or a FILE"
        )
    if follow and (stop_all or file is not None):
        raise typer.BadParameter("--follow is for one instruction composed here; `watch` follows the others")
    with told(as_json):
        now_utc_s = time.time()
        head = instruction.Head(
            site,
            now_utc_s,
            cancel or id_ or "",
            revision if revision is not None else int(cancel is not None),
            seconds(expires),
        )
        if file is not None:
            payload = file.read_bytes()
        elif asked:
            ((kind, text),) = asked.items()
            payload = instruction.written(
                instruction.set_body(
                    head,
                    kind,
                    _numbers(text),
                    targets=target or [],
                    start_utc_s=_moment(start, now_utc_s),
                    each_s=int(seconds(for_)),
                    service=service,
                    service_class=service_class,
                    priority=priority,
                    serviceRef=ref,
                    vector="manual" if manual else None,
                    startDelay=delay(start_delay),
                    endDelay=delay(end_delay),
                )
            )
        else:
            op = "stopAll" if stop_all else "cancel"
            payload = instruction.written(instruction.stop_body(head, op, delay(end_delay)))
        token = jwk.load(sign).signed(payload, SCHEMA)
        ending = run(
            talk.send(
                broker_at(broker, ca, cert, key, login),
                site,
                payload,
                token,
                teller(as_json),
                wait_s=seconds(wait),
                follow_s=instruction.follows_s(payload, site, now_utc_s) if follow else None,
            )
        )
    raise typer.Exit(ending)


@app.command(epilog="Example: homeflex aggregator watch --site + --broker mqtts://broker.example")
def watch(
    broker: BrokerUrl,
    site: AnySite = "+",
    id_: Annotated[str | None, typer.Option("--id", help="Only this instruction, to its end.")] = None,
    readings: Annotated[bool, typer.Option("--readings", help="Also the minute readings.")] = False,
    for_: Lasting = None,
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Tell what homes say: answers, summaries, events, presence, state and availability where they change.

    --json writes everything, readings too, as `verify` reads it. With --id the exit code tells how it ended:
    0 every asset SUCCEEDED, 5 some did, 1 none (rejected, aborted, revoked), 4 not ended in --for.
    """
    from gateway.aggregator import talk

    with told(as_json):
        tell = teller(as_json, readings=readings)
        lasts_s = seconds(for_) if for_ else None
        ending = run(talk.watch(broker_at(broker, ca, cert, key, login), site, tell, lasts_s=lasts_s, id=id_))
    raise typer.Exit(ending or 0)


@app.command(epilog="Example: homeflex aggregator verify kept/")
def verify(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="What `watch --json` wrote (- is standard input), or `ack` keeps."
        ),
    ] = None,
    broker: Annotated[
        str | None, typer.Option("--broker", envvar="HOMEFLEX_BROKER", help="Listen there instead.")
    ] = None,
    site: AnySite = "+",
    for_: Annotated[str, typer.Option("--for", help="How long to listen.")] = "10m",
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Whether readings are whole: numbers without gaps, minutes end to end, energies equal to the registers.

    A verdict for each point; exit code 1 if anything is missing or does not fit, or nothing was heard.
    Minutes that the home itself says are MISSING are told, with its reasons, and are no fault.
    """
    from gateway.aggregator import completeness, talk

    ledger = completeness.Ledger()
    if source is None and broker is None:
        raise typer.BadParameter("a FILE, or a --broker to listen to")
    with told(as_json):
        if source is not None:
            for heard in _lines_of(source):
                if site in ("+", heard.site):
                    ledger.take(heard)
        elif broker is not None:
            settings = broker_at(broker, ca, cert, key, login)
            run(talk.watch(settings, site, ledger.take, lasts_s=seconds(for_)))
        verdicts = ledger.verdicts()
        for verdict in verdicts:
            say({**asdict(verdict), "whole": verdict.is_whole}, verdict.words, as_json)
        if not verdicts:
            say({"error": "nothing was heard"}, "nothing was heard that has a number", as_json)
    raise typer.Exit(0 if completeness.is_whole(verdicts) else NOT_DONE)


@app.command(epilog="Example: homeflex aggregator ack kept/ --broker mqtts://broker.example")
def ack(
    folder: Annotated[
        Path, typer.Argument(help="What homes say is kept here: a file a day, and watermarks.")
    ],
    broker: BrokerUrl,
    site: AnySite = "+",
    every: Annotated[str, typer.Option(help="How often to acknowledge.")] = "5s",
    for_: Lasting = None,
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """Keep everything homes say, and acknowledge how far it is on our disk without a gap.

    A restart goes on where the last run ended. What an ack lacks after two minutes a home sends again; a gap
    that did not fill in an hour is told as lost and passed over.
    """
    from gateway.aggregator import talk

    def note(line: str) -> None:
        say({"note": line}, line, as_json)

    with told(as_json):
        book = talk.Book(folder)
        settings, lasts_s = broker_at(broker, ca, cert, key, login), seconds(for_) if for_ else None
        run(talk.take_in(settings, site, book, note, every_s=seconds(every), lasts_s=lasts_s))


@app.command(epilog="Example: homeflex aggregator convert event.json --site home-7f3a --service tcm")
def convert(
    file: Annotated[Path, typer.Argument(help="An OpenADR 3.1 event object, as JSON.")],
    site: OneSite,
    service: Annotated[
        str, typer.Option(help="bm, tcm, dfs, sustain, secure, or a name of your own.")
    ] = "trial",
    service_class: Annotated[str, typer.Option("--class", help="response or routine.")] = "response",
    target: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=TARGET", help="What a target of the event is here, as group-1=class:ev."),
    ] = None,
    revision: Annotated[int, typer.Option(help="Higher than the last of this event.")] = 0,
    start_delay: Annotated[str | None, typer.Option(help="Start at random within so long; 0s: none.")] = None,
    end_delay: Annotated[str | None, typer.Option(help="Let go at random within so long; 0s: none.")] = None,
    expires: Annotated[str, typer.Option(help="How long it may be under way.")] = "10m",
    as_json: AsJson = False,
) -> None:
    """Turn an OpenADR 3.1 event into instructions, a body a line, for `send FILE`; nothing is sent.

    What is refused is told with why, and is in none of them: exit code 1 if nothing is left, 5 if something
    is. This is no OpenADR client or server.
    """
    from gateway.aggregator import openadr

    with told(as_json):
        meant = dict(_pair(one) for one in target or [])
        receiver = openadr.Receiver(
            site,
            time.time(),
            service,
            service_class,
            meant,
            revision,
            seconds(expires),
            delay(start_delay),
            delay(end_delay),
        )
        found = openadr.convert(json.loads(file.read_text(encoding="utf-8")), receiver)
    refused = [asdict(one) for one in found.refused]
    if as_json:
        typer.echo(json.dumps({"instructions": found.bodies, "refused": refused}, ensure_ascii=False))
    else:
        for body in found.bodies:
            typer.echo(json.dumps(body, ensure_ascii=False))
        for one in found.refused:
            typer.echo(f"refused  {one.field}: {one.why}", err=True)
    raise typer.Exit((IN_PART if found.bodies else NOT_DONE) if refused else 0)


def _lines_of(source: Path) -> Iterable[Heard]:
    from gateway.aggregator.heard import of_lines

    if str(source) == "-":
        yield from of_lines(sys.stdin)
        return
    files = sorted(source.glob("*.jsonl")) if source.is_dir() else [source]
    for file in files:
        with file.open(encoding="utf-8") as opened:
            yield from of_lines(opened)


def _numbers(text: str) -> list[float]:
    try:
        return [float(one) for one in text.split(",")]
    except ValueError:
        raise ValueError(f"{text!r} is no value; 1.4 would be, or 1.4,0.5 for one after the other") from None


def _moment(text: str, now_utc_s: float) -> float:
    if text == "now":
        return now_utc_s
    return now_utc_s + seconds(text[1:]) if text.startswith("+") else utc_s_of(text)


def _pair(text: str) -> tuple[str, str]:
    name, sign, meant = text.rpartition("=")
    if not sign:
        raise ValueError(f"--target {text}: group-1=class:ev would be right")
    return name, meant
