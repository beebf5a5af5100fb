"""Doctor: checks an installation step by step. Each problem found comes with its fix.

A check that depends on a failed one (the tables of a database that does not answer) is skipped, so that a problem is
reported once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx
from sqlalchemy import text

from bridge.clock import now, read_offset, real_now
from bridge.db import APP_ROLE, SESSION_SETTINGS, DatabaseAway, migrations, transaction
from bridge.errors import DustError
from bridge.inbox.listing import count_failed, oldest_waiting
from bridge.medusa.client import Probe, make_medusa
from bridge.outgoing.queries import count_open, list_webhooks, oldest_waiting_webhook
from bridge.outgoing.tables import OutgoingWebhookState
from bridge.programme.rules import EarnWhen
from bridge.programme.versions import current_version
from bridge.queue.broker import broker_problem
from bridge.queue.enqueue import queues_with_workers
from bridge.queue.heartbeats import EVERY_MINUTE, read_runs
from bridge.settings import Settings, SettingsError, load_settings

# Tokens are accepted with ten seconds of clock difference, webhooks with 300.
_CLOCK_TOLERANCE = timedelta(seconds=10)
# The job runs every minute, and sometimes waits for a free worker.
_BEAT_TOLERANCE = timedelta(minutes=3)
_WAITING_TOLERANCE = timedelta(minutes=10)
_WORKERS_ANSWER_SECONDS = 2.0
_FLOWER_SECONDS = 5.0
# The resources that Dust regularly reads with the key.
_READ_WITH_THE_KEY = ("orders", "payments", "customers", "products", "promotions")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """Result of a check. `ok` is None if it was skipped. `fix` says what to do if `ok` is False."""

    check: str
    ok: bool | None
    detail: str
    fix: str = ""


class Wrong(Exception):
    """A check failed: what is wrong, and how to fix it."""

    def __init__(self, detail: str, *, fix: str) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fix = fix


@dataclass(frozen=True)
class Check:
    """A check. `run` returns a short text if all is well, or raises `Wrong`. Skipped unless the check `after` is ok."""

    name: str
    run: Callable[[Settings], str]
    after: str | None = None


def examine(flower_url: str | None = None) -> Iterator[Finding]:
    """Run all checks and yield each finding at once. `flower_url` is the address of a Flower on another machine."""
    try:
        settings = load_settings()
    except SettingsError as error:
        for problem in error.problems:
            fix = "Change or unset the variable; docs/reference/settings.md explains each."
            yield Finding(check="settings", ok=False, detail=problem, fix=fix)
        return
    well: set[str] = set()
    flower = Check("flower", lambda settings: _flower(flower_url or _own_flower(settings)))
    for check in (*_CHECKS, flower):
        finding = _find(check, settings, well)
        if finding.ok:
            well.add(check.name)
        yield finding


def _find(check: Check, settings: Settings, well: set[str]) -> Finding:
    if check.after and check.after not in well:
        return Finding(check=check.name, ok=None, detail=f"not checked: first fix what is said of {check.after}")
    try:
        return Finding(check=check.name, ok=True, detail=check.run(settings))
    except Wrong as wrong:
        return Finding(check=check.name, ok=False, detail=wrong.detail, fix=wrong.fix)
    except DustError as error:
        # The service answered the first check but not this one.
        return Finding(check=check.name, ok=False, detail=error.message, fix="Run `dust doctor` again.")


def _secrets(settings: Settings) -> str:
    missing = [name for name in ("webhook_secrets", "admin_token") if not getattr(settings, name)]
    if not settings.jwt_secret and not settings.jwt_public_key:
        missing.append("jwt_secret")
    if missing:
        raise Wrong(
            f"not set: {', '.join(f'DUST_{name.upper()}' for name in missing)}",
            fix="`dust secret` makes a webhook secret, which Medusa's plugin needs too; `openssl rand -hex 32` an "
            "admin token; DUST_JWT_SECRET is Medusa's jwtSecret (or set DUST_JWT_PUBLIC_KEY).",
        )
    if settings.jwt_secret:
        return (
            "all are set, and strong enough; recommended: let Medusa sign tokens with RS256 and set "
            "DUST_JWT_PUBLIC_KEY instead of DUST_JWT_SECRET, for with that secret one can sign administrators' tokens"
        )
    return "all are set, and strong enough"


def _rules(settings: Settings) -> str:
    with transaction() as connection:
        version = current_version(connection)
    earn = version.programme.earn
    found = f"version {version.number} is in force"
    if earn.when is EarnWhen.PLACED and not earn.pending_until_paid:
        found += (
            "; recommended: set earn.pending_until_paid to true. Now an order that nobody pays gives points at once, "
            "which can be spent before you cancel it"
        )
    return found


def _database(settings: Settings) -> str:
    if not settings.database_url:
        raise Wrong(
            "DUST_DATABASE_URL is not set",
            fix="Set it to postgresql://user:password@host:5432/database, or start `dust up`, which brings its own.",
        )
    try:
        with transaction() as connection:
            return f"PostgreSQL {connection.scalar(text('SHOW server_version'))} answers"
    except DatabaseAway as error:
        if "unsupported startup parameter" in str(error.__cause__):
            raise Wrong(
                "PgBouncer, or another pooler, refuses the settings of Dust's sessions",
                fix="Set DUST_DATABASE_POOLED=true for every process of Dust, and run `dust doctor` again. For `dust "
                "migrate`, set DUST_OWNER_DATABASE_URL to the owner's address of Postgres, without the pooler.",
            ) from error
        raise Wrong(
            f"does not answer ({_first_line(error.__cause__)})",
            fix="Is Postgres running, and are host, port, user and password in DUST_DATABASE_URL right?",
        ) from error


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0]


def _migrations(_: Settings) -> str:
    with transaction() as connection:
        at = migrations.current_revision(connection)
    if migrations.is_behind(at):
        newest = migrations.known_revisions()[0]
        raise Wrong(f"the database is at {at or 'nothing'}, this Dust wants {newest}", fix="Run `dust migrate`.")
    if at not in migrations.known_revisions():
        return f"the database is at {at}, which this version does not know: a newer or an unreleased one migrated it"
    return f"the database is at {at}"


def _sessions(settings: Settings) -> str:
    with transaction() as connection:
        user = connection.scalar(text("SELECT session_user"))
        found = {
            name: connection.scalar(text("SELECT current_setting(:name)"), {"name": name}) for name in SESSION_SETTINGS
        }
    wrong = {name: value for name, value in SESSION_SETTINGS.items() if found[name] != value}
    if not wrong:
        return "time-outs and time zone are those of Dust"
    statements = " ".join(f"ALTER ROLE {user} SET {name} = '{value}';" for name, value in wrong.items())
    pooled = "" if settings.database_pooled else "Set DUST_DATABASE_POOLED=true for every process of Dust. "
    raise Wrong(
        "a session has " + ", ".join(f"{name} {found[name]}" for name in wrong) + ": a pooler is in between",
        fix=f"{pooled}Connect without the pooler, as a superuser or as {user}, and run: {statements} Then let "
        "the pooler open new connections (in PgBouncer's console: RECONNECT).",
    )


def _privileges(settings: Settings) -> str:
    query = (
        "SELECT current_user AS role, has_table_privilege('dust_transaction', 'UPDATE')"
        " OR has_table_privilege('dust_transaction', 'DELETE') AS may_change"
    )
    with transaction() as connection:
        found = connection.execute(text(query)).one()
    if found.may_change and settings.database_pooled:
        raise Wrong(
            f"connections serve as {found.role}, who may change what is booked",
            fix=f"CREATE ROLE dust_serve LOGIN PASSWORD '…' IN ROLE {APP_ROLE}; and let DUST_DATABASE_URL name that "
            "user: behind a pooler Dust cannot step down to the role itself. DUST_OWNER_DATABASE_URL is for the owner, "
            "without the pooler.",
        )
    if found.may_change:
        raise Wrong(
            f"connections serve as {found.role}, who may change what is booked",
            fix=f"Run `dust migrate` as a user who may create roles, then GRANT {APP_ROLE} TO the user of "
            "DUST_DATABASE_URL: Dust steps down to it by itself.",
        )
    return f"connections serve as {found.role}, who cannot change what is booked"


def _database_clock(_: Settings) -> str:
    return _compare_clocks(_postgres_now())


def _postgres_now() -> datetime:
    with transaction() as connection:
        there: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return there


def _compare_clocks(there: datetime) -> str:
    ahead = there - real_now()
    if abs(ahead) > _CLOCK_TOLERANCE:
        seconds = abs(ahead.total_seconds())
        raise Wrong(
            f"{seconds:.0f} s {'ahead of' if ahead > timedelta() else 'behind'} this machine's",
            fix="Let every machine follow a time server, for example with chrony: webhooks and tokens carry a time.",
        )
    return "goes with this machine's"


def _test_clock(settings: Settings) -> str:
    if not settings.test_clock:
        return "the wall's, and it cannot be moved"
    with transaction() as connection:
        ahead = read_offset(connection)
    return f"may be moved with `dust clock`{f', and is {ahead} ahead' if ahead else ''}: not for real customers' dust"


def _inbox(_: Settings) -> str:
    with transaction() as connection:
        oldest, failed = oldest_waiting(connection), count_failed(connection)
    age = now() - oldest if oldest else timedelta()
    if age > _WAITING_TOLERANCE:
        raise Wrong(
            f"an event has been waiting for {_minutes(age)}",
            fix="`dust events --state pending` says what it waits for; see also what is said here of workers, beat "
            "and Medusa.",
        )
    if failed:
        raise Wrong(
            f"events that failed and wait for somebody to look: {failed}",
            fix="`dust events --state failed` says why. When that is fixed: `dust retry --all-failed`, or Retry in "
            "Flower.",
        )
    return "nothing has failed, nothing waits for long"


def _outgoing_webhooks(settings: Settings) -> str:
    if settings.outgoing_webhook_url is None:
        return "none are sent (DUST_OUTGOING_WEBHOOK_URL is not set)"
    with transaction() as connection:
        failed, oldest = count_open(connection)[OutgoingWebhookState.FAILED], oldest_waiting_webhook(connection)
        state = OutgoingWebhookState.FAILED if failed else OutgoingWebhookState.WAITING
        last = list_webhooks(connection, state=state, limit=1)
    age = now() - oldest if oldest else timedelta()
    if failed or age > _WAITING_TOLERANCE:
        what = f"failed outgoing webhooks: {failed}" if failed else f"one has been waiting for {_minutes(age)}"
        reason = last[0].reason if last else None
        raise Wrong(
            f"{what} ({reason})" if reason else what,
            fix="Does the receiver at DUST_OUTGOING_WEBHOOK_URL run, and does it have the same "
            "DUST_OUTGOING_WEBHOOK_SECRET? `dust webhooks` shows its answers. Then `dust webhooks --retry-failed`.",
        )
    return "none has failed, and none waits for long"


def _minutes(age: timedelta) -> str:
    return f"{age.total_seconds() / 60:.0f} minutes"


def _beat(_: Settings) -> str:
    with transaction() as connection:
        run = read_runs(connection).get(EVERY_MINUTE)
    if run is None or now() - run.at > _BEAT_TOLERANCE:
        raise Wrong(
            f"was last heard of {_minutes(now() - run.at)} ago" if run else "was never heard of",
            fix="Start `dust beat` (one is enough), and a worker for the queue `sweeps`, which does what it says.",
        )
    return "the clock goes"


def _broker(settings: Settings) -> str:
    if not settings.broker_url:
        raise Wrong(
            "DUST_BROKER_URL is not set",
            fix="Set it to redis://… or amqp://…, or start `dust up`, which brings its own Redis.",
        )
    problem = broker_problem(settings.broker_url, settings.broker_ca_file)
    if problem is not None:
        raise Wrong(
            f"does not answer ({problem})",
            fix="Is Redis (or RabbitMQ) running, and are host, port and password in DUST_BROKER_URL right? Events are "
            "kept meanwhile, and handled when it is back.",
        )
    return "answers"


def _workers(_: Settings) -> str:
    served = queues_with_workers(timeout_seconds=_WORKERS_ANSWER_SECONDS)
    alone = [queue for queue, workers in served.items() if not workers]
    if alone:
        raise Wrong(
            f"nobody answers for {', '.join(alone)}",
            fix=f"Start `dust worker --queues {','.join(alone)}`. If it runs, its log says what keeps it.",
        )
    return ", ".join(f"{workers} for {queue}" for queue, workers in served.items())


def _own_flower(settings: Settings) -> str:
    everywhere = settings.flower_host in {"0.0.0.0", "::"}  # noqa: S104 - asked about, not listened on
    return f"http://{'127.0.0.1' if everywhere else settings.flower_host}:{settings.flower_port}"


def _flower(url: str) -> str:
    try:
        answer = httpx.get(f"{url}/healthcheck", timeout=_FLOWER_SECONDS)
    except httpx.HTTPError as error:
        raise Wrong(
            f"nothing answers at {url} ({type(error).__name__})",
            fix="Start `dust flower`, or say where it is: `dust doctor --flower http://…`.",
        ) from error
    if not answer.is_success:
        raise Wrong(
            f"{url} answers {answer.status_code}: that is not Flower",
            fix="Set DUST_FLOWER_PORT to a port that nothing else uses, and start `dust flower` again.",
        )
    return f"answers at {url}"


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
    if status != httpx.codes.OK:
        raise Wrong(
            f"{settings.medusa_url}/health answers {status}",
            fix="Is DUST_MEDUSA_URL the address of Medusa itself, not of a storefront or a page in front of it?",
        )
    return f"answers at {settings.medusa_url}"


def _ask(settings: Settings, path: str, **params: str) -> Probe:
    medusa = make_medusa(settings)
    try:
        return medusa.probe(path, params)
    finally:
        medusa.close()


def _medusa_clock(settings: Settings) -> str:
    date = _ask(settings, "/health").date
    try:
        there = parsedate_to_datetime(date or "")
    except ValueError as error:
        raise Wrong(
            "Medusa does not say what time it is there",
            fix="Whatever stands in front of Medusa takes the Date header away: let it through.",
        ) from error
    return _compare_clocks(there)


def _medusa_key(settings: Settings) -> str:
    if not settings.medusa_api_key:
        raise Wrong(
            "DUST_MEDUSA_API_KEY is not set",
            fix="Make a secret key in Medusa's admin (Settings, Secret API Keys) and set it: sk_…",
        )
    if _ask(settings, "/admin/orders", limit="1", fields="id").status == httpx.codes.UNAUTHORIZED:
        raise Wrong(
            "Medusa does not accept the key",
            fix="Is DUST_MEDUSA_API_KEY a secret key of this very Medusa, and not revoked? Make a new one in its "
            "admin (Settings, Secret API Keys).",
        )
    return "is accepted"


def _medusa_scopes(settings: Settings) -> str:
    asked = {name: _ask(settings, f"/admin/{name}", limit="1", fields="id").status for name in _READ_WITH_THE_KEY}
    refused = [f"{name} ({status})" for name, status in asked.items() if status != httpx.codes.OK]
    if refused:
        raise Wrong(
            f"the key cannot read {', '.join(refused)}",
            fix="Give the key, or the role it has, the right to read these and to create and delete promotions.",
        )
    return f"the key reads {', '.join(asked)}"


def _publishable_key(settings: Settings) -> str:
    if not settings.medusa_publishable_key:
        raise Wrong(
            "DUST_MEDUSA_PUBLISHABLE_KEY is not set, so dust cannot be spent on a cart",
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
    if rejected or age > _WAITING_TOLERANCE:
        what = (
            f"{rejected} deliveries were rejected" if rejected else f"a delivery has been waiting for {_minutes(age)}"
        )
        last = next((each.get("last_error") for each in answer.body.get("undelivered") or ()), None)
        raise Wrong(
            f"{what} ({last})" if last else what,
            fix="Compare the plugin's bridge URL and secret with this Dust's address and DUST_WEBHOOK_SECRETS.",
        )
    return f"is there and delivers, in Medusa {version}" if version else "is there and delivers"


_CHECKS = (
    Check("secrets", _secrets),
    Check("database", _database),
    Check("migrations", _migrations, after="database"),
    Check("sessions", _sessions, after="migrations"),
    Check("privileges", _privileges, after="migrations"),
    Check("programme", _rules, after="migrations"),
    Check("database clock", _database_clock, after="database"),
    Check("time", _test_clock, after="migrations"),
    Check("inbox", _inbox, after="migrations"),
    Check("outgoing webhooks", _outgoing_webhooks, after="migrations"),
    Check("broker", _broker),
    Check("workers", _workers, after="broker"),
    Check("beat", _beat, after="migrations"),
    Check("medusa", _medusa),
    Check("medusa clock", _medusa_clock, after="medusa"),
    Check("medusa key", _medusa_key, after="medusa"),
    Check("medusa scopes", _medusa_scopes, after="medusa key"),
    Check("publishable key", _publishable_key, after="medusa"),
    Check("plugin", _plugin, after="medusa key"),
)
