"""Builds the ASGI application from its routers and middleware. A good place to start reading."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.middleware.cors import CORSMiddleware

from bridge.api import admin, health, store, webhook_payloads
from bridge.api.store import balance
from bridge.gc_tuning import tune_gc
from bridge.http.body_limits import BodyLimit
from bridge.http.etag import NoStoreByDefault
from bridge.http.fast_path import FastPath
from bridge.http.head_requests import HeadAsGet
from bridge.http.idempotency_header import require_key_in_schema
from bridge.http.problems import Problem, describe_problems, install_problems
from bridge.http.rate_limits import RateLimits
from bridge.http.request_context import RequestContext
from bridge.observability.logs import set_up_logs
from bridge.observability.metrics import start_saving, stop_saving
from bridge.observability.tracing import set_up_tracing, stop_tracing
from bridge.settings import Settings, get_settings
from bridge.webhooks import endpoint

_DESCRIPTION = (
    "Loyalty points for a Medusa shop. Errors are problem documents (RFC 9457) with a stable `code`. "
    "Lists are paged with `limit` and `cursor`."
)

_TAGS = [
    {"name": "store", "description": "For storefronts: a customer's own points, and what everybody may see"},
    {"name": "admin", "description": "For merchants and operators"},
    {"name": "reports", "description": "For accounting: figures of the ledger at a time"},
    {"name": "webhooks", "description": "Events from Medusa"},
    {"name": "health", "description": "For orchestrators and monitoring"},
]


@asynccontextmanager
async def _counting_and_tracing(_app: FastAPI) -> AsyncIterator[None]:
    set_up_tracing(get_settings(), "dust-api")
    start_saving()
    yield
    await run_in_threadpool(stop_saving)
    await run_in_threadpool(stop_tracing)


def served_app() -> FastAPI:
    """Create the application for a process that only serves it, with garbage collection tuned."""
    app = create_app()
    tune_gc()
    return app


def settings_of_app() -> Settings:
    """The settings. Raises `SettingsError` if a setting that the application needs is missing or weak."""
    settings = get_settings()
    tokens = () if settings.jwt_public_key else ("jwt_secret",)
    settings.require("database_url", "webhook_secrets", "admin_token", *tokens)
    return settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """Create the application. Raises `SettingsError` as `settings_of_app`, unless settings are given."""
    settings = settings or settings_of_app()
    set_up_logs(settings)
    app = FastAPI(
        title="Dust",
        version="0.1.0",
        description=_DESCRIPTION,
        license_info={"name": "MIT", "identifier": "MIT"},
        openapi_tags=_TAGS,
        servers=[{"url": "/", "description": "This Dust"}],
        # Stable names for generated clients: those of the routes.
        generate_unique_id_function=lambda route: route.name,
        lifespan=_counting_and_tracing,
        # A redirect would name the scheme and the host of the request, which behind a proxy can be http:// and another.
        redirect_slashes=False,
        # Dust has its own traces and metrics. Off here, or FastAPI checks on every request whether to record.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        webhooks=webhook_payloads.webhooks,
    )
    install_problems(app)
    fast_path = {
        ("POST", "/webhooks/medusa"): endpoint.medusa_webhook,
        ("GET", "/store/dust/balance"): balance.handle_own_balance,
    }
    app.add_middleware(FastPath, answers=fast_path)
    app.add_middleware(BodyLimit)
    app.add_middleware(RateLimits, settings=settings)
    for router in (endpoint.router, *store.ROUTERS, *admin.ROUTERS, health.router):
        app.include_router(router)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "HEAD", "POST", "DELETE"],
            allow_headers=["authorization", "content-type", "idempotency-key", "if-none-match"],
            expose_headers=["etag", "retry-after", "ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"],
        )
    app.add_middleware(NoStoreByDefault)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestContext)
    _complete_schema(app)
    return app


def _complete_schema(app: FastAPI) -> None:
    """Complete the OpenAPI schema: add the problem document, which routes only refer to, and mark what is public.

    Every body is read with the same limits, so their errors are added here, and not at each route.
    """
    original = app.openapi

    def openapi() -> dict[str, object]:
        schema = original()
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        definition = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(definition.pop("$defs", {}))
        schemas["Problem"] = definition
        for methods in (*schema["paths"].values(), *schema["webhooks"].values()):
            for operation in methods.values():
                operation.setdefault("security", [])
        for operation in (each for methods in schema["paths"].values() for each in methods.values()):
            require_key_in_schema(operation)
            if "requestBody" in operation:
                limits = {str(status): answer for status, answer in describe_problems(400, 408, 413).items()}
                operation["responses"] = dict(sorted({**limits, **operation["responses"]}.items()))
        return schema

    app.openapi = openapi  # type: ignore[method-assign]
