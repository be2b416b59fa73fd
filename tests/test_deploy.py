"""The shipped proxy before two web processes: what it adds, what it hides, what it logs, and when one is killed."""

import contextlib
import gzip
import shutil
import signal
import ssl
import tempfile
import time
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path

from tests import proxy as shipped
from tests import servers
from tests.databases import Database
from tests.factories import Make

SECRET_KEY = "a secret key that both processes have"


class Proxy:
    """Asks through the proxy, as a browser that trusts its certificate."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.address = f"https://127.0.0.1:{port}"
        self._trust = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))

    def get(self, path: str, **headers: str) -> HTTPResponse:
        request = urllib.request.Request(self.address + path, headers=headers)
        try:
            answer: HTTPResponse = urllib.request.urlopen(request, context=self._trust, timeout=20)
        except urllib.error.HTTPError as error:
            return error  # type: ignore[return-value]
        return answer

    def wait(self) -> None:
        end = time.monotonic() + 15
        while True:
            try:
                if self.get("/health/ready").status == 200:
                    return
            except OSError:
                pass
            assert time.monotonic() < end, (self.folder / "errors.log").read_text()
            time.sleep(0.05)


def test_the_shipped_proxy_hides_secrets_and_survives_a_killed_process(
    database: Database, make: Make, tmp_path: Path
) -> None:
    event = make.event(title="Register", summary="Wort " * 400)
    slug = event.slug
    make.registration(event)
    database.disconnect()
    port, backends = servers.free_port(), [servers.free_port(), servers.free_port()]
    folder = Path(tempfile.mkdtemp(prefix="whatsnext-nginx-"))
    shared = {
        "DATABASE_URL": database.url,
        "SECRET_KEY": SECRET_KEY,
        "BASE_URL": f"https://127.0.0.1:{port}",
        "TRUSTED_PROXIES": 1,
        "WORKER": "false",
        "LOG_JSON": "true",
        "ACCESS_LOG": "true",
    }
    with contextlib.ExitStack() as running:
        running.callback(shutil.rmtree, folder)
        web = [
            running.enter_context(
                servers.whatsnext(
                    {**shared, "PORT": backend, "INSTANCE": tmp_path / f"i{backend}"},
                    tmp_path / f"{backend}.log",
                    ends=(0, -signal.SIGKILL),
                )
            )
            for backend in backends
        ]
        log = running.enter_context(shipped.nginx(folder, port, backends))
        proxy = Proxy(folder, port)
        proxy.wait()

        answer = proxy.get(f"/events/{slug}", **{"Accept-Encoding": "gzip"})
        assert (answer.status, answer.headers["Content-Encoding"]) == (200, "gzip")
        assert b"Register" in gzip.decompress(answer.read())
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert answer.headers["X-Route"] is None
        number = answer.headers["X-Request-ID"]
        assert len(number) == 32

        assert proxy.get("/confirm/geheim-im-pfad?auch=geheim").status == 400
        assert proxy.get("/metrics").status == 404
        assert proxy.get("/", **{"X-Forwarded-Host": "evil.example"}).status == 200

        web[0].kill()
        web[0].wait()
        assert [proxy.get(path).status for path in (f"/events/{slug}", "/", "/themes") * 5] == [200] * 15

        end = time.monotonic() + 5
        while "public.themes" not in log.read_text() and time.monotonic() < end:
            time.sleep(0.05)
        said = log.read_text() + "".join((tmp_path / f"{backend}.log").read_text() for backend in backends)
        assert ("public.confirm" in said, number in said) == (True, True)
        said += (folder / "errors.log").read_text()
        assert [secret for secret in ("geheim", slug) if secret in said] == []
