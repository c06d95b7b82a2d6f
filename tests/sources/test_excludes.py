"""Patterns mean what they mean in a .gitignore, and nothing is left out that was not asked for."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.errors import UsageError
from strongroom.sources.files.excludes import (
    Line,
    Patterns,
    from_ignore_file,
    from_options,
    read_lines,
)
from strongroom.sources.files.options import FilesOptions
from strongroom.sources.files.rules import Excluded
from tests.support.memory_backup import Saved, files_source, save, tree_path

SIGNATURE = "Signature: 8a477f597d28d172789f06886806bc55"


def _patterns(*texts: str, root: bytes = b"") -> Patterns:
    return from_options([Line(text, "--exclude") for text in texts], root)


def _out(patterns: Patterns, path: str, *, directory: bool = False) -> bool:
    return bool(patterns.decide(path.rpartition("/")[2], path, directory=directory))


@pytest.mark.parametrize(
    ("pattern", "out", "kept"),
    [
        ("node_modules", ["node_modules", "a/node_modules"], ["node_modules2", "a/xnode_modules"]),
        ("*.log", ["x.log", "a/b/.log", "new\nline.log"], ["x.log2", "log", "x.log\n"]),
        ("src/build", ["src/build"], ["a/src/build", "src/a/build", "src/build2"]),
        ("**/src/build", ["src/build", "a/src/build", "a/b\n/src/build"], ["a/src/b/build"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["a/xb", "x/a/b"]),
        ("a/*", ["a/b"], ["a", "a/b/c", "b"]),
        ("a/**", ["a/b", "a/b/c"], ["a", "b"]),
        ("?at", ["cat", "éat"], ["at", "chat"]),
        ("[a-c]x", ["ax", "cx"], ["dx", "x"]),
        ("[!a]x", ["bx"], ["ax"]),
        ("[éü]", ["é"], ["e"]),
        (r"\#x", ["#x"], ["x"]),
        (r"\!x", ["!x"], ["x"]),
        (r"a\*b", ["a*b"], ["axb"]),
        ("a.b", ["a.b"], ["axb"]),
        ("a b", ["a b"], ["a"]),
        ("A", ["A"], ["a"]),
        ("*", ["a", "a/b"], []),
        ("**", ["a", "a/b"], []),
    ],
)
def test_what_a_pattern_matches(pattern: str, out: list[str], kept: list[str]) -> None:
    """The entry itself; what lies below it is not asked for, since nobody goes there."""
    patterns = _patterns(pattern)
    assert [path for path in out if not _out(patterns, path)] == []
    assert [path for path in kept if _out(patterns, path)] == []


def test_a_slash_at_the_end_means_directories() -> None:
    """A file of that name is kept."""
    patterns = _patterns("build/", "x/y/")
    assert _out(_patterns("build", "!build/", "x/"), "build")
    assert _out(patterns, "a/build", directory=True)
    assert _out(patterns, "x/y", directory=True)
    assert not _out(patterns, "a/build")
    assert not _out(patterns, "x/y")


def test_the_last_pattern_decides() -> None:
    """So an exception stands after the rule."""
    patterns = _patterns("*", "!*/", "!*.py", "secret.py")
    assert not _out(patterns, "src", directory=True)
    assert not _out(patterns, "src/x.py")
    assert _out(patterns, "src/x.c")
    assert _out(patterns, "src/secret.py")


def test_a_slash_in_the_middle_anchors_at_the_root() -> None:
    """Relative to the root that the entry was found below."""
    patterns = _patterns("src/build", "!src/build/keep", root=b"srv/my [app]*")
    assert _out(patterns, "srv/my [app]*/src/build")
    assert not _out(patterns, "srv/my [app]*/a/src/build")
    assert not _out(patterns, "srv/my aXX/src/build")
    assert patterns.decide("keep", "srv/my [app]*/src/build/keep", directory=False) is False


def test_a_slash_at_the_beginning_anchors_at_the_file_system() -> None:
    """Wherever the root is, as users of other programs expect."""
    patterns = _patterns("/var/cache", "/home/*/.cache", "!/var/cache/keep", root=b"var")
    assert _out(patterns, "var/cache")
    assert _out(patterns, "home/me/.cache")
    assert not _out(patterns, "var/var/cache")
    assert not _out(patterns, "home/me/x/.cache")


def test_bytes_that_are_no_characters_are_matched() -> None:
    """By what stands for any character, and by themselves."""
    raw = os.fsdecode(b"\xff\xfe.log")
    assert _out(_patterns("*.log"), raw)
    assert _out(_patterns(raw), raw)
    assert not _out(_patterns(raw), os.fsdecode(b"\xff\xfd.log"))


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("foo[", r"a \[ without its \]"),
        ("foo\\", "ends with a backslash"),
        ("", "empty"),
        ("  ", "empty"),
        ("/", "empty"),
        ("!", "empty"),
        ("[z-a]", "bad character range"),
        ("[[:alpha:]]", "named classes"),
        ("#comment", "a comment"),
    ],
)
def test_a_bad_pattern_is_refused_before_anything_is_read(pattern: str, why: str) -> None:
    """The message names the pattern, where it stands, and what is wrong."""
    options = FilesOptions(exclude=(Line(pattern, "list.txt:7"),))
    with pytest.raises(UsageError, match=f"^list.txt:7: the pattern .* cannot be read: .*{why}"):
        files_source(b"/", options=options)


def test_exclude_files() -> None:
    """Comments and blank lines count only as lines; any end of line does."""
    data = b"\xef\xbb\xbf# comment\n\n*.log\r\n  \n\\#x\nkeep\\ \n"
    assert read_lines(data, "list") == [
        Line("*.log", "list:3"),
        Line("\\#x", "list:5"),
        Line("keep\\ ", "list:6"),
    ]


# -- the same as git

_PARTS = st.sampled_from(["a", "b", "ab", "*", "**", "?", "a*", "*b", "[ab]", "[!a]", "a.b", "\\a"])
_BODIES = st.lists(_PARTS, min_size=1, max_size=3).map("/".join)
_PATTERNS = st.builds(
    lambda sign, slash, body, end: f"{sign}{slash}{body}{end}",
    st.sampled_from(["", "", "", "!"]),
    st.sampled_from(["", "", "/"]),
    _BODIES,
    st.sampled_from(["", "", "/"]),
)
_NAMES = ("a", "b", "ab", "a.b", "c")


def _everything(top: Path) -> None:
    """Make three levels of every name."""
    for one in _NAMES:
        (top / one).mkdir()
        for two in _NAMES:
            if two in {"a", "ab"}:
                (top / one / two).mkdir()
                for three in ("a", "b", "c"):
                    (top / one / two / three).touch()
            else:
                (top / one / two).touch()


def _ours(patterns: Patterns, paths: list[tuple[str, bool]]) -> set[str]:
    """Return what is left out, with all that lies below."""
    out: set[str] = set()
    for path, directory in paths:
        if path.rpartition("/")[0] in out or _out(patterns, path, directory=directory):
            out.add(path)
    return out


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a git repository with a file or directory of every name."""
    top = tmp_path_factory.mktemp("checkout")
    subprocess.run(["git", "init", "-q", top], check=True, capture_output=True)
    (top / ".git" / "info").mkdir(exist_ok=True)
    _everything(top)
    return top


