"""Checks of Medusa: its address, clock, keys and the Dust plugin in it."""

from datetime import datetime, timedelta

import httpx

from bridge.clock import real_now
from bridge.errors import DustError
from bridge.http.dates import read_http_date
from bridge.medusa.client import make_medusa
from bridge.medusa.transport import Probe
from bridge.operations.alert_limits import minutes
from bridge.operations.doctor.finding import Check, Wrong, compare_clocks
from bridge.settings import Settings

# The resources that Dust regularly reads with the key.
_READ_WITH_THE_KEY = ("orders", "payments", "customers", "products", "promotions")
# The plugin tries a delivery again after a minute at most.
_DELIVERY_WAITS = timedelta(minutes=10)
_NOT_MEDUSA = "Is DUST_MEDUSA_URL the address of Medusa itself, not of a storefront or a page in front of it?"


def _medusa(settings: Settings) -> str:
    if not settings.medusa_url:
        raise Wrong("DUST_MEDUSA_URL is not set", fix="Set it to your Medusa's address, such as http://localhost:9000.")
    try:
        status = _ask(settings, "/health").status
    except DustError as error:
        raise Wrong(
            error.message,
            fix=f"Is Medusa running, and does this machine reach {settings.medusa_url} (DUST_MEDUSA_URL)?",
        ) from error
    if httpx.codes.is_redirect(status):
        raise Wrong(
            f"{settings.medusa_url}/health redirects ({status}), which Dust does not follow",
            fix="Set DUST_MEDUSA_URL to the address that it redirects to, often https:// for http://.",
        )
    if status != httpx.codes.OK:
        raise Wrong(f"{settings.medusa_url}/health answers {status}", fix=_NOT_MEDUSA)
    return f"answers at {settings.medusa_url}"


def _ask(settings: Settings, path: str, **params: str) -> Probe:
    medusa = make_medusa(settings)
    try:
        return medusa.probe(path, params)
    finally:
        medusa.close()


def _medusa_clock(settings: Settings) -> str:
    medusa_time = read_http_date(_ask(settings, "/health").date or "")
    if medusa_time is None:
        raise Wrong(
            "Medusa does not say what time it is there",
            fix="A proxy in front of Medusa removes the Date header: let it pass.",
        )
    return compare_clocks(medusa_time)


def _medusa_key(settings: Settings) -> str:
    if not settings.medusa_api_key:
        raise Wrong(
            "DUST_MEDUSA_API_KEY is not set",
            fix="Make a secret key in Medusa's admin (Settings, Secret API Keys) and set it: sk_…",
        )
    answer = _ask(settings, "/admin/orders", limit="1", fields="id")
    if answer.status == httpx.codes.OK and "orders" not in answer.body:
        # A storefront or single-page application has a page for every path.
        raise Wrong(f"what answers at {settings.medusa_url} is not Medusa", fix=_NOT_MEDUSA)
    if answer.status == httpx.codes.UNAUTHORIZED:
        raise Wrong(
            "Medusa does not accept the key",
            fix="Is DUST_MEDUSA_API_KEY a secret key of this very Medusa, and not revoked? Make a new one in its "
            "admin (Settings, Secret API Keys).",
        )
    return "is accepted"


def _medusa_scopes(settings: Settings) -> str:
    statuses = {name: _ask(settings, f"/admin/{name}", limit="1", fields="id").status for name in _READ_WITH_THE_KEY}
    refused = [f"{name} ({status})" for name, status in statuses.items() if status != httpx.codes.OK]
    if refused:
        raise Wrong(
            f"the key cannot read {', '.join(refused)}",
            fix="Give the key, or the role it has, the right to read these and to create and delete promotions.",
        )
    return f"the key reads {', '.join(statuses)}"


def _publishable_key(settings: Settings) -> str:
    if not settings.medusa_publishable_key:
        raise Wrong(
            "DUST_MEDUSA_PUBLISHABLE_KEY is not set, so points cannot be spent on a cart",
            fix="Set it to the storefront's key: pk_…, in Medusa's admin under Settings, Publishable API Keys.",
        )
    status = _ask(settings, "/store/regions", limit="1", fields="id").status
    if status != httpx.codes.OK:
        raise Wrong(
            f"Medusa does not accept the key ({status})",
            fix="Is DUST_MEDUSA_PUBLISHABLE_KEY a publishable key of this very Medusa, and not revoked?",
        )
    return "is accepted"


def _plugin(settings: Settings) -> str:
    answer = _ask(settings, "/admin/dust/deliveries")
    if answer.status != httpx.codes.OK:
        raise Wrong(
            f"Medusa has no Dust plugin ({answer.status}): no webhook will come",
            fix="Install medusa-plugin, name it in medusa-config.ts, run `npx medusa db:migrate`, restart Medusa.",
        )
    version = answer.body.get("medusa_version")
    rejected, oldest = int(answer.body.get("rejected") or 0), answer.body.get("oldest_waiting_at")
    age = real_now() - datetime.fromisoformat(str(oldest)) if oldest else timedelta()
    if rejected or age > _DELIVERY_WAITS:
        problem = (
            f"{rejected} deliveries were rejected" if rejected else f"a delivery has been waiting for {minutes(age)}"
        )
        last = next((event.get("last_error") for event in answer.body.get("undelivered") or ()), None)
        raise Wrong(
            f"{problem} ({last})" if last else problem,
            fix="Compare the plugin's bridge URL and secret with this Dust's address and DUST_WEBHOOK_SECRETS.",
        )
    return f"is there and delivers, in Medusa {version}" if version else "is there and delivers"


MEDUSA_CHECKS = (
    Check("medusa", _medusa),
    Check("medusa clock", _medusa_clock, after="medusa"),
    Check("medusa key", _medusa_key, after="medusa"),
    Check("medusa scopes", _medusa_scopes, after="medusa key"),
    Check("publishable key", _publishable_key, after="medusa"),
    Check("plugin", _plugin, after="medusa key"),
)
