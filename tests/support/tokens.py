"""Tokens as Medusa signs them. Claims: `tests/samples/jwt_customer_claims.json`."""

import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

JWT_SECRET = "a-jwt-secret-that-only-tests-know-0123456789"
ADMIN_TOKEN = "an-admin-token-that-only-tests-know-0123456789"


def token(
    actor_id: str = "cus_1",
    *,
    actor_type: str = "customer",
    secret: str = JWT_SECRET,
    alg: str = "HS256",
    **claims: Any,
) -> str:
    now = int(time.time())
    payload = {
        "actor_id": actor_id,
        "actor_type": actor_type,
        "auth_identity_id": "authid_1",
        "auth_provider": "emailpass",
        "mfa_enabled": False,
        "mfa_challenge_completed_at": None,
        "app_metadata": {f"{actor_type}_id": actor_id},
        "user_metadata": {},
        "iat": now,
        "exp": now + 86_400,
        **claims,
    }
    return jwt.encode({k: v for k, v in payload.items() if v != "left out"}, secret, alg)


def customer(actor_id: str = "cus_1", **more: Any) -> dict[str, str]:
    return {"authorization": f"Bearer {token(actor_id, **more)}"}


def admin() -> dict[str, str]:
    return {"authorization": f"Bearer {ADMIN_TOKEN}"}


def public_pem() -> str:
    """A public key as Medusa's `jwtPublicKey` would be."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
