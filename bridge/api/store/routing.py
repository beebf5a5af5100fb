"""What all routers of the Store API have in common."""

from fastapi import APIRouter, Depends

from bridge.http.query_parameters import refuse_unknown_query


def store_router() -> APIRouter:
    return APIRouter(prefix="/store/dust", tags=["store"], dependencies=[Depends(refuse_unknown_query)])
