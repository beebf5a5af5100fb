"""Who may ask: Medusa's tokens in both kinds of keys, the service token, and everything that only looks like one."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi.testclient import TestClient

from bridge.settings import get_settings
from tests.support import tokens
from tests.support.orders import sample
from tests.support.tokens import ADMIN_TOKEN, JWT_SECRET, token

STORE, ADMIN = "/store/dust", "/admin/dust/programme"


@cache
def key_pair() -> tuple[str, str]:
    """A private key and its public one, as PEM."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return (
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        private.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode(),
    )


@pytest.fixture
def rsa_api(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch, enqueued: list[Any]) -> Iterator[TestClient]:
    """The API of a shop that signs with a key pair: it knows the public key and no secret."""
    monkeypatch.delenv("DUST_JWT_SECRET")
    monkeypatch.setenv("DUST_JWT_PUBLIC_KEY", key_pair()[1])
    get_settings.cache_clear()
    from bridge.app import create_app

    with TestClient(create_app()) as client:
        yield client


def ask(api: TestClient, path: str, bearer: str) -> httpx.Response:
    return api.get(path, headers={"authorization": f"Bearer {bearer}"})


def assert_refused(response: httpx.Response) -> None:
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Bearer")
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["code"] == "not_authenticated"


def raw(header: Any, claims: Any, signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def hmac_signed(algorithm: str, key: str) -> str:
    """Signed as PyJWT signs, without its checks of the key."""
    unsigned = raw({"alg": algorithm, "typ": "JWT"}, claims()).rpartition(".")[0]
    hash_name = algorithm.replace("HS", "sha")
    signature = hmac.digest(key.encode(), unsigned.encode(), hash_name)
    return f"{unsigned}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def claims(**others: Any) -> dict[str, Any]:
    return {"actor_id": "cus_1", "actor_type": "customer", "exp": int(time.time()) + 600, **others}


def test_a_customers_token_opens_the_store_and_a_users_the_admin_side(api: TestClient) -> None:
    assert ask(api, STORE, token()).status_code == 200
    assert ask(api, ADMIN, token("user_1", actor_type="user")).status_code == 200
    assert ask(api, ADMIN, ADMIN_TOKEN).status_code == 200


def test_the_claims_that_medusa_was_seen_to_sign_are_enough(api: TestClient) -> None:
    captured = sample("jwt_customer_claims")["payload"]
    bearer = jwt.encode({**captured, "exp": int(time.time()) + 600}, JWT_SECRET, "HS256")
    assert ask(api, f"{STORE}/balance", bearer).json()["customer_id"] == captured["actor_id"]


def test_a_token_signed_without_pyjwt_is_accepted(api: TestClient) -> None:
    assert ask(api, STORE, hmac_signed("HS256", JWT_SECRET)).status_code == 200


def test_a_shop_with_a_key_pair_needs_only_the_public_key(rsa_api: TestClient) -> None:
    private, _ = key_pair()
    assert ask(rsa_api, STORE, token(secret=private, alg="RS256")).status_code == 200
    assert ask(rsa_api, ADMIN, token("user_1", actor_type="user", secret=private, alg="RS256")).status_code == 200
    assert_refused(ask(rsa_api, STORE, token()))


def test_the_public_key_is_no_hmac_secret(rsa_api: TestClient) -> None:
    _, public = key_pair()
    assert_refused(ask(rsa_api, STORE, hmac_signed("HS256", public)))


def test_a_token_of_another_key_pair_is_refused(api: TestClient, rsa_api: TestClient) -> None:
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert_refused(ask(rsa_api, STORE, jwt.encode(claims(), other, "RS256")))


_BAD: dict[str, Callable[[], str]] = {
    "another secret": lambda: token(secret="another-secret-of-the-same-length-0123456789"),
    "another hash of the same family": lambda: hmac_signed("HS512", JWT_SECRET),
    "RS256 where the shop has a secret": lambda: token(secret=key_pair()[0], alg="RS256"),
    "alg none": lambda: raw({"alg": "none", "typ": "JWT"}, claims()),
    "alg None in capitals": lambda: raw({"alg": "NONE", "typ": "JWT"}, claims()),
    "alg a list": lambda: raw({"alg": ["HS256"], "typ": "JWT"}, claims()),
    "no alg": lambda: raw({"typ": "JWT"}, claims()),
    "header not an object": lambda: raw(["HS256"], claims()),
    "claims not an object": lambda: jwt.api_jws.encode(b"[1]", JWT_SECRET, "HS256"),
    "signature left out": lambda: token().rpartition(".")[0] + ".",
    "two parts": lambda: token().rpartition(".")[0],
    "expired": lambda: token(exp=int(time.time()) - 60),
    "without exp": lambda: token(exp="left out"),
    "exp null": lambda: token(exp=None),
    "exp not a number": lambda: token(exp="tomorrow"),
    "exp a list": lambda: token(exp=[1]),
    "exp without end": lambda: token(exp=float("inf")),
    "not yet": lambda: token(nbf=int(time.time()) + 600),
    "a registration, not finished": lambda: token(""),
    "actor_id of blanks": lambda: token("  "),
    "actor_id with a NUL": lambda: token("cus_1\x00"),
    "actor_id with half a surrogate pair": lambda: token("cus_\ud800"),
    "actor_id a number": lambda: token(actor_id=7),  # type: ignore[arg-type]
    "no actor_type": lambda: token(actor_type="left out"),
    "second factor not given": lambda: token(mfa_enabled=True),
    "garbage": lambda: "garbage",
    "dots": lambda: "...",
    "very long": lambda: "A" * 60_000,
    "nested a thousand times": lambda: raw({"alg": "HS256", "x": json.loads("[" * 900 + "]" * 900)}, claims()),
    "the admin token on the store side": lambda: ADMIN_TOKEN,
}


@pytest.mark.parametrize("bad", _BAD)
def test_what_is_no_valid_token_is_401_on_both_sides(api: TestClient, bad: str) -> None:
    bearer = _BAD[bad]()
    assert_refused(ask(api, STORE, bearer))
    if bearer != ADMIN_TOKEN:
        assert_refused(ask(api, ADMIN, bearer))


def test_a_token_that_was_accepted_is_refused_once_it_has_expired(
    api: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    bearer = token(exp=int(now) + 600)
    assert ask(api, STORE, bearer).status_code == 200
    # Only the clock for cached tokens moves: verifying the signature again would refuse the token for another reason.
    monkeypatch.setattr("bridge.http.auth.time.time", lambda: now + 700)
    assert_refused(ask(api, STORE, bearer))


def test_an_actor_of_the_other_side_is_401(api: TestClient) -> None:
    assert_refused(ask(api, STORE, token("user_1", actor_type="user")))
    assert_refused(ask(api, ADMIN, token("cus_1")))


def test_a_token_with_a_second_factor_is_accepted(api: TestClient) -> None:
    assert ask(api, STORE, token(mfa_enabled=True, mfa_challenge_completed_at=int(time.time()))).status_code == 200


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic Y3VzOjE=", "Token abc", ADMIN_TOKEN, "Bearer ÿþ", "Bearer a b", "Bearer \t"],
)
@pytest.mark.parametrize("path", [STORE, f"{STORE}/transactions", ADMIN, "/admin/dust/events"])
def test_no_bearer_at_all_is_401(api: TestClient, path: str, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode()}
    assert_refused(api.get(path, headers=headers))  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [ADMIN_TOKEN[:-1], ADMIN_TOKEN + "x", ADMIN_TOKEN.upper(), JWT_SECRET])
