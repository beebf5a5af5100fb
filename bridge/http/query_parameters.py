"""Refuse query parameters that an endpoint does not know, so that a misspelled filter does not return everything."""

from collections.abc import Collection

from fastapi import Request
from fastapi.routing import APIRoute

from bridge.errors import FieldErrors


async def refuse_unknown_query(request: Request) -> None:
    """FastAPI dependency: check the query against the route's parameters. Raises `FieldErrors`."""
    if request.query_params:
        route: APIRoute = request.scope["route"]
        require_known_query(request, {parameter.alias for parameter in route.dependant.query_params})


def require_known_query(request: Request, known: Collection[str] = ()) -> None:
    """Check the query against `known`. Raises `FieldErrors` with each unknown parameter."""
    unknown = sorted(set(request.query_params) - set(known))
    if unknown:
        right = f"is unknown; known are {', '.join(sorted(known))}" if known else "is unknown; this takes none"
        raise FieldErrors([{"field": name, "message": right} for name in unknown])
