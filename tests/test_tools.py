import shutil
import subprocess

import pytest

from tools import check_catalogue, check_tree, migration, texts

HOME = "/" + "home/kim"
HEADER = 'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n'


@pytest.fixture
def tree(tmp_path):
    """A project with one source file and one catalogue to be filled by the test."""
    (tmp_path / "babel.cfg").write_text("[python: **.py]\n")
    folder = tmp_path / "whatsnext" / "translations" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)

    def fill(source, catalogue):
        (tmp_path / "whatsnext" / "page.py").write_text(source)
        (folder / "messages.po").write_text(HEADER + catalogue)
        return tmp_path

    return fill


def test_a_translated_text_passes(tree):
    root = tree("_('%(n)s places')", 'msgid "%(n)s places"\nmsgstr "%(n)s Plätze"\n')
    assert check_catalogue.complaints(root) == []


def test_a_plural_may_leave_the_number_out_in_the_singular(tree):
    root = tree(
        "ngettext('one place', '%(num)s places', n)",
        'msgid "one place"\nmsgid_plural "%(num)s places"\nmsgstr[0] "ein Platz"\nmsgstr[1] "%(num)s Plätze"\n',
    )
    assert check_catalogue.complaints(root) == []


@pytest.mark.parametrize(
    ("catalogue", "complaint"),
    [
        ("", "not in the catalogue (make texts): '%(n)s places' (whatsnext/page.py)"),
        ('msgid "%(n)s places"\nmsgstr ""\n', "not translated: '%(n)s places' (?)"),
        ('#, fuzzy\nmsgid "%(n)s places"\nmsgstr "%(n)s Orte"\n', "fuzzy: '%(n)s places' (?)"),
        ('msgid "%(n)s places"\nmsgstr "%(m)s Plätze"\n', "placeholders differ: '%(n)s places' (?) -> '%(m)s Plätze'"),
        ('msgid "%(n)s places"\nmsgstr "Plätze"\n', "placeholders differ: '%(n)s places' (?) -> 'Plätze'"),
    ],
    ids=["absent", "empty", "fuzzy", "wrong name", "lost placeholder"],
)
def test_a_text_that_needs_work_is_named(tree, catalogue, complaint):
    root = tree("_('%(n)s places')", catalogue)
    assert check_catalogue.complaints(root) == [f"whatsnext/translations/de/LC_MESSAGES/messages.po: {complaint}"]


def test_updating_takes_new_texts_drops_old_ones_and_keeps_translations(tree):
    root = tree("_('kept'); _l('new')", 'msgid "kept"\nmsgstr "bleibt"\n\nmsgid "old"\nmsgstr "alt"\n')
    texts.update(root)
    catalogue = texts.read(texts.catalogues(root)[0])
    assert [(message.id, message.string) for message in catalogue if message.id] == [("kept", "bleibt"), ("new", "")]


def test_a_catalogue_is_compiled_once_until_it_changes(tree):
    root = tree("", 'msgid "kept"\nmsgstr "bleibt"\n')
    compiled = texts.catalogues(root)[0].with_suffix(".mo")
    assert texts.compile_all(root) == [compiled]
    assert texts.compile_all(root) == []


@pytest.mark.parametrize(
    ("name", "line", "complaints"),
    [
        ("docs/operate.md", f"data under {HOME}/whatsnext", [f"docs/operate.md:1: a path of one machine: {HOME}"]),
        ("docs/operate.md", f"see https://example.org{HOME} and {{{{ url }}}}{HOME}", []),
        ("requirements.txt", "x @ https://pypi.org/x", ["requirements.txt:1: an address of a registry: pypi.org"]),
        ("tests/browser/package-lock.json", "{}", []),
        ("static/vendor/kern.css", f"/* {HOME} */", []),
        ("whatsnext/x.mo", "", ["whatsnext/x.mo: is built, not kept"]),
    ],
    ids=["path", "no path", "registry", "clean lock", "vendored", "built"],
)
def test_what_does_not_belong_into_the_tree_is_named(tmp_path, name, line, complaints):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(line)
    assert list(check_tree.complaints(tmp_path, [name])) == complaints


def test_the_tree_holds_only_what_belongs_to_it():
    assert list(check_tree.complaints(check_tree.ROOT, check_tree.kept_files())) == []


def test_every_text_is_translated():
    assert check_catalogue.complaints() == []


def test_what_is_missing_on_the_machine_is_said_in_one_line(tmp_path):
    (tmp_path / "id").symlink_to(shutil.which("id"))
    asked = subprocess.run(
        [check_tree.ROOT / "tools" / "need.sh", "no-such-program"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert asked.returncode == 1
    assert asked.stderr == (
        "Missing on this machine: no-such-program. Install it, for instance: sudo apt-get install no-such-program\n"
    )


def test_a_migration_names_plain_column_types():
    line = 'sa.Column("seen_at", whatsnext.models.types.UtcDateTime(timezone=True), nullable=True)'
    assert migration.without_models(line) == 'sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True)'
