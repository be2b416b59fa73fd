"""The shipped reverse proxy, started by pytest with the ports and files of a test."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import servers

CONFIGURATION = (servers.ROOT / "deploy/nginx.conf").read_text()


def _program() -> str:
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not found:
        pytest.fail("nginx is missing: apt-get install nginx-light", pytrace=False)
    return found


@contextlib.contextmanager
def nginx(folder: Path, port: int, backends: list[int]) -> Iterator[Path]:
    """The shipped configuration with the ports and files of this test. Yields its access log."""
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test"
    files = ["-keyout", str(folder / "privkey.pem"), "-out", str(folder / "fullchain.pem")]
    subprocess.run(
        [*command.split(), "-addext", "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True
    )
    text = CONFIGURATION.replace("listen 8080;", f"listen 127.0.0.1:{servers.free_port()};")
    text = text.replace("listen 8443 ssl", f"listen 127.0.0.1:{port} ssl").replace("/certificates/", f"{folder}/")
    for name, backend in zip(("web1", "web2"), backends, strict=True):
        text = text.replace(f"{name}:8000", f"127.0.0.1:{backend}")
    text = text.replace("/dev/stdout", f"{folder}/access.log").replace("/tmp/nginx", f"{folder}/nginx")
    file = folder / "nginx.conf"
    file.write_text(text)
    folder.chmod(0o755)
    with (folder / "errors.log").open("wb") as errors:
        process = subprocess.Popen([_program(), "-c", file, "-g", "daemon off;"], stderr=errors)
    try:
        yield folder / "access.log"
    finally:
        process.terminate()
        process.wait(10)
