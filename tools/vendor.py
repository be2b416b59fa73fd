"""Copy the looks we build on (KERN, Fira Sans) from npm into static/vendor/.

Run `python tools/vendor.py` after changing a version in tools/package.json and
its lock (`npm install --package-lock-only --ignore-scripts` in tools/). What it writes is committed: nobody
needs Node to run or to install What's NEXt. It installs exactly what the lock
names, into a temporary folder, and runs no script of any package.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
TARGET = TOOLS.parent / "static" / "vendor"

KERN = "@kern-ux/native"
FIRA = "@fontsource/fira-sans"

# What is copied: package, path inside it, name in static/vendor/.
FILES = [
    (KERN, "dist/kern.min.css", "kern.min.css"),
    (KERN, "LICENSE.md", "kern-LICENSE.md"),
    (FIRA, "LICENSE", "fira-sans-LICENSE.txt"),
    *(
        (FIRA, f"files/fira-sans-{script}-{weight}-normal.woff2", f"fira-sans-{script}-{weight}.woff2")
        for script in ("latin", "latin-ext")
        for weight in (400, 600)
    ),
]


def install(folder: Path) -> Path:
    """Install the locked packages into `folder` and return its node_modules."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(TOOLS / name, folder / name)
    shutil.copy(TOOLS.parent / ".npmrc", folder / ".npmrc")
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder / "node_modules"


def description(modules: Path, package: str) -> dict[str, str]:
    """Say which version of `package` was installed, and under which licence."""
    facts = json.loads((modules / package / "package.json").read_text(encoding="utf-8"))
    return {"version": facts["version"], "licence": facts["license"]}


def copy(modules: Path) -> dict[str, object]:
    """Copy every file of FILES and return the manifest of what was copied."""
    TARGET.mkdir(parents=True, exist_ok=True)
    files = []
    for package, source, name in FILES:
        content = (modules / package / source).read_bytes()
        (TARGET / name).write_bytes(content)
        files.append(
            {"name": name, "package": package, "source": source, "sha256": hashlib.sha256(content).hexdigest()}
        )
    return {"packages": {package: description(modules, package) for package in (KERN, FIRA)}, "files": files}


def main() -> int:
    """Vendor everything anew."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = copy(install(Path(folder)))
    (TARGET / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
