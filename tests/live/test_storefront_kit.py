"""The packed storefront kit in an empty Next.js app (React 19) and a plain Vite app (React 18)."""

import gzip
import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from bridge.development.stack.processes import until
from tests.support.built_shop import CACHE
from tests.support.kit_tools import KIT, installed, kit_with_tools, node, npm, run
from tests.support.live_worlds import PATIENCE_SECONDS
from tests.support.ports import reserved_port

pytestmark = pytest.mark.live

APPS = Path(__file__).parent / "storefront_kit"
# Of a page's script, compressed.
MAX_KIT_BYTES = 15_000
TOKEN = "token-of-a-customer"
POINTS = 4321
RESPONSES = {
    "/store/dust/programme": {
        "name": {"one": "star", "many": "stars"},
        "time_zone": "UTC",
        "earn": {"rates": {"eur": "1"}},
        "redeem": {"rates": {"eur": "100"}, "min_dust": 1, "max_dust": None, "max_share": "1"},
        "bonuses": {},
        "tiers": [],
        "rewards": [],
        "expires_after_days": None,
    },
    "/store/dust/balance": {
        "customer_id": "cus_1",
        "balance": POINTS,
        "available": POINTS,
        "held": 0,
        "pending": 0,
        "expiring": [],
        "pending_lots": [],
        "tier": None,
    },
}


class _Dust(SimpleHTTPRequestHandler):
    """Answers two reads of the Store API, the balance only with a token. Other paths are the files of a folder."""

    answers = threading.Event()

    def do_GET(self) -> None:
        if not self.answers.is_set():
            self.answers.wait()
            return
        document = RESPONSES.get(self.path)
        if document is None:
            super().do_GET()
            return
        is_allowed = "balance" not in self.path or self.headers["authorization"] == f"Bearer {TOKEN}"
        body = json.dumps(document).encode()
        self.send_response(200 if is_allowed else 401)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serving_dust(files: Path) -> Iterator[str]:
    _Dust.answers.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Dust, directory=str(files)))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def hanging_dust() -> Iterator[None]:
    _Dust.answers.clear()
    yield
    _Dust.answers.set()


@pytest.fixture(scope="module")
def tarball() -> Iterator[Path]:
    with TemporaryDirectory(dir=CACHE.resolve()) as folder, kit_with_tools() as kit:
        npm(kit, "pack", "--pack-destination", folder)
        yield next(Path(folder).glob("*.tgz"))


@contextmanager
def app_with_kit(name: str, tarball: Path) -> Iterator[Path]:
    """An app that has installed the kit's tarball, without flags that hide conflicts."""
    home = installed([APPS / name / "package.json"])
    with TemporaryDirectory(dir=CACHE.resolve()) as folder:
        app = Path(shutil.copytree(APPS / name, Path(folder) / name))
        shutil.copy(home / "package-lock.json", app)
        # Linked files, because copying hundreds of megabytes takes longer than all the rest.
        run(home, "cp", "--archive", "--link", "node_modules", str(app))
        npm(app, "install", str(tarball))
        yield app


