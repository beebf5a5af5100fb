"""Authentication: a customer or a Medusa user by Medusa's JWT, or a service by its token.

Medusa 2.21.2 signs `{actor_id, actor_type, auth_identity_id, app_metadata, iat, exp, …}`, HS256 by default, RS256 where
the shop configured a key pair; no issuer, no audience. A registration token has an empty `actor_id`.

Medusa's plugin forwards requests of people whom Medusa has authenticated. It sends the service token and names the
person in a header: `X-Dust-Operator` or `X-Dust-Customer`. Without the service token these headers are ignored.
"""

import hmac
import time
from functools import lru_cache
from typing import Annotated, Any

import jwt
import structlog
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bridge.errors import NotAuthentic
from bridge.ids import CustomerId, is_id
from bridge.settings import Settings, get_settings

# Tolerated difference between the clocks of two machines. A token is valid for a day.
_LEEWAY_SECONDS = 10

# Size of the token cache: a few megabytes in each process.
_TOKENS_KEPT = 4096

_customer_bearer = HTTPBearer(auto_error=False, scheme_name="customer", description="A Medusa customer's JWT")
_admin_bearer = HTTPBearer(
    auto_error=False, scheme_name="admin", description="DUST_ADMIN_TOKEN, or a Medusa admin user's JWT"
)


class NotSignedIn(NotAuthentic):
    """The bearer token is missing or not accepted."""

    code = "not_authenticated"


async def signed_in_customer(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_customer_bearer)]
) -> CustomerId:
    """The customer of the token, or the one that a service names in its header. Raises `NotSignedIn`."""
    customer_id = _customer(_token(credentials), request, get_settings())
    # This function is async, so it runs in the request's task: what is bound here is kept for the endpoint.
    structlog.contextvars.bind_contextvars(customer_id=customer_id)
    return customer_id


async def customer_if_signed_in(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_customer_bearer)]
) -> CustomerId | None:
    """As `signed_in_customer`; None without a token. A token that is not accepted raises `NotSignedIn`."""
    if credentials is None:
        return None
    if "x-dust-customer" not in request.headers and _is_service(credentials.credentials, get_settings()):
        # Medusa's plugin, for a visitor who is not signed in.
        return None
    return await signed_in_customer(request, credentials)


async def customer_of(request: Request) -> CustomerId:
    """As `signed_in_customer`, for callers outside FastAPI's dependency injection."""
    return await signed_in_customer(request, await _customer_bearer(request))


async def operator(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_admin_bearer)]
) -> str:
    """The id of the Medusa user of the token, or of the one that a service names in its header; else `service`.

    Raises `NotSignedIn`.
    """
    token, settings = _token(credentials), get_settings()
    if not _is_service(token, settings):
        return _actor(token, "user", settings)
    return _named(request, "X-Dust-Operator") or "service"


Customer = Annotated[CustomerId, Depends(signed_in_customer)]
OptionalCustomer = Annotated[CustomerId | None, Depends(customer_if_signed_in)]
AdminOperator = Annotated[str, Depends(operator)]


def _token(credentials: HTTPAuthorizationCredentials | None) -> str:
    if credentials is None or not credentials.credentials:
        raise NotSignedIn("Send a token as `Authorization: Bearer …`.")
    return credentials.credentials


def _customer(token: str, request: Request, settings: Settings) -> CustomerId:
    if not _is_service(token, settings):
        return CustomerId(_actor(token, "customer", settings))
    named = _named(request, "X-Dust-Customer")
    if named is None:
        raise NotSignedIn("The service token belongs to no customer: name one as `X-Dust-Customer`.")
    return CustomerId(named)


def _is_service(token: str, settings: Settings) -> bool:
    service = settings.admin_token
    return service is not None and hmac.compare_digest(token.encode(), service.get_secret_value().encode())


def _named(request: Request, header: str) -> str | None:
    value = request.headers.get(header)
    if value is not None and not is_id(value):
        raise NotSignedIn(f"{header} must be an id.")
    return value


def _actor(token: str, actor_type: str, settings: Settings) -> str:
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else None
    claims = _claims(token, secret, settings.jwt_public_key)
    if int(claims["exp"]) + _LEEWAY_SECONDS <= time.time():
        raise NotSignedIn("The token is not valid, or no longer.")
    actor = claims.get("actor_id")
    if claims.get("actor_type") != actor_type:
        raise NotSignedIn(f"This token is not a {actor_type}'s.")
    # Not printable: NUL or half a surrogate pair, which Postgres cannot store.
    if not isinstance(actor, str) or not actor.strip() or not actor.isprintable():
        raise NotSignedIn("This token belongs to a registration that is not finished: log in again.")
    if claims.get("mfa_enabled") and not claims.get("mfa_challenge_completed_at"):
        raise NotSignedIn("The second factor has not been given yet.")
    return actor


# A shopper's token comes with every page, so verified claims are cached. The expiry is checked on every request.
# Rejected tokens are not cached.
@lru_cache(maxsize=_TOKENS_KEPT)
def _claims(token: str, secret: str | None, public_key: str | None) -> dict[str, Any]:
    """Verify the token. Each algorithm has its own key, so a public key is never used as an HMAC secret."""
    try:
        algorithm = jwt.get_unverified_header(token).get("alg")
        if algorithm == "HS256" and secret:
            key = secret
        elif algorithm == "RS256" and public_key:
            key = public_key
        else:
            raise NotSignedIn("The token is signed in a way that is not accepted here.")
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            leeway=_LEEWAY_SECONDS,
            options={"require": ["exp"], "verify_aud": False},
        )
        return claims
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise NotSignedIn("The token is not valid, or no longer.") from error
