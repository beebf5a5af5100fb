"""Rate limits per client for public requests and for requests that call Medusa.

A request is counted by its customer if it has a valid token, otherwise by its address. Each API process keeps its own
counts in memory. Every response to a limited request has the headers `RateLimit-Limit`, `RateLimit-Remaining` and
`RateLimit-Reset` (seconds until the count starts again). A request over the limit gets a 429 with `Retry-After`.
"""

import math
import time
from ipaddress import ip_address, ip_network

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bridge.http.auth import NotSignedIn, customer_of
from bridge.http.problems import problem
from bridge.settings import Settings

# Key for all paths that begin like this and end with a redemption id.
_ONE_REDEMPTION = "/store/dust/redemptions/"
_PUBLIC = {("GET", f"/store/dust/{name}") for name in ("products", "programme", "rewards")}
_GUESTS = {("POST", "/store/dust/quote/guest"), ("POST", "/store/dust/forecast")}
_CUSTOMERS = {
    ("POST", "/store/dust/quote"),
    ("POST", "/store/dust/redemptions"),
    ("POST", "/store/dust/referral"),
    ("DELETE", _ONE_REDEMPTION),
}
LIMITED = _PUBLIC | _GUESTS | _CUSTOMERS


class RateLimits:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._limiter = FixedWindowRateLimiter(MemoryStorage())
        self._limits: dict[tuple[str, str], RateLimitItem] = {
            **dict.fromkeys(_PUBLIC, parse(settings.rate_limit_public)),
            **dict.fromkeys(_GUESTS, parse(settings.rate_limit_guests)),
            **dict.fromkeys(_CUSTOMERS, parse(settings.rate_limit_customers)),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = _kind(scope) if scope["type"] == "http" else None
        limit = self._limits.get(kind) if kind else None
        if kind is None or limit is None:
            await self._app(scope, receive, send)
            return
        # Each kind of request has its own count.
        keys = (*kind, await _client(Request(scope)))
        if self._limiter.get_window_stats(limit, *keys).reset_time > time.time() + limit.get_expiry():
            # The machine's clock was set back. Otherwise the count would go on until that time has come again.
            self._limiter.clear(limit, *keys)
        allowed = self._limiter.hit(limit, *keys)
        reset_time, remaining = self._limiter.get_window_stats(limit, *keys)
        seconds = str(max(1, math.ceil(reset_time - time.time())))
        headers = {
            "RateLimit-Limit": str(limit.amount),
            "RateLimit-Remaining": str(remaining),
            "RateLimit-Reset": seconds,
        }
        if not allowed:
            detail = f"Too many requests. Please try again in {seconds} seconds."
            answer = problem(429, "too_many_requests", detail, {**headers, "Retry-After": seconds})
            await answer(scope, receive, send)
            return

        async def send_with_limits(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        await self._app(scope, receive, send_with_limits)


def _kind(scope: Scope) -> tuple[str, str]:
    path: str = scope["path"]
    return scope["method"], _ONE_REDEMPTION if path.startswith(_ONE_REDEMPTION) else path


async def _client(request: Request) -> str:
    if "authorization" in request.headers:
        try:
            return await customer_of(request)
        except NotSignedIn:
            pass
    return _network(request.client.host) if request.client else "unknown"


def _network(host: str) -> str:
    """The IPv4 address, or the /64 network of an IPv6 address, which is what one subscriber has.

    A server that listens on both, such as Node, gives an IPv4 address as `::ffff:192.0.2.1`.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if address.version == 4:
        return host
    return str(address.ipv4_mapped or ip_network((address, 64), strict=False))
