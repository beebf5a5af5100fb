from pathlib import Path

import pytest
import redis

from bridge.development.stack.processes import until
from bridge.development.stack.redis import embedded_redis
from tests.support.child_processes import PATIENCE_SECONDS, Run, assert_all_end, family, first_line

pytestmark = pytest.mark.servers

HOLD = """
import sys, time
from pathlib import Path
from bridge.development.stack.redis import embedded_redis
with embedded_redis(Path(sys.argv[1])) as url:
    print(url, flush=True)
    time.sleep(600)
"""


def test_what_is_queued_outlives_the_server(folder: Path) -> None:
    with embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
        client.lpush("queue", "message")
    with embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
        assert client.lrange("queue", 0, -1) == [b"message"]


def test_it_has_the_settings_we_rely_on(folder: Path) -> None:
    with embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
        wanted = {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "noeviction", "bind": "127.0.0.1"}
        assert wanted.items() <= client.config_get("*").items()
        password, address = url.removeprefix("redis://:").split("@")
        with pytest.raises(redis.AuthenticationError), redis.Redis.from_url(f"redis://{address}") as stranger:
            stranger.ping()
        assert (folder / "secrets/redis-password").read_text() == password


def test_killing_the_parent_ends_the_server_and_the_next_start_works(folder: Path, run: Run) -> None:
    holder = run(HOLD, folder)
    with redis.Redis.from_url(first_line(holder)) as client:
        client.lpush("queue", "message")
        # What is younger than a second may be lost with the machine, but not with the process.
        everything = family(holder.pid)
    assert len(everything) == 2
    assert not any("requirepass" in " ".join(process.cmdline()) for process in everything)
    holder.kill()
    assert_all_end(everything)
    with embedded_redis(folder) as url, redis.Redis.from_url(url) as client:
        assert client.lrange("queue", 0, -1) == [b"message"]


def test_a_second_process_gets_the_same_server_and_leaves_it_running(folder: Path, run: Run) -> None:
    with embedded_redis(folder) as url:
        second = run(HOLD, folder)
        assert first_line(second) == url
        second.kill()
        second.wait(PATIENCE_SECONDS)
        with redis.Redis.from_url(url) as client:
            assert client.ping()


def test_a_server_that_dies_comes_back_at_the_same_address(folder: Path) -> None:
    def run_id() -> str | None:
        try:
            with redis.Redis.from_url(url, retry=None) as client:
                return str(client.info("server")["run_id"])
        except redis.RedisError:
            return None

    with embedded_redis(folder) as url:
        first = run_id()
        with redis.Redis.from_url(url, retry=None) as client, pytest.raises(redis.ConnectionError):
            client.execute_command("DEBUG", "SEGFAULT")
        assert until(lambda: run_id() not in (first, None), PATIENCE_SECONDS)
