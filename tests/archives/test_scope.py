"""What goes into an archive: as a person says it, and never less than was said."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.archive.scope import (
    BY_DEFAULT,
    checked_scope,
    default_scope,
    read_scope,
    shown_scope,
)
from strongroom.errors import UsageError
from tests.archives.project import Project, metadata_of

pytestmark = pytest.mark.spec("A2")


def _names(made: Path) -> set[str]:
    """Return what GNU tar finds in an archive."""
    (archive,) = made.glob("*.tar.gz")
    done = subprocess.run(["tar", "-tzf", archive], check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines())


# -- reading


@pytest.mark.parametrize(
    "text",
    [
        "scripts lib",
        "scripts/ lib/",
        "(scripts/ lib/)",
        '("scripts/" "lib/")',
        "( 'scripts'\n  lib )",
        "scripts,lib",
        "scripts, lib,",
        "scripts:lib",
        "scripts\nlib\n",
        "scripts\r\nlib\r\n",
        "  scripts\t lib ",
        "./scripts lib/.",
        "scripts lib scripts",
    ],
)
def test_every_way_to_write_a_list(text: str) -> None:
    """Blanks, commas, colons, new lines, or what bash makes of an array."""
    assert checked_scope(read_scope(text)) == ("scripts", "lib")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("'my docs' lib", ["my docs", "lib"]),
        (r"my\ docs lib", ["my docs", "lib"]),
        ('"a,b" c', ["a,b", "c"]),
        ("'a:b'", ["a:b"]),
        ("a#b #c", ["a#b", "#c"]),
        ("$HOME `x`", ["$HOME", "`x`"]),
        ("", []),
        ("()", []),
    ],
)
def test_quotes_hold_a_name_together(text: str, names: Sequence[str]) -> None:
    """As in a shell; nothing is expanded, and nothing is a comment."""
    assert read_scope(text) == names


def test_a_quote_that_is_not_closed() -> None:
    """It is said, with the text."""
    with pytest.raises(UsageError, match="'lib"):
        read_scope("'lib scripts")


@pytest.mark.parametrize(
    "name", ["..", "../other", "lib/../..", "/etc", "//etc", "a/../../b", "a\0b", "lib/.."]
)
def test_what_leads_out_is_refused(name: str) -> None:
    """However it is written."""
    with pytest.raises(UsageError, match="not in the project"):
        checked_scope([name])


def test_nothing_is_no_scope() -> None:
    """An archive of nothing would look like a backup."""
    with pytest.raises(UsageError, match="names nothing"):
        checked_scope([])


@given(st.lists(st.text(st.characters(exclude_characters="\0"), max_size=9), min_size=1))
def test_a_checked_scope_stays_inside(names: list[str]) -> None:
    """Whatever is said: what passes is relative, has no dots, and stands once."""
    try:
        found = checked_scope(names)
    except UsageError:
        return
    assert len(set(found)) == len(found)
    for path in found:
        assert path == "." or not {"", ".", ".."} & set(path.split("/"))
    assert checked_scope(found) == found
    assert checked_scope(shown_scope(found, dict.fromkeys(found, True))) == found


@given(
    st.dictionaries(st.sampled_from([*BY_DEFAULT, "node_modules", "x", "backup"]), st.booleans())
)
def test_by_default_nothing_is_left_out_in_silence(top: dict[str, bool]) -> None:
    """Each name at the top is in the scope, or said to be outside."""
    scope = default_scope(top, ["backup"])
    said = {*scope.paths, *(name.rstrip("/") for name in scope.outside)}
    assert said == top.keys() - {"backup"}
    assert {name for name, is_folder in top.items() if not is_folder} - {"backup"} <= {*scope.paths}


# -- by the command line


@pytest.mark.parametrize("scope", ['("config/" "lib/")', "config,lib", "config:lib", "config\nlib"])
def test_the_variable_of_the_guide(project: Project, scope: str) -> None:
    """``BACKUP_SCOPE`` says what is archived, and the metadata has it as the guide writes it."""
    made = project.create(env={"BACKUP_SCOPE": scope})
    assert {name.split("/")[0] for name in _names(made)} == {"config", "lib"}
    assert metadata_of(made)["backup_scope"] == ["config/", "lib/"]


def test_options_win_over_the_variable(project: Project) -> None:
    """What is said last, and nearest, counts."""
    made = project.create("--scope", "README.md", env={"BACKUP_SCOPE": "lib"})
    assert _names(made) == {"README.md"}


@pytest.mark.parametrize("how", ["--scope", "BACKUP_SCOPE", "archives.scope"])
def test_a_path_that_is_missing_is_an_error(project: Project, how: str) -> None:
    """Exit code 2, both names are said, and no archive is made."""
    config = project.base / "strongroom.toml"
    config.write_text('version = 1\n[archives]\nscope = ["lib", "libs"]\n')
    said: dict[str, tuple[list[str | Path], dict[str, str | None]]] = {
        "--scope": (["--scope", "lib", "--scope", "libs"], {}),
        "BACKUP_SCOPE": ([], {"BACKUP_SCOPE": "lib libs"}),
        "archives.scope": (["--config", config], {}),
    }
    arguments, env = said[how]
    result = project.cli("archive", "create", *arguments, env=env, code=2)
    assert how in result.err
    assert "libs" in result.err
    assert not project.backup.exists()


@pytest.mark.parametrize("text", ["", " ", "()", ","])
def test_a_variable_that_names_nothing(project: Project, text: str) -> None:
    """An empty variable is as none; one with nothing in it is an error, and no empty archive."""
    result = project.program.run("archive", "create", env={"BACKUP_SCOPE": text})
    if text:
        assert result.code == 2
        assert not project.backup.exists()
    else:
        assert result.code == 0
        assert "lib/" in _names(project.backup / next(iter(project.names())))


@pytest.mark.parametrize("scope", ["../other", "/etc", "lib/../../other"])
def test_nothing_outside_is_archived(project: Project, scope: str) -> None:
    """Whoever asks for it is told where the project ends."""
    (project.base / "other").mkdir()
    result = project.cli("archive", "create", "--scope", scope, code=2)
    assert "not in the project" in result.err


def test_a_scope_through_a_link(project: Project) -> None:
    """What lies behind a link is not in the project: it is refused, or it comes back the same."""
    outside = project.base / "outside"
    (outside / "sub").mkdir(parents=True)
    (outside / "sub/file").write_text("outside")
    (project.folder / "link").symlink_to(outside)
    result = project.cli("archive", "create", "--scope", "link/sub", code=2)
    assert "link" in result.err
    assert not project.backup.exists()


def test_a_folder_behind_a_link_is_told_of(project: Project) -> None:
    """The link is in the archive, what it leads to is not; that is said, and it is no folder."""
    outside = project.base / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    (project.folder / "docs").symlink_to(outside)
    for arguments in ([], ["--scope", "docs/"]):
        result = project.cli("archive", "create", *arguments)
        assert "docs" in result.err
        made = project.backup / max(project.names())
        assert "docs" in _names(made)
        assert "docs" in metadata_of(made)["backup_scope"]


def test_folders_that_are_left_out_are_said(project: Project) -> None:
    """In the output and in the metadata; nobody expects what is not said."""
    project.write({"node_modules/x/index.js": b"", "data/rows": b""})
    result = project.cli("archive", "create")
    (made,) = project.backup.iterdir()
    assert "data/" in result.err
    assert "node_modules/" in result.err
    assert metadata_of(made)["not_in_scope"] == ["data/", "node_modules/"]
    assert not [name for name in _names(made) if name.startswith(("data", "node_modules"))]


@pytest.mark.parametrize("by", ["option", "file", "config"])
@pytest.mark.parametrize("scope", [[], ["--scope", "."]])
def test_excludes(project: Project, by: str, scope: list[str]) -> None:
    """Patterns leave out what matches, at the top too, and one with a slash starts from there."""
    project.write(
        {
            "top.key": b"secret",
            "lib/in.key": b"secret",
            "lib/keep.key": b"kept",
            "lib/tmp/x": b"",
            "config/tmp/y": b"",
            "tests/tmp": b"a file",
        }
    )
    patterns = ["*.key", "!keep.key", "lib/tmp/"]
    arguments: list[str | Path] = [*scope]
    if by == "option":
        arguments += [part for text in patterns for part in ("--exclude", text)]
    elif by == "file":
        (project.folder / ".strongroomignore").write_text("# secrets\n" + "\n".join(patterns))
    else:
        config = project.base / "strongroom.toml"
        config.write_text(f"version = 1\n[archives]\nexclude = {patterns}\n")
        arguments += ["--config", config]
    names = _names(project.create(*arguments))
    assert {"lib/keep.key", "config/tmp/y", "tests/tmp", "lib/code.sh"} <= names
    assert not {"top.key", "lib/in.key", "lib/tmp/", "lib/tmp/x"} & names


@pytest.mark.parametrize("scope", [[], ["--scope", "."]])
def test_a_whole_folder_is_ignored(project: Project, scope: list[str]) -> None:
    """A pattern that starts from the project, and one by name, leave out what is at the top."""
    (project.folder / ".strongroomignore").write_text("/config/\nREADME.md\n")
    names = _names(project.create(*scope))
    assert "lib/code.sh" in names
    assert not [name for name in names if name.startswith(("config", "README"))]


def test_who_names_it_gets_it(project: Project) -> None:
    """A scope that somebody wrote is meant, whatever the patterns say."""
    (project.folder / ".strongroomignore").write_text("*.md\n")
    assert _names(project.create("--scope", "README.md")) == {"README.md"}


def test_a_pattern_that_cannot_be_read(project: Project) -> None:
    """It is an error before anything is begun: nothing is left behind."""
    result = project.cli("archive", "create", "--exclude", "lib/[", code=2)
    assert "lib/[" in result.err
    assert not project.backup.exists()
