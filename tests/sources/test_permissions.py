"""A backup by somebody who may not read everything."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.memory_backup import files_source, save
from tests.support.other_user import NOBODY, open_folder, without_rights


def _owned(top: Path) -> Path:
    """Make a tree that belongs to the one who will read it, where that is somebody else."""
    tree = top / "tree"
    for name in ("open", "unlisted", "closed"):
        (tree / name).mkdir(parents=True)
        (tree / name / "file").write_text(name)
    (tree / "secret").write_text("secret")
    (tree / "secret").chmod(0o000)
    if os.geteuid() == 0:
        for path in [tree, *tree.rglob("*")]:
            os.chown(path, NOBODY, NOBODY)
    (tree / "unlisted").chmod(0o311)
    (tree / "closed").chmod(0o600)
    return tree


def _save(*roots: Path) -> tuple[list[str], dict[str, str]]:
    saved = save(files_source(*roots))
    prefix = os.fsencode(roots[0])[1:] + b"/"
    paths = [os.fsdecode(p.removeprefix(prefix)) for p in saved.paths if p.startswith(prefix)]
    causes = {os.fsdecode(p.removeprefix(prefix)): c for p, c in saved.causes().items()}
    return paths, causes


def test_what_may_not_be_read_is_reported() -> None:
    """Every file and directory by its own cause; what may be read is saved."""
    with open_folder() as top:
        tree = _owned(top)
        paths, causes = without_rights(lambda: _save(tree))
        assert paths == ["closed", "open", "open/file", "unlisted"]
        assert causes == {
            "closed/file": "permission denied",
            "secret": "permission denied",
            "unlisted": "what is in it is not saved: permission denied",
        }
        (tree / "closed").chmod(0o700)


def test_a_root_below_a_directory_that_may_not_be_listed() -> None:
    """To pass through is enough."""
    with open_folder() as top:
        tree = _owned(top)
        roots = (tree / "unlisted", tree / "unlisted" / "file")
        paths, causes = without_rights(lambda: _save(*roots))
        assert paths == ["file"]
        assert list(causes.values()) == ["what is in it is not saved: permission denied"]
        only = without_rights(lambda: _save(tree / "unlisted" / "file"))
        assert only[1] == {}
        (tree / "closed").chmod(0o700)


def test_files_of_others_are_read_without_owning_them() -> None:
    """Only an owner may leave access times alone; others read all the same."""
    with open_folder() as top:
        (top / "tree").mkdir()
        for name in ("a", "b"):
            (top / "tree" / name).write_text(name)
        paths, causes = without_rights(lambda: _save(top / "tree"))
        assert (paths, causes) == (["a", "b"], {})
