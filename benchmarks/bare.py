"""The limit for reading a balance: a bare ASGI route with the same token check and one pooled query."""

import json
from typing import Any

from psycopg_pool import AsyncConnectionPool
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from bridge.http.auth import customer_of
from bridge.settings import get_settings

_QUERY = "SELECT balance, held, pending FROM dust_balance WHERE customer_id = %s"
_pool: AsyncConnectionPool[Any] | None = None


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    global _pool
    if scope["type"] == "lifespan":
        await receive()
        _pool = AsyncConnectionPool(
            str(get_settings().database_url), min_size=8, max_size=8, open=False, kwargs={"autocommit": True}
        )
        await _pool.open(wait=True)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await _pool.close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    assert _pool is not None
    customer_id = await customer_of(Request(scope, receive))
    async with _pool.connection() as connection:
        row = await (await connection.execute(_QUERY, (customer_id,))).fetchone()
    body = json.dumps({"customer_id": customer_id, "figures": row}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
