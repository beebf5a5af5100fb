"""A Medusa that does not answer delays only requests that need it."""

import asyncio
import contextlib
import gzip
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Connection

from bridge.http.thread_limits import FOR_CUSTOMERS, FOR_GUESTS, FOR_OPERATORS, FOR_REPORTS, ThreadLimit
from bridge.medusa import transport
from bridge.medusa.client import Medusa, get_medusa
from bridge.medusa.errors import MedusaAway
from bridge.redemptions.medusa_sync import advance
from bridge.reports.breakage import breakage
from tests.support import tokens
from tests.support.ledger import give
from tests.support.medusa import API_KEY, FakeMedusa, cart_line
from tests.support.store_api import FIVE_EUR, redeemed, show

# As many requests as may wait for Medusa, and more than a process has threads.
CROWD = 200


@contextmanager
def hanging(medusa: FakeMedusa) -> Iterator[None]:
    """Inside the block no call to Medusa returns."""
    answers = threading.Event()
    medusa.after = lambda method, path: answers.wait(60) or None
    try:
        yield
    finally:
        answers.set()
        medusa.after = None


CART = {"cart_id": "cart_1"}


@pytest.mark.parametrize(
    ("method", "path", "body", "limit"),
    [
        ("POST", "/store/dust/quote/guest", CART, FOR_GUESTS),
        ("POST", "/store/dust/quote", CART, FOR_CUSTOMERS),
        ("POST", "/store/dust/referral", {"code": "CODEOFCUS2"}, FOR_CUSTOMERS),
        ("PUT", "/admin/dust/products/prod_mug", {"dust_price": 5}, FOR_OPERATORS),
        ("POST", "/admin/dust/products", {"products": [{"product_id": "prod_mug", "dust_price": 5}]}, FOR_OPERATORS),
        ("PUT", "/admin/dust/programme", {}, FOR_OPERATORS),
        ("POST", "/admin/dust/reconcile", {"dry_run": True}, FOR_OPERATORS),
    ],
    ids=["guests", "customers", "referrals", "product", "products", "programme", "reconcile"],
)
def test_reads_do_not_wait_for_a_crowd_that_waits_for_medusa(
    api: TestClient, medusa: FakeMedusa, method: str, path: str, body: dict[str, Any], limit: ThreadLimit
) -> None:
    medusa.add_cart(lines=[cart_line()])
    if path == "/store/dust/referral":
        rules = {"bonuses": {"referral": {"referrer": 5, "referred": 5}}}
        assert api.put("/admin/dust/programme", json=rules, headers=tokens.admin()).status_code == 200
        body = {"code": api.get(path, headers=tokens.customer("cus_2")).json()["code"]}

    async def play() -> tuple[list[int], list[int]]:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dust.test") as client:
            signed_in = tokens.customer()
            asks = tokens.admin() if path.startswith("/admin") else signed_in
            crowd: list[asyncio.Task[httpx.Response]] = []
            with hanging(medusa):
                for _ in range(CROWD):
                    crowd.append(asyncio.create_task(client.request(method, path, json=body, headers=asks)))
                # All of them are waiting. Then requests arrive that do not need Medusa.
                reads = [
                    await client.get(path, headers=signed_in)
                    for path in ("/health/live", "/store/dust/balance", "/store/dust/products", "/health/ready")
                ]
                while sum(task.done() for task in crowd) < CROWD - limit.calls - limit.waiting:
                    await asyncio.sleep(0.01)
                turned_away = [task.result() for task in crowd if task.done()]
                assert {answer.status_code for answer in turned_away} == {503}
                assert {answer.json()["code"] for answer in turned_away} == {"medusa_busy"}
                assert all(int(answer.headers["retry-after"]) > 0 for answer in turned_away)
            await asyncio.gather(*crowd)
            # Afterwards all is as before.
            again = await client.request(method, path, json=body, headers=asks)
            return [answer.status_code for answer in reads], [again.status_code]

    reads, again = asyncio.run(play())
    assert set(reads) == {200}
    assert again != [503]


