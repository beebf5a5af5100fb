"""What all routers of the Admin API have in common."""

from fastapi import APIRouter, Depends

from bridge.http.auth import operator
from bridge.http.problems import describe_problems


def admin_router(path: str = "", *, tag: str = "admin") -> APIRouter:
    return APIRouter(
        prefix=f"/admin/dust{path}",
        tags=[tag],
        dependencies=[Depends(operator)],
        responses=describe_problems(401, 503),
    )
