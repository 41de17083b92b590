"""Starts the real programs for the tests beside this file and ends them by their ids."""

import json
import os
import pathlib
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

PROGRAMS = pathlib.Path(
    os.environ.get("XTASK_PROGRAMS", pathlib.Path(__file__).parents[3] / "target" / "debug")
)
# Says that nothing is revoked.
FEED = pathlib.Path(__file__).parents[2] / "harness" / "feed.mjs"
# Without the settings of whoever runs the tests: a program reads every `LATCHKEY_…`.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("LATCHKEY_")}
START_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 10
POLL_SECONDS = 0.05


def eventually(what, probe):
    """What `probe` returns once it returns something."""
    until = time.monotonic() + START_LIMIT_SECONDS
    while time.monotonic() < until:
        found = probe()
        if found:
            return found
        time.sleep(POLL_SECONDS)
    raise TimeoutError(f"waited {START_LIMIT_SECONDS} s for {what}")


def is_ready(address):
    try:
        with urllib.request.urlopen(f"http://{address}/readyz", timeout=5) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Program:
    """One running program with a directory of its own."""

    def __init__(self, name, arguments):
        self.directory = tempfile.TemporaryDirectory(prefix="latchkey-test-")
        self.path = pathlib.Path(self.directory.name)
        self.log = open(self.path / "output.log", "w+", encoding="utf-8")
        command = [PROGRAMS / name, *arguments(self.path)]
        self.process = subprocess.Popen(
            command, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT
        )

    def until(self, what, probe):
        def alive_and():
            if self.process.poll() is not None:
                self.log.seek(0)
                raise RuntimeError(f"it ended with {self.process.returncode}: {self.log.read()}")
            return probe()

        return eventually(what, alive_and)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(STOP_LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.directory.cleanup()


class Latchkey(Program):
    """All parts in one process."""

    def __init__(self):
        super().__init__(
            "latchkey",
            lambda path: ["--ephemeral", "--data-dir", path / "data", "--ports-file", path / "ports.json"],
        )
        file = self.path / "ports.json"
        self.until("the ports file", file.exists)
        self.ports = json.loads(file.read_text())
        self.until("readiness", lambda: is_ready(self.ports["gateway_operations"]))

    @property
    def jwks_url(self):
        return f"http://{self.ports['auth_http']}/.well-known/jwks.json"

    def token(self, audience, *who, password=""):
        done = subprocess.run(
            [PROGRAMS / "latchkey", "token", "--audience", audience, "--data-dir", self.path / "data", *(who or ["--guest"])],
            env=ENVIRONMENT, input=password, capture_output=True, text=True, check=False, timeout=60,
        )
        if done.returncode != 0:
            raise RuntimeError(f"latchkey token: {done.stderr}")
        return done.stdout.strip()


class CartService(Program):
    """cart-service alone, with an issuer of the test's."""

    def __init__(self, issuer, jwks_url):
        port, operations = free_port(), free_port()
        self.feed = subprocess.Popen(["node", FEED], stdout=subprocess.PIPE, text=True)
        feed = self.feed.stdout.readline().strip()
        self.address = f"127.0.0.1:{port}"

        def arguments(path):
            settings = path / "cart-service.toml"
            settings.write_text(
                f'listen = "127.0.0.1:{port}"\n'
                f'operations_listen = "127.0.0.1:{operations}"\n'
                f'database = "{path}/cart.db"\n'
                f'[tokens]\nissuer = "{issuer}"\naudience = "cart-service"\njwks_url = "{jwks_url}"\n'
                f'saved_jwks = "{path}/jwks.json"\n'
                f'[tokens.revocations]\nauth_address = "{feed}"\nworkload_key_file = "{path}/workload.pem"\n'
            )
            return ["--config", settings]

        super().__init__("cart-service", arguments)
        self.until("readiness", lambda: is_ready(f"127.0.0.1:{operations}"))

    def stop(self):
        super().stop()
        self.feed.terminate()
        self.feed.wait()
        self.feed.stdout.close()