def documented(language: str) -> list[str]:
    """The examples in the kit's README."""
    return re.findall(rf"^```{language}\n(.*?)^```$", (KIT / "README.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def next_app(tarball: Path) -> Iterator[Path]:
    """An app with the file of all calls and the layout of the README."""
    with app_with_kit("next", tarball) as app:
        (app / "lib").mkdir()
        (app / "lib" / "dust.ts").write_text(documented("ts")[0])
        (app / "app" / "(main)" / "layout.tsx").write_text(documented("tsx")[0])
        yield app


@pytest.fixture(scope="module")
def vite_app(tarball: Path) -> Iterator[Path]:
    with app_with_kit("vite", tarball) as app:
        yield app


@pytest.mark.parametrize("app", ["next_app", "vite_app"])
@pytest.mark.parametrize(
    ("resolution", "module"), [("node10", "esnext"), ("bundler", "esnext"), ("nodenext", "nodenext")]
)
def test_the_kits_types_resolve(request: pytest.FixtureRequest, app: str, resolution: str, module: str) -> None:
    folder: Path = request.getfixturevalue(app)
    user = folder / "user-of-the-types.ts"
    user.write_text(
        """
        import { createDustClient, formatPoints, type Balance, type DustResult } from "dust-storefront-kit"
        import { DustProvider } from "dust-storefront-kit/react"
        import { createDustServer, placeOrder } from "dust-storefront-kit/next"

        export const read = (): Promise<DustResult<Balance>> => createDustClient({ baseUrl: "/" }).balance()
        export const server = createDustServer({ baseUrl: "/", getToken: () => undefined, getCartId: () => "cart_1" })
        export const order = placeOrder(async () => ({ type: "order", order: { id: "order_1" } } as const))
        export const provider: Parameters<typeof DustProvider>[0]["locale"] = "de"
        export const text: string = formatPoints(1)
        // @ts-expect-error There is no such figure.
        export const nothing = async () => (await read()).data?.coins
        """
    )
    options = ("--module", module, "--moduleResolution", resolution, "--jsx", "react-jsx", "--target", "es2022")
    try:
        node(folder, "typescript/bin/tsc", *options, "--strict", "--skipLibCheck", "--noEmit", user.name)
    finally:
        user.unlink()


def test_a_next_app_shows_a_balance_from_the_server_and_in_the_browser(next_app: Path, browser: Browser) -> None:
    node(next_app, "typescript/bin/tsc", "--noEmit")
    with serving_dust(next_app) as dust_url:
        node(next_app, "next/dist/bin/next", "build", MEDUSA_BACKEND_URL=dust_url)
        with serving_next(next_app, dust_url) as url:
            customer = httpx.get(url, headers={"cookie": f"_medusa_jwt={TOKEN}"}).text
            guest = httpx.get(url).text
            context = browser.new_context()
            context.add_cookies([{"name": "_medusa_jwt", "value": TOKEN, "url": url}])
            shows_balance(context.new_page(), url)
            context.close()
            with hanging_dust():
                start = time.monotonic()
                late = httpx.get(url, headers={"cookie": f"_medusa_jwt={TOKEN}"}).text
                seconds = time.monotonic() - start
    assert "<p>4,321 stars</p>" in customer
    assert "<p>Please sign in to see and use your points.</p>" in guest
    assert "<p>Points take too long to answer right now. Please try again in a moment.</p>" in late
    # The time-out of a read is 1.5 seconds.
    assert 1.4 < seconds < 3


def shows_balance(page: Page, url: str) -> None:
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    expect(page.locator(".dust-nav")).to_contain_text("4,321 stars")
    assert problems == []


@contextmanager
def serving_next(app: Path, dust_url: str) -> Iterator[str]:
    port = reserved_port()
    command = ["node", "node_modules/next/dist/bin/next", "start", "--hostname", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with (app / "next.log").open("w") as log:
        environment = {**os.environ, "NEXT_TELEMETRY_DISABLED": "1", "MEDUSA_BACKEND_URL": dust_url}
        process = subprocess.Popen(command, cwd=app, env=environment, stdout=log, stderr=log)
    try:
        assert until(lambda: _answers(url), PATIENCE_SECONDS), (app / "next.log").read_text()
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("page", ["product", "checkout", "account"])
def test_a_vite_app_shows_a_balance_and_the_kit_is_small(vite_app: Path, browser: Browser, page: str) -> None:
    node(vite_app, "typescript/bin/tsc")
    node(vite_app, "vite/bin/vite.js", "build", PAGE=page)
    built = vite_app / "dist"
    (kit,) = built.glob("assets/kit-*.js")
    assert len(gzip.compress(kit.read_bytes())) < MAX_KIT_BYTES
    with serving_dust(built) as url:
        tab = browser.new_page()
        shows_balance(tab, url)
        tab.close()


def test_the_example_for_any_react_app_fits_the_types(vite_app: Path) -> None:
    shop = "declare const MEDUSA_URL: string, KEY: string, reloadCart: () => void\n"
    example = vite_app / "src" / "documented.tsx"
    example.write_text(shop + documented("tsx")[1])
    try:
        node(vite_app, "typescript/bin/tsc")
    finally:
        example.unlink()