@settings(max_examples=200)
@given(lines=st.lists(_PATTERNS, min_size=1, max_size=4))
def test_patterns_mean_what_they_mean_to_git(checkout: Path, lines: list[str]) -> None:
    """Of any patterns, the same paths are left out."""
    (checkout / ".git" / "info" / "exclude").write_text("\n".join(lines) + "\n")
    paths = [(str(p.relative_to(checkout)), p.is_dir()) for p in sorted(checkout.rglob("*"))]
    paths = [(path, directory) for path, directory in paths if not path.startswith(".git")]
    answer = subprocess.run(
        ["git", "-C", checkout, "check-ignore", "--no-index", "--stdin", "-z"],
        input="\0".join(path for path, _ in paths),
        capture_output=True,
        check=False,
        text=True,
    )
    theirs = set(filter(None, answer.stdout.split("\0")))
    patterns = [Line(line, "exclude") for line in lines if line.strip("/!")]
    assert _ours(from_ignore_file(patterns, b"")[0], paths) == theirs


# -- what a source leaves out


def _tree(top: Path, *names: str) -> None:
    for name in names:
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)


def _kept(saved: Saved, top: Path) -> list[str]:
    prefix = tree_path(top) + b"/"
    return [os.fsdecode(p.removeprefix(prefix)) for p in saved.paths if p.startswith(prefix)]