def test_reads_do_not_wait_for_a_crowd_of_reports(api: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    read = threading.Event()

    def slow(connection: Connection) -> list[Any]:
        # As a report of a large ledger: it keeps its connection.
        read.wait(60)
        return breakage(connection)

    monkeypatch.setattr("bridge.api.admin.reports.breakage", slow)

    async def play() -> tuple[list[int], list[int], list[int]]:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dust.test") as client:
            asks = {"url": "/admin/dust/reports/breakage", "headers": tokens.admin()}
            crowd = [asyncio.create_task(client.get(**asks)) for _ in range(CROWD)]
            started = time.monotonic()
            reads = [
                (await client.get(path, headers=tokens.customer())).status_code
                for path in ("/health/live", "/store/dust/balance", "/store/dust/products", "/health/ready")
            ]
            assert time.monotonic() - started < 5
            while sum(task.done() for task in crowd) < CROWD - FOR_REPORTS.calls - FOR_REPORTS.waiting:
                await asyncio.sleep(0.01)
            turned_away = [task.result() for task in crowd if task.done()]
            assert {answer.json()["code"] for answer in turned_away} == {"reports_busy"}
            assert all(int(answer.headers["retry-after"]) > 0 for answer in turned_away)
            read.set()
            done = [answer.status_code for answer in await asyncio.gather(*crowd)]
            return reads, done, [(await client.get(**asks)).status_code]

    reads, done, again = asyncio.run(play())
    assert set(reads) == {200}
    assert sorted(done)[: FOR_REPORTS.calls + FOR_REPORTS.waiting] == [200] * (FOR_REPORTS.calls + FOR_REPORTS.waiting)
    assert again == [200]


def test_a_release_is_noted_although_medusa_is_too_busy_for_it(api: TestClient, medusa: FakeMedusa) -> None:
    give(500)
    redemption = redeemed(api, FIVE_EUR)
    medusa.add_cart(lines=[cart_line()])

    async def play() -> httpx.Response:
        transport = httpx.ASGITransport(api.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://dust.test") as client:
            signed_in = tokens.customer()
            with hanging(medusa):
                crowd = [
                    asyncio.create_task(client.post("/store/dust/quote", json={"cart_id": "cart_1"}, headers=signed_in))
                    for _ in range(CROWD)
                ]
                answer = await client.delete(f"/store/dust/redemptions/{redemption['id']}", headers=signed_in)
            await asyncio.gather(*crowd)
            return answer

    answer = asyncio.run(play())
    assert (answer.status_code, answer.json()["code"]) == (503, "medusa_busy")
    assert show(api, redemption["id"])["state"] == "active"
    advance(redemption["id"], get_medusa())
    assert show(api, redemption["id"])["state"] == "released"


@contextmanager
def answering(head: bytes, part: bytes, *, seconds: float) -> Iterator[str]:
    """A server that answers each request with `head`, and then sends `part` repeatedly, with a pause before each."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            with contextlib.suppress(OSError):
                while True:
                    there, _ = server.accept()
                    there.recv(65_536)
                    with there, contextlib.suppress(OSError):
                        there.sendall(head)
                        for _ in range(200):
                            time.sleep(seconds)
                            there.sendall(part)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


_OK = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("head", "part"),
    [
        (_OK + b"content-type: application/json\r\ncontent-length: 10000\r\n\r\n", b" "),
        (_OK + b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (_OK, b"x-a: b\r\n"),
        (b"", b"H"),
        (b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    ],
    ids=["body", "chunks", "headers", "status line", "102"],
)
def test_an_answer_that_comes_in_small_parts_is_given_up(head: bytes, part: bytes) -> None:
    started = time.monotonic()
    with (
        answering(head, part, seconds=0.05) as url,
        contextlib.closing(make_client(url, timeout_seconds=0.5)) as medusa,
    ):
        with pytest.raises(MedusaAway, match="ReadTimeout") as error:
            medusa.order("order_1")
        assert error.value.only_this_call
        with pytest.raises(MedusaAway):
            medusa.probe("/admin/orders")
        assert time.monotonic() - started < 5


def test_an_answer_of_any_size_is_not_read_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1024**2)
    bomb = gzip.compress(b" " * 3 * 1024**2)
    head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(bomb)
    with answering(head + bomb, b"", seconds=0) as url, contextlib.closing(make_client(url)) as medusa:
        with pytest.raises(MedusaAway, match="order_1 is over 1 MB") as error:
            medusa.order("order_1")
        assert error.value.only_this_call
        # The next call gets its own connection.
        with pytest.raises(MedusaAway, match="over 1 MB"):
            medusa.probe("/admin/orders")


@pytest.mark.parametrize("encoding", ["gzip, gzip", "deflate", "br"])
def test_a_response_that_is_compressed_twice_is_refused(encoding: str) -> None:
    bomb = gzip.compress(gzip.compress(b" " * 3 * 1024**2))
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: {encoding}\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    with (
        answering(head + bomb, b"", seconds=0) as url,
        contextlib.closing(make_client(url)) as medusa,
        pytest.raises(MedusaAway, match="packed in a way that Dust does not ask for"),
    ):
        medusa.order("order_1")


def test_the_time_for_a_call_is_for_all_addresses_of_its_host_together(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as deaf, contextlib.ExitStack() as clients:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        for _ in range(4):
            # It accepts none of them, and its queue is full.
            client = clients.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(address)
        addresses = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address)] * 3
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        started = time.monotonic()
        with (
            contextlib.closing(make_client(f"http://shop.test:{address[1]}", timeout_seconds=0.6)) as medusa,
            pytest.raises(MedusaAway, match="ConnectTimeout"),
        ):
            medusa.order("order_1")
        assert time.monotonic() - started < 1.2


@pytest.mark.parametrize("body", [b"[", b'{"order": 1e999999999999999999999}', b"\xff", b"<html>", b"null"])
def test_an_answer_that_is_not_json_is_not_medusa(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    with answering(head + body, b"", seconds=0) as url, contextlib.closing(make_client(url)) as medusa:
        with pytest.raises(MedusaAway, match="is not Medusa: no JSON object"):
            medusa.order("order_1")
        assert medusa.probe("/admin/orders").status == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/store/dust/quote/guest", CART),
        ("POST", "/store/dust/quote", CART),
        ("POST", "/admin/dust/reconcile", {}),
        ("POST", "/admin/dust/orders/order_1/preview", {"cancel": True}),
    ],
)
def test_an_answer_of_another_program_is_a_503(
    api: TestClient, medusa: FakeMedusa, method: str, path: str, body: dict[str, Any]
) -> None:
    medusa.before = lambda *_: (200, {"status": "ok"})
    answer = api.request(method, path, json=body, headers=tokens.admin() if "admin" in path else tokens.customer())
    assert (answer.status_code, answer.json()["code"]) == (503, "medusa_unavailable")


def make_client(url: str, *, timeout_seconds: float = 10) -> Medusa:
    return Medusa(url, API_KEY, "pk_1", timeout_seconds=timeout_seconds)
