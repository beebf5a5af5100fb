"""HTTP to Medusa: keys, errors, metrics and traces of every call. No other module sends HTTP requests to Medusa.

Every call has a timeout. Nothing is retried here: the row that needed the call has its own retry schedule.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import httpx

from bridge.errors import DustError
from bridge.http.dates import read_http_date
from bridge.medusa.answers import Answer, not_medusa
from bridge.medusa.deadline import Deadline
from bridge.medusa.errors import MedusaAway, MedusaNotConfigured, MedusaRefused, UnknownInMedusa
from bridge.medusa.pages import Json as Json
from bridge.observability.metrics import MEDUSA_ERRORS, MEDUSA_SECONDS
from bridge.observability.tracing import current_traceparent, span

# A page of a hundred large orders has a few megabytes.
MAX_ANSWER_BYTES = 64 * 1024 * 1024
# The `type` of Medusa's 404.
_UNKNOWN = "not_found"

Params = Mapping[str, str] | list[tuple[str, str | int | float | bool | None]]


@dataclass(frozen=True, kw_only=True)
class Probe:
    """An answer of any status. `body` is empty if it is not a JSON object; `date` is the header."""

    status: int
    date: str | None
    body: Json


class Transport:
    """Calls one Medusa. Thread-safe; close it when done."""

    def __init__(self, url: str, api_key: str | None, publishable_key: str | None, *, timeout_seconds: float) -> None:
        # Medusa takes a secret key as the user name of basic auth; as a bearer token it answers 401.
        self._auth = httpx.BasicAuth(api_key, "") if api_key else None
        self._publishable_key = publishable_key
        self._timeout_seconds = timeout_seconds
        self._http = httpx.Client(base_url=url, timeout=timeout_seconds, headers={"accept-encoding": "gzip"})
        self._deadline = Deadline()
        self._deadline.watch(self._http)
        self.date: datetime | None = None
        """Medusa's clock at its last answer, to the second."""

    def close(self) -> None:
        self._http.close()

    def probe(self, path: str, params: Mapping[str, str] | None = None) -> Probe:
        """Return Medusa's answer to a GET with the key that the path needs.

        Raises `MedusaAway` only without a whole answer.
        """
        headers = {"x-publishable-api-key": self._publishable_key} if self._publishable_key else {}
        auth = self._auth if path.startswith("/admin") else None
        try:
            answer, content = self._request("GET", path, params=params, auth=auth, headers=headers)
        except httpx.HTTPError as error:
            raise MedusaAway(f"Medusa did not answer GET {path} ({type(error).__name__}).") from error
        try:
            body = json.loads(content)
        except (ValueError, RecursionError):
            body = {}
        return Probe(
            status=answer.status_code, date=answer.headers.get("date"), body=body if isinstance(body, dict) else {}
        )

    def admin(
        self, method: str, path: str, *, params: Params | None = None, body: Any = None, optional: bool = False
    ) -> Answer:
        """Call the Admin API and return the answer's JSON; with `optional`, an empty object if it has no such route."""
        return self._call(
            method, path, params=params, body=body, auth=self._admin_auth(), headers={}, optional=optional
        )  # fmt: skip

    def _admin_auth(self) -> httpx.Auth:
        if self._auth is None:
            raise MedusaNotConfigured("DUST_MEDUSA_API_KEY")
        return self._auth

    def store(self, method: str, path: str, *, params: Params | None = None, body: Any = None) -> Answer:
        if self._publishable_key is None:
            raise MedusaNotConfigured("DUST_MEDUSA_PUBLISHABLE_KEY")
        headers = {"x-publishable-api-key": self._publishable_key}
        return self._call(method, path, params=params, body=body, auth=None, headers=headers)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Params | None,
        body: Any,
        auth: httpx.Auth | None,
        headers: dict[str, str],
        optional: bool = False,
    ) -> Answer:
        call = _call_name(method, path)
        try:
            with span(f"medusa {call}"), MEDUSA_SECONDS.labels(call).time():
                if traceparent := current_traceparent():
                    headers = {**headers, "traceparent": traceparent}
                response, content = self._request(method, path, params=params, json=body, auth=auth, headers=headers)
            self.date = read_http_date(response.headers.get("date", "")) or self.date
            # Medusa's answer to an unknown path is a page, not JSON.
            absent = optional and response.status_code in {404, 405}
            return Answer({}, call=call) if absent else _answer(response, content, method, path)
        except DustError as error:
            MEDUSA_ERRORS.labels(call, error.code).inc()
            raise
        except httpx.HTTPError as error:
            MEDUSA_ERRORS.labels(call, MedusaAway.code).inc()
            # Whether Medusa accepted the call but did not finish its answer; otherwise it did not accept it.
            unfinished = isinstance(error, httpx.ReadTimeout | httpx.ReadError | httpx.RemoteProtocolError)
            reason = f"Medusa did not answer {method} {path} ({type(error).__name__})."
            raise MedusaAway(reason, only_this_call=unfinished) from error

    def _request(self, method: str, path: str, **arguments: Any) -> tuple[httpx.Response, bytes]:
        """Make a call. Returns the response and its body. Raises `httpx.HTTPError`, `MedusaAway`."""
        content = bytearray()
        with (
            self._deadline.within(self._timeout_seconds),
            self._http.stream(method, path, **arguments) as response,
        ):
            if response.headers.get("content-encoding", "identity").lower() not in {"gzip", "identity"}:
                # A body that is compressed twice can grow from kilobytes to gigabytes in one step.
                raise not_medusa(f"{method} {path}", "its answer is packed in a way that Dust does not ask for")
            # The limit is for the decompressed body: a few kilobytes of gzip can be gigabytes of text.
            for chunk in response.iter_bytes():
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise MedusaAway(
                        f"Medusa's answer to {method} {path} is over {MAX_ANSWER_BYTES // 1024**2} MB.",
                        only_this_call=True,
                    )
        return response, bytes(content)