def _lines(*texts: str) -> tuple[Line, ...]:
    return tuple(Line(text, "--exclude") for text in texts)


def test_what_is_left_out_is_counted_and_not_descended_into(tmp_path: Path) -> None:
    """Nothing below it is looked at, so it is counted once."""
    _tree(tmp_path, "a.log", "keep", "node_modules/x/y", "sub/node_modules/z", "sub/b.log")
    options = FilesOptions(exclude=_lines("*.log", "node_modules/"))
    source = files_source(tmp_path, options=options)
    saved = save(source)
    assert _kept(saved, tmp_path) == ["keep", "sub"]
    assert source.excluded == Excluded(by_pattern=4)
    assert saved.problems == []


def test_a_named_root_is_never_left_out(tmp_path: Path) -> None:
    """Neither by its name, nor by its path, nor as a part of another root."""
    _tree(tmp_path, "cache/x", "cache/cache/y", "other/file", "other/cache/z")
    roots = [tmp_path / "cache", tmp_path / "other" / "file", tmp_path / "other"]
    options = FilesOptions(exclude=_lines("cache", f"{tmp_path}/cache", "file"), larger_than=0)
    saved = save(files_source(*roots, options=options))
    assert _kept(saved, tmp_path) == ["cache", "other", "other/file"]


def test_a_root_in_something_left_out_is_saved_alone(tmp_path: Path) -> None:
    """The directory that leads to it comes along, and nothing else in it."""
    _tree(tmp_path, "app/cache/keep/x", "app/cache/junk", "app/y")
    roots = [tmp_path / "app", tmp_path / "app" / "cache" / "keep"]
    saved = save(files_source(*roots, options=FilesOptions(exclude=_lines("cache"))))
    assert _kept(saved, tmp_path) == [
        "app",
        "app/cache",
        "app/cache/keep",
        "app/cache/keep/x",
        "app/y",
    ]


def test_anchored_patterns_count_from_the_innermost_root(tmp_path: Path) -> None:
    """A pattern with a slash means another path below each root."""
    _tree(tmp_path, "a/x/y", "a/b/x/y", "a/b/c/x/y")
    roots = [tmp_path / "a", tmp_path / "a" / "b"]
    saved = save(files_source(*roots, options=FilesOptions(exclude=_lines("x/y"))))
    assert "a/x/y" not in _kept(saved, tmp_path)
    assert "a/b/x/y" not in _kept(saved, tmp_path)
    assert "a/b/c/x/y" in _kept(saved, tmp_path)


def test_ignore_files_apply_from_where_they_stand(tmp_path: Path) -> None:
    """Nested, with exceptions, the nearest first; the files themselves are saved."""
    _tree(
        tmp_path, "x.tmp", "a/x.tmp", "a/keep.tmp", "a/only", "b/only", "a/c/keep.tmp", "a/c/d/only"
    )
    (tmp_path / ".strongroomignore").write_text("*.tmp\n")
    (tmp_path / "a" / ".strongroomignore").write_text("!keep.tmp\n/only\n")
    (tmp_path / "a" / "c" / ".strongroomignore").write_text("keep.tmp\nd/only\n")
    source = files_source(tmp_path)
    saved = save(source)
    assert _kept(saved, tmp_path) == [
        ".strongroomignore",
        "a",
        "a/.strongroomignore",
        "a/c",
        "a/c/.strongroomignore",
        "a/c/d",
        "a/keep.tmp",
        "b",
        "b/only",
    ]
    assert source.excluded.by_pattern == 5
    assert saved.problems == []


