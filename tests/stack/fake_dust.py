"""A fake `dust` command: enough of `serve` to be live, and programs that wait."""

import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer


class Live(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 404)
        self.end_headers()


def main(command: str, *listening: str) -> None:
    database, broker = (os.environ[name].split(":")[0] for name in ("DUST_DATABASE_URL", "DUST_BROKER_URL"))
    print(f"{command} has {database} and {broker}")
    refuses = os.environ.get("DUST_TEST_REFUSES")
    if refuses == command:
        print("DUST_EXAMPLE is not set")
        sys.exit(2)
    if command == "migrate":
        return
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # Never live before the other has refused.
    if command == "serve" and not refuses:
        (_, fd) = listening
        server = HTTPServer((os.environ["DUST_HOST"], int(os.environ["DUST_PORT"])), Live, bind_and_activate=False)
        server.socket = socket.socket(fileno=int(fd))
        server.server_activate()
        server.serve_forever()
    threading.Event().wait()


main(*sys.argv[1:])
