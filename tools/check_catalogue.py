"""Is every text translated? Looks at each catalogue beside the sources; prints what is wrong and fails then.

A text must be there, have a translation, not be fuzzy, and keep the placeholders of the original.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message

from tools import texts

PLACEHOLDER = re.compile(r"%\((\w+)\)([sd])|%([sd])|\{(\w*)\}")


def complaints(root: Path = texts.ROOT) -> list[str]:
    paths = texts.catalogues(root)
    if not paths:
        return ["there is no catalogue under whatsnext/translations/"]
    sources = texts.texts_of_the_sources(root)
    return [f"{path.relative_to(root)}: {line}" for path in paths for line in _of_one(texts.read(path), sources)]


def _of_one(catalogue: Catalog, sources: Catalog) -> Iterator[str]:
    for source in sources:
        if not source.id:
            continue
        translated = catalogue.get(source.id, source.context)
        if translated is None:
            yield f"not in the catalogue (make texts): {_first(source)}"
        else:
            yield from _of_message(translated)


def _of_message(message: Message) -> Iterator[str]:
    if message.fuzzy:
        yield f"fuzzy: {_first(message)}"
    originals, translations = _forms(message.id), _forms(message.string)
    if not translations or not all(translations):
        yield f"not translated: {_first(message)}"
        return
    allowed = [_placeholders(original) for original in originals]
    for translation in translations:
        if _placeholders(translation) not in allowed:
            yield f"placeholders differ: {_first(message)} -> {translation!r}"


def _forms(text: object) -> list[str]:
    return [str(form) for form in text] if isinstance(text, list | tuple) else [str(text)]


def _first(message: Message) -> str:
    where = message.locations[0][0] if message.locations else "?"
    return f"{_forms(message.id)[0]!r} ({where})"


def _placeholders(text: str) -> list[str]:
    return sorted(match.group() for match in PLACEHOLDER.finditer(text.replace("%%", "")))


def main() -> int:
    found = complaints()
    for line in found:
        print(line)
    print(f"{len(found)} texts need work." if found else "Every text is translated.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