def _call_name(method: str, path: str) -> str:
    """Return a call's name for metric labels: `GET /admin/orders/:id` for any order."""
    _, root, collection, *rest = path.split("/")
    # No part of an id may get into the name: the number of labels must stay small.
    below = "/:id/promotions" if rest and rest[-1] == "promotions" else "/:id" if rest else ""
    return f"{method} /{root}/{collection}{below}"


def _answer(response: httpx.Response, content: bytes, method: str, path: str) -> Answer:
    if response.status_code in {500, 502, 504}:
        raise MedusaAway(f"Medusa answered {response.status_code} to {method} {path}.", only_this_call=True)
    if response.status_code >= 500 or response.status_code in {408, 429}:
        raise MedusaAway(f"Medusa answered {response.status_code} to {method} {path}.")
    if response.is_redirect:
        raise MedusaAway(
            f"Medusa's address redirects {method} {path} ({response.status_code}), which Dust does not follow: set "
            "DUST_MEDUSA_URL to the address that it redirects to, often https:// for http://."
        )
    call = f"{method} {path}"
    answer = _json(response, content, call)
    kind, message = answer.get("type"), str(answer.get("message", "no reason given"))
    if response.status_code in {401, 403}:
        raise _key_refused(response, call)
    if "publishable" in message.lower() and kind == "not_allowed":
        # The Store API reports a refused key with 400.
        raise _key_refused(response, call)
    if response.status_code >= 400 and (
        not isinstance(kind, str) or (response.status_code == 404) != (kind == _UNKNOWN)
    ):
        # Medusa names a type in each of these (2.13 to 2.21: `error-handler.js`), a gateway in front of it does not. A
        # gateway's 404 must not be taken for Medusa's, which means that an order, a cart or a promotion is gone.
        raise not_medusa(call, f"{response.status_code} without a type of Medusa's")
    if response.status_code == 404:
        raise UnknownInMedusa(f"Medusa knows nothing under {path}.")
    if response.status_code >= 400:
        raise MedusaRefused(status=response.status_code, kind=str(kind), message=message)
    return Answer(answer, call=call)


def _key_refused(response: httpx.Response, call: str) -> MedusaAway:
    # Unavailable, not refused: after the key is fixed, everything that waited succeeds.
    return MedusaAway(f"Medusa refused our key ({response.status_code}) at {call}: check the keys.")


def _json(response: httpx.Response, content: bytes, call: str) -> Json:
    try:
        answer = json.loads(content, parse_float=Decimal)
    except RecursionError as error:
        # Shoppers write the metadata of their lines. One such order must not stop what concerns others.
        raise MedusaAway(f"Medusa's answer to {call} is too deeply nested to be read.", only_this_call=True) from error
    except (ValueError, ArithmeticError) as error:
        raise not_medusa(call, f"no JSON object ({response.status_code})") from error
    if not isinstance(answer, dict):
        raise not_medusa(call, f"no JSON object ({response.status_code})")
    return answer
