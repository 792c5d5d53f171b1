"""Fuzz entry for the configuration: any text is a configuration or a ConfigError, never another exception."""

from __future__ import annotations

from pathlib import Path

from drivers import registry
from gateway.daemon.config import ConfigError, parse
from gateway.daemon.limits import limits_of


def fuzz_config(text: str) -> None:
    """Parse `text`; what is accepted must give limits, what is refused must say why."""
    try:
        config = parse(text, registry.kind, Path("/nowhere"))
    except ConfigError as refused:
        problems = refused.problems
    else:
        assert {asset.id for asset in config.assets} == set(limits_of(config, 1_795_000_000.0))
        return
    assert problems
    assert all(problem.strip() for problem in problems)
