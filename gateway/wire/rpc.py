"""Questions from afar: what this home is, how it fares, and rows of a log once more; and their answers."""

from __future__ import annotations

import re
from typing import Final, Literal, Self

from pydantic import Field, ValidationError, model_validator

from gateway.wire import message as messages
from gateway.wire.json_text import json_object
from gateway.wire.message import Obeyed, Part
from gateway.wire.quantity import Count, Id, Seconds, SiteId, Stream, Text, Utc, Whole, left_out
from gateway.wire.reception import Reception, Unacceptable
from gateway.wire.state import State

REQUEST: Final = "homeflex.rpc.v1"
REPLY: Final = "homeflex.reply.v1"
REQUEST_MAX_BYTES = 8 * 1024
LONGEST_S = 300  # between issuedAt and expiresAt
AHEAD_S = 120.0  # that issuedAt may be of a trusted clock

Verb = Literal["state", "readings", "diagnose"]


class Rows(Obeyed):
    """Numbers `firstSeq` to `lastSeq` of one log, both included."""

    log: Text
    first_seq: Count
    last_seq: Count

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.last_seq < self.first_seq:
            raise ValueError("lastSeq must be at least firstSeq")
        return self


class Request(Obeyed):
    """One question on `rpc/<verb>`; signed with a key of role `read`. `readings` has `rows`, no other has."""

    schema_name: Literal["homeflex.rpc.v1"] = Field(default=REQUEST, alias="schema")
    site: SiteId
    id: Id
    verb: Verb
    issued_utc_s: Utc = Field(alias="issuedAt")
    expires_utc_s: Utc = Field(alias="expiresAt")
    rows: Rows | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.rows is None) == (self.verb == "readings"):
            raise ValueError("rows go with readings, and only with readings")
        if not 0 <= self.expires_utc_s - self.issued_utc_s <= LONGEST_S:
            raise ValueError(f"expiresAt must be at or up to {LONGEST_S} s after issuedAt")
        return self


class Diagnosis(Part):
    """How the daemon fares. Null: it cannot be read."""

    up_s: Seconds = Field(alias="upS")
    unsent: Whole
    ignored_acks: Whole
    dropped_rows: Whole
    storage_failure: str | None
    stored_bytes: Whole | None
    room_bytes: Whole | None
    resident_bytes: Whole | None


class Resent(Part):
    """Rows that come again as backfill, on their own topic; those that are gone are left out in silence."""

    log: str
    stream: Stream
    first_seq: Whole
    last_seq: Whole


class Reply(Part):
    """The answer on `reply/<token>`: one of the three, or `reception` is not `OK` and `text` says why."""

    schema_name: Literal["homeflex.reply.v1"] = Field(default=REPLY, alias="schema")
    site: SiteId
    id: str | None
    at_utc_s: Utc = Field(alias="at")
    reception: Reception
    text: str | None = left_out()
    count: Whole | None = left_out()
    state: State | None = left_out()
    readings: Resent | None = left_out()
    diagnose: Diagnosis | None = left_out()


def parse_request(payload: bytes, site: str, verb: str) -> Request:
    """The question in a verified body that came on `rpc/<verb>`.

    Raises:
        Unacceptable: `INVALID_MESSAGE`: no such JSON. `INVALID_CONTENT`: it breaks the schema, or is for
            another site or verb.
    """
    raw = json_object(payload, REQUEST_MAX_BYTES)
    messages.require_schema(raw, REQUEST)
    known = raw.get("id")
    id_ = known if isinstance(known, str) and re.fullmatch(r"[A-Za-z0-9][!-~]{0,63}", known) else None
    problems = [*messages.site_problems(raw, site)]
    if raw.get("verb") != verb:
        problems.append(f"verb: must be {verb}, the verb of this topic")
    try:
        request = messages.read(Request, payload)
    except ValidationError as error:
        problems += messages.problems_of(error)
    if problems:
        raise Unacceptable(Reception.INVALID_CONTENT, messages.listed(problems), id=id_)
    return request
