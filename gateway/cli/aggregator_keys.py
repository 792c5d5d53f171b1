"""`homeflex aggregator keys`: keys that sign, and the trust stores that make homes believe them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli.exchange import (
    AsJson,
    BrokerUrl,
    Ca,
    Cert,
    CertKey,
    Login,
    OneSite,
    broker_at,
    run,
    say,
    told,
)
from gateway.cli.span import seconds

app = typer.Typer(
    no_args_is_help=True,
    help="Keys that sign, and the trust stores that make homes believe them.",
    epilog="Example: homeflex aggregator keys new --kid agg-2026-11",
)


@app.command("new", epilog="Example: homeflex aggregator keys new --kid agg-2026-11 --valid 90d")
def keys_new(
    kid: Annotated[str | None, typer.Option(help="Its name in the header of what it signs.")] = None,
    root: Annotated[
        bool, typer.Option("--root", help="The root key, which signs trust stores only.")
    ] = False,
    role: Annotated[
        str, typer.Option(help="What it may sign: dispatch, config, profiles or read.")
    ] = "dispatch",
    valid: Annotated[
        str | None, typer.Option(help="For how long from now.", show_default="90d, a root key 3650d")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the files go.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Make an Ed25519 key: KID.json is private (mode 0600), KID.pub.json public; never overwritten."""
    from gateway.aggregator import jwk

    if root is (kid is not None):
        raise typer.BadParameter("--root, or a --kid such as agg-2026-11")
    if role not in jwk.ROLES:
        raise typer.BadParameter(f"--role {role}: one of {', '.join(jwk.ROLES)}")
    with told(as_json):
        lasts_s = seconds(valid or ("3650d" if root else "90d"))
        key = jwk.Key.new(kid or jwk.ROOT, jwk.ROOT if root else role, time.time(), lasts_s)
        private, public = jwk.save(key, folder)
        facts = {
            "private": str(private),
            "public": str(public),
            "x": key.x,
            "notAfter": key.public["notAfter"],
        }
        text = f"{private} (private, keep it), {public} (public); {key.role} until {facts['notAfter']}"
        say(facts, f"{text}\n{_root_line(key.x)}" if root else text, as_json)


@app.command(
    "sign",
    epilog="Example: homeflex aggregator keys sign --root root.json --site home-7f3a agg-2026-11.pub.json",
)
def keys_sign(
    files: Annotated[list[Path], typer.Argument(metavar="KEY...", help="Key files, public or private.")],
    site: OneSite,
    root: Annotated[Path | None, typer.Option(help="The root key's file; without it only --plain.")] = None,
    version: Annotated[int, typer.Option(min=0, help="Higher than the last one the home took.")] = 1,
    out: Annotated[Path, typer.Option(help="Where the signed trust store goes.")] = Path("keys.jws"),
    plain: Annotated[Path | None, typer.Option(help="Also as plain JSON, for `security.keys`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a home's trust store of these keys, whole: keys that are left out no longer count there."""
    from gateway.aggregator import jwk

    if root is None and plain is None:
        raise typer.BadParameter(
            "--root signs it for the topic `keys`, --plain writes the file at commissioning"
        )
    with told(as_json):
        document = jwk.trust_store(site, version, [jwk.load(file) for file in files])
        facts: dict[str, Any] = {"site": site, "version": version}
        said = [f"{site}: trust store version {version} of {len(files)} keys"]
        if root is not None:
            signer = jwk.load(root)
            out.write_bytes(jwk.signed_trust_store(document, signer))
            facts |= {"signed": str(out), "root": signer.x}
            said += [f"signed: {out}; the home must pin the root in [security]:", _root_line(signer.x)]
        if plain is not None:
            plain.write_bytes(document + b"\n")
            facts |= {"plain": str(plain)}
            said += [f"plain, for `security.keys`: {plain}"]
        say(facts, "\n".join(said), as_json)


@app.command(
    "publish", epilog="Example: homeflex aggregator keys publish keys.jws --broker mqtts://broker.example"
)
def keys_publish(
    file: Annotated[Path, typer.Argument(help="A signed trust store, as `keys sign` writes it.")],
    broker: BrokerUrl,
    ca: Ca = None,
    cert: Cert = None,
    key: CertKey = None,
    login: Login = None,
    wait: Annotated[str, typer.Option(help="How long to wait until it is in force.")] = "15s",
    as_json: AsJson = False,
) -> None:
    """Publish a signed trust store, retained, to the home it is made out to, and wait until it is in force.

    A home that is away takes it when it is back: exit code 4, and nothing needs to be done again.
    """
    from gateway.aggregator import jwk, talk

    with told(as_json):
        token = file.read_bytes().strip()
        site, version = jwk.addressee(token)
        settings = broker_at(broker, ca, cert, key, login)
        run(talk.publish_keys(settings, site, version, token, wait_s=seconds(wait)))
        facts = {"site": site, "version": version, "inForce": True}
        say(facts, f"{site}: trust store version {version} is in force", as_json)


def _root_line(x: str) -> str:
    """For `[security]`; the fingerprint is what `homeflex keys` shows on the hub, to compare."""
    from gateway.wire.keys import root_of

    return f'root = "{x}"  # fingerprint {root_of(x).fingerprint}'
