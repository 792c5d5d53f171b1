"""Shelly's remote calls (Gen2 and newer): JSON-RPC 2.0-like frames in HTTP POST /rpc, digest-authenticated.

Knows frames, error codes and the password, not what a method means.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping

from drivers.base import DriverError, JsonValue, Refused, Unintelligible, Unreachable, WrongDevice
from drivers.plugs.digest import (
    Challenge,
    Secret,
    authentication,
    authorization,
    challenge_in,
    challenge_in_message,
)
from drivers.plugs.http import Answer, Client

USER = "admin"  # there is no other (shelly-api-docs gen2, Authentication)
JsonObject = Mapping[str, JsonValue]

_PATH = "/rpc"
_TRIES = 3  # unsigned or with an old nonce; with a new one; once more if that one was already stale
_UNAUTHORISED = 401
# Codes that may be better the next time (shelly-api-docs gen2, Common errors).
_LATER = {-104: "deadline exceeded", -108: "resource exhausted", -114: "unavailable"}
_LONGEST_WORDS = 120


class Rpc:
    """Calls to one plug."""

    def __init__(self, client: Client, password: str | None) -> None:
        self._client = client
        self._login = _Login(password)
        self._number = 0

    async def introduction(self) -> JsonObject:
        """What the device says of itself; answered without a password, and by Gen1 too.

        Raises:
            WrongDevice: what answers there is no Shelly.
        """
        answer = await self._client.request("GET", "/shelly")
        if answer.status == 404:
            raise WrongDevice("no Shelly: there is no /shelly; check `host`")
        if answer.status != 200:
            raise _fault("/shelly", answer.status)
        return _object(answer.body)

    async def call(self, method: str, params: JsonObject) -> JsonObject:
        """The result of a method. It must be safe to repeat; see `Client.request`.

        Raises:
            Refused: the device says no, also to the password.
            Unreachable: no answer, or it is busy.
            Unintelligible: an answer to something else, or none that can be read.
        """
        for _ in range(_TRIES):
            self._number += 1
            answer = await self._post(method, params)
            if answer.status == _UNAUTHORISED:
                self._login.heed(challenge_in(answer.all("www-authenticate")))
                continue
            error, frame = _opened(answer, method)
            if error is None:
                return self._result(frame, method)
            if error.get("code") != _UNAUTHORISED:
                raise _refusal(method, error)
            self._login.heed(challenge_in_message(error.get("message")))
        raise Refused("the plug goes on asking for the password")

    async def _post(self, method: str, params: JsonObject) -> Answer:
        frame = {"id": self._number, "src": "homeflex", "method": method, "params": params}
        header, member = self._login.signed("POST", _PATH)
        body = json.dumps({**frame, "auth": member} if member else frame).encode()
        headers = {"content-type": "application/json"} | ({"authorization": header} if header else {})
        return await self._client.request("POST", _PATH, body, headers)

    def _result(self, frame: JsonObject, method: str) -> JsonObject:
        result = frame.get("result")
        if frame.get("id") != self._number or not isinstance(result, dict):
            raise Unintelligible(f"{method}: the answer is not to it, or has no result")
        return result


class _Login:
    """The password, the challenge in force, and how often it was answered."""

    def __init__(self, password: str | None) -> None:
        self._secret = None if password is None else Secret(USER, password)
        self._challenge: Challenge | None = None
        self._count = 0

    def signed(self, method: str, uri: str) -> tuple[str | None, dict[str, JsonValue] | None]:
        """The header or the member of the frame for the next request; neither until we are asked."""
        if self._challenge is None or self._secret is None:
            return None, None
        self._count += 1
        own_nonce = secrets.token_hex(16)
        if self._challenge.in_frame:
            return None, authentication(self._challenge, self._secret, self._count, own_nonce)
        return authorization(self._challenge, self._secret, method, uri, self._count, own_nonce), None

    def heed(self, challenge: Challenge | None) -> None:
        """Take what a 401 asks for. A nonce that was answered before may be old, whatever the device says
        of it: before firmware 2.0 each is good for one request. An answer to a new one was wrong.

        Raises:
            Refused: asking again would not help.
        """
        if self._secret is None:
            raise Refused("the plug asks for a password: name its file in password_file")
        if challenge is None:
            raise Refused("the plug asks for the password in a way we do not know (not digest with qop=auth)")
        if self._count == 1 and not challenge.stale:
            raise Refused("the plug does not take the password in password_file")
        self._challenge, self._count = challenge, 0


def _opened(answer: Answer, method: str) -> tuple[JsonObject | None, JsonObject]:
    """The error in an answer, if there is one, and its frame."""
    try:
        frame = _object(answer.body)
    except Unintelligible as error:
        if answer.status == 200:
            raise
        raise _fault(method, answer.status) from error
    found = frame.get("error")
    if isinstance(found, dict):
        return found, frame
    if answer.status != 200:
        raise _fault(method, answer.status)
    return None, frame


def _refusal(method: str, error: JsonObject) -> DriverError:
    code, message = error.get("code"), error.get("message")
    words = "".join(c for c in str(message)[:_LONGEST_WORDS] if c.isprintable())
    kind = Unreachable if isinstance(code, int) and code in _LATER else Refused
    return kind(f"{method}: the plug answered {code if isinstance(code, int) else 'an error'}: {words}")


def _fault(what: str, status: int) -> DriverError:
    kind = Unreachable if status >= 500 or status == 429 else Refused
    return kind(f"{what}: the plug answered HTTP {status}")


def _object(body: bytes) -> JsonObject:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unintelligible("the answer is not JSON") from error
    if not isinstance(found, dict):
        raise Unintelligible("the answer is no JSON object")
    return found
