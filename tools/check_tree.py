"""Does the tree hold only what belongs to it? Looks at the files git knows; prints what is wrong and fails then.

No path of one machine, no address of a package registry where something is installed from, no compiled catalogue.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
VENDORED = "static/vendor/"
MACHINE_PATH = re.compile(r"(?<![\w.:/<>}-])/(?:home|root|work|Users)/[\w.-]+")
REGISTRY = re.compile(r"(?:files\.pythonhosted|pypi|registry\.npmjs|registry\.yarnpkg|deb\.debian)\.(?:org|com)")
INSTALLED_FROM = re.compile(
    r"(^|/)(requirements[^/]*\.txt|[^/]*lock[^/]*|\.npmrc|Makefile|Dockerfile|Containerfile)$|^\.ci/"
)
BUILT = re.compile(r"\.(mo|pyc)$|(^|/)(node_modules|instance|\.venv)/")


def complaints(root: Path, names: Iterable[str]) -> Iterator[str]:
    """What is wrong with these files; names are relative to `root`."""
    for name in names:
        if BUILT.search(name):
            yield f"{name}: is built, not kept"
        if name.startswith(VENDORED) or not (root / name).is_file():
            continue
        for number, line in enumerate(_lines(root / name), 1):
            if path := MACHINE_PATH.search(line):
                yield f"{name}:{number}: a path of one machine: {path.group()}"
            if INSTALLED_FROM.search(name) and (address := REGISTRY.search(line)):
                yield f"{name}:{number}: an address of a registry: {address.group()}"


def _lines(path: Path) -> list[str]:
    content = path.read_bytes()
    return [] if b"\0" in content else content.decode("utf-8", "replace").splitlines()


def kept_files(root: Path = ROOT) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, check=True, capture_output=True, text=True)
    return [name for name in listed.stdout.split("\0") if name]


def main() -> int:
    found = list(complaints(ROOT, kept_files()))
    for line in found:
        print(line)
    print(f"{len(found)} things do not belong into the tree." if found else "The tree holds only what belongs to it.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
