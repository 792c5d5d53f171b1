"""A password that a device's configuration names by its file: where it is, and its first line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator

from drivers.base import Refused

LONGEST_SECRET_BYTES = 4096


def _found(path: Path) -> Path:
    """With the service manager's credential directory filled in."""
    if path.parts[:1] != ("$CREDENTIALS_DIRECTORY",):
        return path
    if not (directory := os.environ.get("CREDENTIALS_DIRECTORY")):
        raise ValueError("$CREDENTIALS_DIRECTORY is only there under a service with LoadCredential=")
    return Path(directory, *path.parts[1:])


SecretFile = Annotated[Path, AfterValidator(_found)]
"""The type of a setting named `password_file`; a name that ends in `_file` is followed by a reload."""


def secret_in(file: Path) -> str:
    """The first line of a secret's file.

    Raises:
        Refused: it cannot be read; a person has to mend it.
    """
    try:
        with file.open("rb") as opened:
            return opened.read(LONGEST_SECRET_BYTES).decode().partition("\n")[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(f"cannot read the password in {file}: {error}") from error
