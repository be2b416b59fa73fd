"""Static files under names that hold a check sum of their content, so that browsers keep them for ever."""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from whitenoise import WhiteNoise  # type: ignore[import-untyped]
from whitenoise.compress import Compressor  # type: ignore[import-untyped]

from whatsnext.web.language import base_path

HASHED = re.compile(r"\.[0-9a-f]{12}\.\w+$")
IN_STYLE = re.compile(r'url\("([\w./-]+)"\)')
COMPRESSED = {".css", ".js", ".svg"}
UNSERVED = {".md", ".json", ".txt"}


def static_url(name: str) -> str:
    """The address of a file of static/, for instance "wn.css". Raises KeyError for one that is not there."""
    names: dict[str, str] = current_app.extensions["whatsnext.assets"]
    return f"{base_path()}/static/{names[name]}"


def init_app(app: Flask, source: Path, instance: Path) -> None:
    """Serve `source` below /static/ from a copy with hashed names, made once for each content under `instance`."""
    contents = {path.relative_to(source).as_posix(): path.read_bytes() for path in _files(source)}
    names: dict[str, str] = {}
    for name in sorted(contents, key=lambda name: name.endswith(".css")):  # what style sheets name comes before them
        if name.endswith(".css"):
            contents[name] = _with_hashed_names(name, contents[name], names)
        names[name] = _hashed(name, contents[name])
    app.extensions["whatsnext.assets"] = names
    folder = instance / f"static-{_digest(''.join(names.values()).encode())}"
    if not folder.exists():
        _build(folder, {names[name]: content for name, content in contents.items()})
    app.wsgi_app = _noise(app.wsgi_app, folder)  # type: ignore[method-assign]


def _noise(application: Any, folder: Path) -> Any:
    return WhiteNoise(
        application,
        root=str(folder),
        prefix="static/",
        allow_all_origins=False,
        immutable_file_test=lambda _path, url: HASHED.search(url) is not None,
        add_headers_function=lambda headers, _path, _url: headers.add_header("X-Content-Type-Options", "nosniff"),
    )


def _files(source: Path) -> list[Path]:
    return sorted(path for path in source.rglob("*") if path.is_file() and path.suffix not in UNSERVED)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _hashed(name: str, content: bytes) -> str:
    path = Path(name)
    return path.with_name(f"{path.stem}.{_digest(content)}{path.suffix}").as_posix()


def _with_hashed_names(sheet: str, content: bytes, names: dict[str, str]) -> bytes:
    """A style sheet whose relative addresses (fonts) name the hashed files; they stand in folders of the sheet's."""
    folder = Path(sheet).parent

    def rename(match: re.Match[str]) -> str:
        target = (folder / match[1]).as_posix()
        return f'url("{Path(names[target]).relative_to(folder).as_posix()}")' if target in names else match[0]

    return IN_STYLE.sub(rename, content.decode()).encode()


def _build(folder: Path, contents: dict[str, bytes]) -> None:
    """Write all files beside, then move them into place at once; another process may have been faster."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix="static-", dir=folder.parent))
    beside.chmod(0o755)
    compressor = Compressor(quiet=True)
    for name, content in contents.items():
        path = beside / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        if path.suffix in COMPRESSED:
            list(compressor.compress(str(path)))
    try:
        beside.rename(folder)
    except OSError:
        shutil.rmtree(beside)
