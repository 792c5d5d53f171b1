"""The configuration file, and the files it names for the uplink: read, checked, refused in words."""

from __future__ import annotations

from pathlib import Path

from drivers import registry
from gateway.daemon.config import Config, ConfigError, parse
from gateway.wire.keys import KeyRing, Root, parse_keys, root_of
from gateway.wire.reception import Unacceptable

DATABASE = "homeflex.db"  # in the state directory


def read(config_file: Path) -> Config:
    """The configuration in a file.

    Raises:
        ConfigError: every problem at once.
        OSError: it cannot be read.
    """
    try:
        text = config_file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError((f"not UTF-8 text: {error}",)) from error
    return parse(text, registry.kind, config_file.resolve().parent)


def root(config: Config) -> Root | None:
    """The root key that the configuration pins, if it pins one."""
    return root_of(config.security.root) if config.security.root else None


def read_keys(config: Config) -> KeyRing | None:
    """The trust store of commissioning, if the configuration names one.

    Raises:
        ConfigError: it cannot be read or used.
    """
    if config.security.keys is None:
        return None
    try:
        return parse_keys(config.security.keys.read_bytes(), config.site.id, root(config))
    except OSError as error:
        raise ConfigError((f"security.keys: {error}",)) from error
    except Unacceptable as error:
        raise ConfigError((f"security.keys: {config.security.keys}: {error.text}",)) from error


def read_password(config: Config) -> str | None:
    """The password for the aggregator's broker, if one is configured.

    Raises:
        ConfigError: its file cannot be read.
    """
    if config.uplink is None or config.uplink.password_file is None:
        return None
    try:
        return config.uplink.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError((f"uplink.password_file: {error}",)) from error


def check(config_file: Path) -> tuple[str, ...]:
    """Every problem of a configuration file and of the files it names for the uplink; none if it is good."""
    try:
        config = read(config_file)
    except ConfigError as error:
        return error.problems
    except OSError as error:
        return (str(error),)
    problems: list[str] = []
    for read_more in (read_keys, read_password):
        try:
            read_more(config)
        except ConfigError as error:
            problems += error.problems
    return tuple(problems)
