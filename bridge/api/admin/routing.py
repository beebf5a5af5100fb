"""What all routers of the Admin API have in common."""

from fastapi import APIRouter, Depends

from bridge.http.auth import operator
from bridge.http.problems import describe_problems
from bridge.http.query_parameters import refuse_unknown_query


def admin_router(path: str = "", *, tag: str = "admin") -> APIRouter:
    return APIRouter(
        prefix=f"/admin/dust{path}",
        tags=[tag],
        dependencies=[Depends(operator), Depends(refuse_unknown_query)],
        responses=describe_problems(401, 422, 503),
    )
