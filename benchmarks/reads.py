"""Read a balance with a real token, and compare with a bare ASGI route with the same token check and one query."""

from benchmarks.deliveries import customer_name, fill_inbox, read
from benchmarks.figures import Figure, Outcome, Scale, percentile
from benchmarks.installation import new_installation
from benchmarks.load import Answers, send
from bridge.inbox.process_batch import process_batch
from tests.support.tokens import token

RATE, SHARE_OF_BARE, CONNECTIONS, CUSTOMERS, ROUNDS = 5_000, 0.5, 32, 2_000, 5
NAME = "reads"


def measure(scale: Scale) -> Outcome:
    requests = [read("/store/dust/balance", token(customer_name(number))) for number in range(CUSTOMERS)]
    with new_installation() as installation:
        with installation.connect() as connection:
            fill_inbox(connection, CUSTOMERS, customer=lambda n: n)
        while process_batch().taken:
            pass
        with installation.serving() as (port, _), installation.serving_bare("benchmarks.bare:app") as bare_port:
            ours, bare = _in_turns((port, bare_port), requests, seconds=scale.comparison_seconds)
    return Outcome(
        figures=[
            Figure(measure=NAME, name="balance reads", value=ours.rate, unit="/s", throughput=True, limit=RATE),
            Figure(
                measure=NAME, name="beside a bare route", value=ours.rate, unit="/s", limit=bare.rate * SHARE_OF_BARE,
                limit_is=f"half of {bare.rate:,.0f}/s: the same token check and one pooled query on bare ASGI",
            ),
            Figure(measure=NAME, name="p50", value=percentile(ours.seconds, 0.5) * 1000, unit="ms"),
            Figure(measure=NAME, name="p99", value=percentile(ours.seconds, 0.99) * 1000, unit="ms"),
            Figure(
                measure=NAME, name="not answered 200", value=len(ours.seconds) - ours.statuses[200], unit="",
                limit=0, at_most=True,
            ),
        ],
        notes=[
            f"two processes each, {CONNECTIONS} connections, {CUSTOMERS} customers and tokens, in turns; {ROUNDS}"
            " rounds with connections of their own"
        ],
    )  # fmt: skip


def _in_turns(ports: tuple[int, int], requests: list[bytes], *, seconds: float) -> tuple[Answers, Answers]:
    """Measure both in alternating rounds, so that changes of the machine affect both."""

    def source(number: int) -> bytes:
        return requests[number % len(requests)]

    answers = (Answers(), Answers())
    for port in ports:
        send(port, source, connections=CONNECTIONS, seconds=2)
    for _ in range(ROUNDS):
        for port, answer in zip(ports, answers, strict=True):
            answer.add(send(port, source, connections=CONNECTIONS, seconds=seconds / ROUNDS))
    return answers