def test_a_slightly_different_admin_token_is_401(api: TestClient, wrong: str) -> None:
    assert_refused(ask(api, ADMIN, wrong))


def test_every_admin_and_store_call_requires_authentication(api: TestClient) -> None:
    """Also calls that are added later: only those listed here are public."""
    public = {
        ("get", "/store/dust/products"),
        ("get", "/store/dust/programme"),
        ("get", "/store/dust/rewards"),
        ("post", "/store/dust/quote/guest"),
        ("post", "/store/dust/forecast"),
    }
    paths = api.get("/openapi.json").json()["paths"]
    guarded = [
        (method, path)
        for path, methods in paths.items()
        for method in methods
        if path.startswith(("/store", "/admin")) and (method, path) not in public
    ]
    assert len(guarded) >= 20
    for method, path in guarded:
        assert_refused(api.request(method, path.replace("{", "").replace("}", ""), json={}))


def test_a_customer_cannot_read_data_of_others(api: TestClient) -> None:
    adjustment = {"amount": 100, "reason": "gift"}
    headers = {**tokens.admin(), "Idempotency-Key": "k"}
    assert api.post("/admin/dust/customers/cus_1/adjustments", json=adjustment, headers=headers).status_code == 201
    requested = {"dust": 50, "currency_code": "eur"}
    own = {**tokens.customer("cus_1"), "Idempotency-Key": "k"}
    redemption = api.post("/store/dust/redemptions", json=requested, headers=own).json()["redemption"]

    stranger = tokens.customer("cus_2")
    assert api.get(STORE, headers=stranger).json() == {"points": 0}
    assert api.get(f"{STORE}/transactions", headers=stranger).json()["transactions"] == []
    assert api.get(f"{STORE}/redemptions", headers=stranger).json()["redemptions"] == []
    assert api.get(f"{STORE}/redemptions/{redemption['id']}", headers=stranger).status_code == 404
    assert api.delete(f"{STORE}/redemptions/{redemption['id']}", headers=stranger).status_code == 404
    # Another customer may use the same idempotency key.
    response = api.post("/store/dust/redemptions", json=requested, headers={**stranger, "Idempotency-Key": "k"})
    assert response.json()["code"] == "insufficient_dust"
    for path in ("customers/cus_1", "customers/cus_1/transactions", "redemptions", "events"):
        assert_refused(api.get(f"/admin/dust/{path}", headers=stranger))
