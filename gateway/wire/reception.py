"""The first answer to a message, and the one error of this package: a message that is not obeyed.

What it must not know: clocks, the journal, the assets of the home. Whoever has those answers
`EXPIRED` and `REPLAYED`.
"""

from __future__ import annotations

from enum import StrEnum

from gateway.core.model import Reason


class Reception(StrEnum):
    """What became of a message on arrival; the contract's words."""

    OK = "OK"
    INVALID_MESSAGE = "INVALID_MESSAGE"
    INVALID_SIGNATURE = "INVALID_SIGNATURE"
    INVALID_CONTENT = "INVALID_CONTENT"
    EXPIRED = "EXPIRED"
    REPLAYED = "REPLAYED"
    TEMPORARY_ERROR = "TEMPORARY_ERROR"


class Unacceptable(Exception):
    """A message to answer with `reception` and otherwise to leave alone.

    `id` and `revision` are the message's own where they could be read, else None; after a bad
    signature they are always None, for nothing of an unverified body is echoed. `reason` is
    `storage` where a bound was passed. The text is for the sender's engineer.
    """

    def __init__(
        self,
        reception: Reception,
        text: str,
        *,
        id: str | None = None,
        revision: int | None = None,
        reason: Reason = Reason.NONE,
    ) -> None:
        super().__init__(text)
        self.reception = reception
        self.text = text
        self.id = id
        self.revision = revision
        self.reason = reason


def too_large(text: str) -> Unacceptable:
    """The answer to a message beyond one of the contract's bounds."""
    return Unacceptable(Reception.TEMPORARY_ERROR, text, reason=Reason.STORAGE)