def test_options_come_before_ignore_files(tmp_path: Path) -> None:
    """Who runs the backup has the last word, both ways."""
    _tree(tmp_path, "a", "b")
    (tmp_path / ".strongroomignore").write_text("a\n!b\n")
    saved = save(files_source(tmp_path, options=FilesOptions(exclude=_lines("b", "!a"))))
    assert _kept(saved, tmp_path) == [".strongroomignore", "a"]


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (lambda path: path.symlink_to("/etc/passwd"), "a symbolic link is in the way"),
        (os.mkfifo, "it is no regular file"),
        (Path.mkdir, "it is no regular file"),
        (lambda path: path.write_bytes(b"x\n" * (1 << 20)), "it is larger than 1 MiB"),
    ],
)
def test_an_ignore_file_that_is_none_leaves_nothing_out(
    tmp_path: Path, make: object, cause: str
) -> None:
    """It is reported, so that nobody believes in it."""
    _tree(tmp_path, "x")
    path = tmp_path / ".strongroomignore"
    assert callable(make)
    make(path)
    saved = save(files_source(tmp_path, options=FilesOptions(large=1 << 30)))
    assert "x" in _kept(saved, tmp_path)
    assert saved.causes() == {tree_path(path): f"nothing is left out by it: {cause}"}
    assert not saved.problems[0].missing


def test_a_bad_line_in_an_ignore_file_does_not_stop_a_backup(tmp_path: Path) -> None:
    """Anybody may write one; the line is reported, and the others hold."""
    _tree(tmp_path, "a", "b")
    path = tmp_path / ".strongroomignore"
    path.write_text("a\nb[\n")
    saved = save(files_source(tmp_path))
    assert _kept(saved, tmp_path) == [".strongroomignore", "b"]
    cause = "line 2 leaves nothing out: the pattern cannot be read"
    assert saved.causes() == {tree_path(path): cause}


def test_caches_keep_their_tag_alone(tmp_path: Path) -> None:
    """Only with the standard signature; a root that is one is saved whole."""
    _tree(tmp_path, "cache/a", "cache/b/c", "fake/a", "short/a")
    (tmp_path / "cache" / "CACHEDIR.TAG").write_text(f"{SIGNATURE}\n# by somebody\n")
    (tmp_path / "fake" / "CACHEDIR.TAG").write_text("Signature: other")
    (tmp_path / "short" / "CACHEDIR.TAG").symlink_to("../cache/CACHEDIR.TAG")
    options = FilesOptions(exclude_caches=True)
    source = files_source(tmp_path, options=options)
    assert _kept(save(source), tmp_path) == [
        "cache",
        "cache/CACHEDIR.TAG",
        "fake",
        "fake/CACHEDIR.TAG",
        "fake/a",
        "short",
        "short/CACHEDIR.TAG",
        "short/a",
    ]
    assert source.excluded.in_caches == 2
    assert "cache/a" in _kept(save(files_source(tmp_path / "cache", options=options)), tmp_path)
    assert "cache/a" in _kept(save(files_source(tmp_path)), tmp_path)
    roots = [tmp_path, tmp_path / "cache" / "b"]
    kept = _kept(save(files_source(*roots, options=options)), tmp_path)
    assert kept[:4] == ["cache", "cache/CACHEDIR.TAG", "cache/b", "cache/b/c"]


def test_large_files_are_left_out_and_other_things_never(tmp_path: Path) -> None:
    """A file of just the size is kept."""
    (tmp_path / "larger").write_bytes(bytes(101))
    (tmp_path / "as large").write_bytes(bytes(100))
    (tmp_path / "link").symlink_to("x" * 200)
    (tmp_path / "dir").mkdir()
    source = files_source(tmp_path, options=FilesOptions(larger_than=100))
    assert _kept(save(source), tmp_path) == ["as large", "dir", "link"]
    assert source.excluded.too_large == 1
