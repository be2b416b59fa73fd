"""Keep the catalogues of texts: python -m tools.texts update | compile

`update` takes the texts of the sources into each language's catalogue; `compile` makes the files that are read at run
time, which are built and not committed.
"""

import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_keywords, parse_mapping_cfg
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).parent.parent
TRANSLATIONS = Path("whatsnext", "translations")
KEYWORDS = {**DEFAULT_KEYWORDS, **parse_keywords(["_l", "lazy_gettext"])}


def catalogues(root: Path = ROOT) -> list[Path]:
    return sorted((root / TRANSLATIONS).glob("*/LC_MESSAGES/messages.po"))


def read(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.parent.name)


def texts_of_the_sources(root: Path = ROOT) -> Catalog:
    """Every text that the code and the templates ask a translation for, as an empty catalogue."""
    found = Catalog(project="whatsnext")
    with (root / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)  # type: ignore[no-untyped-call]
    for name, _line, text, comments, context in extract_from_dir(root, methods, options, KEYWORDS):
        found.add(text, None, [(name, 0)], auto_comments=comments, context=context)
    return found


def update(root: Path = ROOT) -> None:
    found = texts_of_the_sources(root)
    for path in catalogues(root):
        catalogue = read(path)
        catalogue.update(found, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        with path.open("wb") as file:
            write_po(file, catalogue, width=120, sort_output=True, include_lineno=False)
    compile_all(root)


def compile_all(root: Path = ROOT) -> list[Path]:
    """Compile each catalogue that changed since it was compiled last; returns what was written."""
    written = []
    for path in catalogues(root):
        compiled = path.with_suffix(".mo")
        if not compiled.exists() or compiled.stat().st_mtime < path.stat().st_mtime:
            with compiled.open("wb") as file:
                write_mo(file, read(path))
            written.append(compiled)
    return written


if __name__ == "__main__":
    {"update": update, "compile": compile_all}[sys.argv[1]]()
