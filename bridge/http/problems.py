"""Turns errors into `application/problem+json` (RFC 9457). It has the only table from error family to HTTP status."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from bridge.errors import (
    Conflict,
    DustError,
    FieldErrors,
    InvalidInput,
    NotAuthentic,
    NotFound,
    Unavailable,
    field_error,
    field_problems,
)

log = structlog.get_logger(__name__)

STATUS_OF_FAMILY: dict[type[DustError], int] = {
    InvalidInput: 422,
    NotAuthentic: 401,
    NotFound: 404,
    Conflict: 409,
    Unavailable: 503,
}
RETRY_AFTER_SECONDS = 5
# Python's parser refuses these although their JSON may be valid.
_UNREADABLE_JSON = (
    "The body cannot be read as JSON: send it in UTF-8, without thousands of brackets in each other and without "
    "numbers of thousands of digits."
)
_TITLES = {
    400: "Bad request",
    401: "Not authenticated",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    422: "Invalid input",
    429: "Too many requests",
    500: "Internal error",
    503: "Temporarily unavailable",
}


class FieldProblem(BaseModel):
    field: str = Field(description="Path of the field, separated by dots", examples=["earn.rates.eur"])
    message: str = Field(description="What a valid value would be")


class Problem(BaseModel):
    """The body of every error response. Some errors have additional keys, such as `available`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable error code for programs", examples=["insufficient_dust"])
    errors: list[FieldProblem] | None = None


def status_of(error: DustError) -> int:
    """The HTTP status of an error. A class may set its own `status` for its own reason (400, 413)."""
    own = getattr(error, "status", None)
    if isinstance(own, int):
        return own
    return next(status for family, status in STATUS_OF_FAMILY.items() if isinstance(error, family))


def problem(status: int, code: str, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    body = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status, "detail": detail}
    if status == 401:
        headers = {"WWW-Authenticate": "Bearer", **(headers or {})}
    if status == 503:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS), **(headers or {})}
    return JSONResponse({**body, "code": code, **more}, status, headers=headers, media_type="application/problem+json")


def error_response(request: Request, error: DustError) -> JSONResponse:
    status, message, details = status_of(error), error.message, error.details
    if error.shopper_message:
        log.warning("answered_unavailable", path=request.url.path, code=error.code, detail=message)
        if request.url.path.startswith("/store/"):
            # What is wrong, and where, is for operators only.
            message, details = error.shopper_message, {}
    return problem(status, error.code, message, **details)


def describe_problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses=` argument of a route: the problem documents that it may return."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


def install_problems(app: FastAPI) -> None:
    """Register exception handlers that turn every error into a problem document."""

    @app.exception_handler(DustError)
    async def _dust_error(request: Request, error: DustError) -> JSONResponse:
        return error_response(request, error)

    @app.exception_handler(RequestValidationError)
    async def _validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["type"] == "json_invalid":
            where = f"{first['ctx']['error']} at character {first['loc'][-1]}"
            return problem(400, "invalid_json", f"The body is not valid JSON: {where}.")
        if isinstance(error.body, bytes):
            # FastAPI reads a body as JSON only if its type says so.
            return error_response(request, field_error("Content-Type", "must be application/json"))
        # The first step of a path is the location: path, query, header or body.
        return error_response(request, FieldErrors(field_problems(error.errors(), skipped_steps=1)))

    @app.exception_handler(HTTPException)
    async def _http_error(request: Request, error: HTTPException) -> JSONResponse:
        # FastAPI answers 400 to any error that reading the body raises.
        cause = error.__cause__
        if isinstance(cause, DustError):
            return error_response(request, cause)
        if error.status_code == 400 and isinstance(cause, ValueError | RecursionError):
            return problem(400, "invalid_json", _UNREADABLE_JSON)
        code = {404: "not_found", 405: "method_not_allowed", 400: "bad_request"}.get(error.status_code, "error")
        headers = dict(error.headers) if error.headers else None
        return problem(error.status_code, code, str(error.detail), headers)

    @app.exception_handler(Exception)
    async def _unexpected(request: Request, error: Exception) -> JSONResponse:
        log.error("unexpected_error", path=request.url.path, exc_info=error)
        # This response passes no middleware, so it gets its headers here.
        headers = {"Cache-Control": "private, no-store"}
        if request_id := structlog.contextvars.get_contextvars().get("request_id"):
            headers["X-Request-ID"] = str(request_id)
        return problem(500, "internal_error", "Dust had an internal error. It was logged.", headers)
