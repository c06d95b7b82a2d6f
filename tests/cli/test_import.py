"""``strongroom import`` as a person runs it, and the way there and back."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import sysconfig
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.archive.manifest import read_manifest, write_manifest
from strongroom.model.entry import EntryKind
from tests.archive.making import headers_of, tar_of, thing
from tests.cli.harness import COMMAND, NO_KEY, Program, Result
from tests.support.compare_trees import compare_trees
from tests.support.file_trees import every_kind
from tests.support.whole_trees import Whole, differences, problems_of, whole_tree

pytestmark = pytest.mark.spec("B9")

SOCKET = "tree/specials/socket"


class Second:
    """Another repository, with a key of its own, on the same host."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.repository = program.folder / "second"
        self.key = program.folder / "second.key"
        self.run("init")

    def run(self, *arguments: str | Path) -> Result:
        """Run a command with it."""
        opened = ("-r", self.repository, "--key-file", self.key)
        return self.program.run(*opened, *arguments, env=NO_KEY)

    def good(self, *arguments: str | Path) -> Result:
        """Run a command that must end with 0."""
        result = self.run(*arguments)
        assert result.code == 0, result
        return result

    def tree(self) -> list[Whole]:
        """Read the latest snapshot in it."""
        return whole_tree(self.repository, self.key)

    def is_empty(self) -> bool:
        """Whether it lists no snapshot."""
        return "no snapshots" in self.good("snapshots").out


@pytest.fixture(name="second")
def _second(program: Program) -> Second:
    return Second(program)


def first_tree(program: Program, *, without: str = "") -> list[Whole]:
    """Read the latest snapshot of the first repository."""
    gone = str(program.folder / without).lstrip("/").encode()
    found = whole_tree(program.repository, program.key_file)
    return [whole for whole in found if not without or whole.entry.path != gone]


def only(folder: Path) -> Path:
    """Return the folder of the only archive."""
    (found,) = folder.iterdir()
    return found


@pytest.mark.parametrize("form", ["gzip", "zstd", "none"])
def test_an_awkward_tree_there_and_back(program: Program, second: Second, form: str) -> None:
    """Kinds, names of any bytes, modes, owners, times, attributes, access lists, hard links of
    files, links and FIFOs, holes and bytes: the tree is the same. A socket is said to be missing.
    """
    tree = program.folder / "tree"
    every_kind(tree)
    (tree / "islands").write_bytes((b"x" * 70_000 + bytes(70_000)) * 60)
    subprocess.run(["fallocate", "-d", str(tree / "islands")], check=True)
    program.good("backup", tree)
    assert program.run("export", "latest", "--to", "out", "--format", form).code == 3
    result = second.run("import", only(program.folder / "out"))
    assert result.code == 3, result
    assert "socket" in result.err
    wanted, found = first_tree(program, without=SOCKET), second.tree()
    assert differences(wanted, found) == []
    assert any(len(whole.runs) > 5 for whole in found), "no file of many holes was in it"
    assert any(whole.entry.link == whole.entry.path for whole in found)
    (problem,) = problems_of(second.repository, second.key)
    assert problem.path == str(program.folder / SOCKET).lstrip("/").encode()
    assert second.good("verify", "--read-data").code == 0


@pytest.mark.parametrize("form", ["gzip", "zstd"])
def test_a_real_tree_there_and_back(program: Program, second: Second, form: str) -> None:
    """A part of an installed Python; what comes back restores to the same files."""
    library = program.folder / "library"
    shutil.copytree(Path(sysconfig.get_paths()["stdlib"]) / "asyncio", library, symlinks=True)
    shutil.copytree(Path(sysconfig.get_paths()["stdlib"]) / "encodings", library / "more")
    program.good("backup", library, "--tag", "nightly", "--host", "web1")
    program.good("tag", "latest", "--add", "kept")
    program.good("export", "latest", "--to", "out", "--format", form)
    second.good("import", only(program.folder / "out"), "--tag", "moved")
    assert differences(first_tree(program), second.tree()) == []
    (was,) = program.good("snapshots", "--json").records[:-1]
    (now,) = second.good("snapshots", "--json").records[:-1]
    same = ("time", "end", "hostname", "username", "paths", "sources", "entries", "files", "bytes")
    assert {name: was[name] for name in same} == {name: now[name] for name in same}
    assert was["tags"] == ["nightly", "kept"]
    assert now["tags"] == ["nightly", "kept", "moved"]
    second.good("restore", f"latest:{library}", "--to", "back")
    assert compare_trees(library, program.folder / "back", ignore=["top"]) == []


def test_names_of_links_that_are_elsewhere(program: Program, second: Second) -> None:
    """A file of which another name was not saved is the first of a group, there and back."""
    documents = program.make_files(a="1", b="2")
    os.link(documents / "a", program.folder / "outside")
    program.good("backup", documents)
    program.good("export", "latest", "--to", "out")
    second.good("import", only(program.folder / "out"))
    assert differences(first_tree(program), second.tree()) == []
    (linked,) = [whole.entry.path for whole in second.tree() if whole.entry.link]
    assert linked.endswith(b"/a")


def test_several_sources_are_one_tree(program: Program, second: Second) -> None:
    """As in a restore."""
    documents = program.make_files(a="1")
    (program.folder / "strongroom.toml").write_text(
        f'version = 1\n[sources.one]\ntype = "files"\npaths = ["{documents}"]\n'
        f'[sources.two]\ntype = "files"\npaths = ["{program.folder}/other"]\n'
    )
    (program.folder / "other").mkdir()
    (program.folder / "other" / "b").write_text("2")
    program.good("backup", "--config", "strongroom.toml")
    program.good("export", "latest", "--to", "out")
    second.good("import", only(program.folder / "out"))
    assert differences(first_tree(program), second.tree()) == []
    (now,) = second.good("snapshots", "--json").records[:-1]
    assert now["sources"] == ["one two"]


def test_through_a_pipe(program: Program, second: Second) -> None:
    """What export prints, import takes from standard input; all but what only a manifest says."""
    documents = program.make_files(a="1", b="2" * 3_000_000)
    os.link(documents / "b", documents / "c")
    program.good("backup", documents)
    stream = program.good("export", "latest", "--to", "-", "--format", "zstd").raw
    done = piped(program, second, stream)
    assert done.returncode == 0, done
    assert differences(first_tree(program), second.tree()) == []


def piped(
    program: Program, second: Second, data: bytes, *options: str
) -> subprocess.CompletedProcess[bytes]:
    """Import what is piped in, in a process of its own."""
    opened = ("-r", str(second.repository), "--key-file", str(second.key))
    return subprocess.run(
        [*COMMAND, *opened, "import", "-", *options],
        cwd=program.folder,
        env={key: value for key, value in program.environment.items() if key[:6] != "STRONG"},
        input=data,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("how", ["--archive-key-file", "--archive-passphrase-file"])
def test_an_encrypted_archive(program: Program, second: Second, how: str) -> None:
    """It opens with the key of the archive; without it, and with another one, exit 12."""
    documents = program.make_files(a="secret")
    program.good("backup", documents)
    made = subprocess.run(["age-keygen"], check=True, capture_output=True).stdout
    for name, data in (("one", made), ("word", b"a word\n"), ("other", b"another word\n")):
        (program.folder / name).write_bytes(data)
        (program.folder / name).chmod(0o600)
    key = "one" if how == "--archive-key-file" else "word"
    program.good("export", "latest", "--to", "out", how, key)
    made_in = only(program.folder / "out")
    (file,) = made_in.glob("*.tar.gz.age")
    shutil.copy(file, program.folder / "bare")
    for what in (made_in, program.folder / "bare"):
        refused = second.run("import", what)
        assert (refused.code, "--archive-key-file" in refused.err) == (12, True), refused
        assert second.run("import", what, "--archive-passphrase-file", "other").code == 12
        assert second.is_empty()
    second.good("import", made_in, how, key)
    assert differences(first_tree(program), second.tree()) == []
    second.good("import", "bare", how, key)
    assert differences(first_tree(program), second.tree()) == []


# -- archives of a project


def project(program: Program) -> Path:
    """Make a project with an archive of it, and one of what changed since."""
    folder = program.make_files(a="1", b="2")
    (folder / "scripts").mkdir()
    (folder / "scripts" / "run").write_text("true")
    (folder / "scripts" / "gone").write_text("false")
    os.link(folder / "a", folder / "linked")
    time.sleep(0.2)
    program.good("archive", "create", "--project", folder, "--folder", "shelf")
    (folder / "b").write_text("changed")
    (folder / "scripts" / "gone").unlink()
    (folder / "scripts" / "new").write_text("new")
    time.sleep(1.1)
    program.good("archive", "incremental", "--project", folder, "--folder", "shelf")
    return folder


def test_an_incremental_archive(program: Program, second: Second) -> None:
    """What did not change comes from the archive before it, and what is gone does not come."""
    folder = project(program)
    second.good("import", "shelf/latest", "--host", "web1", "--name", "app")
    second.good("restore", "latest", "--to", "back")
    assert compare_trees(folder, program.folder / "back", ignore=["top"]) == []
    (now,) = second.good("snapshots", "--json").records[:-1]
    assert (now["hostname"], now["sources"]) == ("web1", ["app"])


def test_the_file_of_an_incremental_archive_means_the_whole_archive(
    program: Program, second: Second
) -> None:
    """By its own bytes it would be a snapshot that lacks most."""
    folder = project(program)
    (file,) = max((program.folder / "shelf").iterdir()).glob("*.tar.gz")
    second.good("import", file)
    second.good("restore", "latest", "--to", "back")
    assert compare_trees(folder, program.folder / "back", ignore=["top"]) == []


def test_a_further_name_of_what_is_gone(program: Program, second: Second) -> None:
    """A file comes with its bytes also where the name that brought them is not in the tree."""
    project(program)
    newest = max((program.folder / "shelf").iterdir())
    manifest = newest / "backup-manifest.jsonl.gz"
    rows = read_manifest(manifest.read_bytes(), newest.name, "it")
    kept = [row for row in rows if row.path != b"a"]
    manifest.write_bytes(write_manifest(newest.name, kept))
    second.good("import", newest)
    assert second.good("dump", "latest", "/linked").raw == b"1"
    assert [row.path for row in kept] == [whole.entry.path for whole in second.tree()]


def test_an_archive_before_it_is_gone(program: Program, second: Second) -> None:
    """Exit 4, and nothing in the repository lists it."""
    project(program)
    shutil.rmtree(min((program.folder / "shelf").iterdir()))
    result = second.run("import", "shelf/latest")
    assert (result.code, "builds on" in result.err) == (4, True), result
    assert second.is_empty()


# -- damaged and forged ones


def rewritten(made: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the tar in an archive, with a checksum that fits and the manifest as it was."""
    (file,) = made.glob("*.tar.gz")
    data = gzip.compress(change(gzip.decompress(file.read_bytes())))
    file.write_bytes(data)
    metadata = json.loads((made / "backup-metadata.json").read_text())
    digest = subprocess.run(["sha256sum", str(file)], check=True, capture_output=True).stdout
    metadata["backup_checksum"] = f"sha256:{digest[:64].decode()}"
    metadata["backup_size"] = len(data)
    (made / "backup-metadata.json").write_text(json.dumps(metadata))


def replaced(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Return what puts bytes in the place of others, which are there."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new)

    return change


def without_first(data: bytes) -> bytes:
    """Return a tar without its first member, and the extended header before it."""
    kind = b"x"
    while kind == b"x":
        kind, size = data[156:157], int(data[124:135], 8)
        data = data[512 + -(-size // 512) * 512 :]
    return data


def led_elsewhere(data: bytes) -> bytes:
    """Return a tar whose hard link leads to another file, in a header that is in order."""
    (at,) = [at for at in headers_of(data) if data[at + 156 : at + 157] == b"1"]
    header = bytearray(data[at : at + 512])
    assert header[157:159] == b"a\0"
    header[157:158] = b"b"
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return data[:at] + header + data[at + 512 :]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replaced(b"content", b"Content"), "not those it was made of"),
        (without_first, "missing in it"),
        (led_elsewhere, "which is another file"),
        (lambda data: data[: 3 * 512], "cut off"),
        (lambda data: tar_of(thing(b"more"))[:512] + data, "not in its manifest"),
    ],
)
def test_a_forged_archive(
    program: Program, second: Second, change: Callable[[bytes], bytes], said: str
) -> None:
    """Whatever is not as the manifest says: exit 4, and nothing in the repository lists it."""
    documents = program.make_files({"a": "content", "b": "2" * 20, "large": b"3" * 2_000_000})
    os.link(documents / "a", documents / "linked")
    program.good("backup", documents)
    program.good("export", f"latest:{documents}", "--to", "out")
    made = only(program.folder / "out")
    rewritten(made, change)
    result = second.run("import", made)
    assert result.code == 4, result
    assert said in result.err
    assert second.is_empty()


def test_a_damaged_archive(program: Program, second: Second) -> None:
    """One bit anywhere: exit 4, never a snapshot."""
    documents = program.make_files({"a": os.urandom(5000), "large": os.urandom(2_000_000)})
    program.good("backup", documents)
    program.good("export", f"latest:{documents}", "--to", "out", "--format", "none")
    made = only(program.folder / "out")
    (file,) = made.glob("*.tar")
    whole = file.read_bytes()
    for at in (0, 300, 600, 6000, 1_000_000, len(whole) - 1):
        data = bytearray(whole)
        data[at] ^= 1
        file.write_bytes(data)
        result = second.run("import", made)
        assert result.code == 4, (at, result)
    file.write_bytes(whole[:-512])
    assert second.run("import", made).code == 4
    assert second.is_empty()
    file.write_bytes(whole)
    second.good("import", made)


# -- archives of anybody


def gnu_tar(folder: Path, *arguments: str) -> bytes:
    """Let GNU tar make an archive."""
    command = ["tar", "-C", str(folder), "-c", "-f", "-", *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.mark.parametrize("options", [("--format=gnu",), ("--format=pax", "-z"), ("--zstd",)])
def test_an_archive_of_gnu_tar(program: Program, second: Second, options: tuple[str, ...]) -> None:
    """Whatever the order of its members: restored, it is the folder that it was made of."""
    tree = program.folder / "tree"
    tree.mkdir()
    for name in ("z", "m", "a"):
        (tree / name).mkdir()
        (tree / name / "file").write_text(name)
    (tree / "z" / "large").write_bytes(os.urandom(3_000_000))
    os.link(tree / "z" / "file", tree / "a" / "link to z")
    (tree / "m" / "symbolic").symlink_to("file")
    os.link(tree / "m" / "symbolic", tree / "a" / "symbolic too", follow_symlinks=False)
    with (tree / "sparse").open("wb") as file:
        file.truncate(5_000_000)
    data = gnu_tar(tree, "-S", *options, "./z", "sparse", "m", "a")
    (program.folder / "theirs").write_bytes(data)
    said = second.good("import", "theirs").out
    assert "states no checksum" in said
    second.good("restore", "latest", "--to", "back")
    # tar states times in whole seconds, but in the pax dialect
    ignore = ["top", *(["mtime_ns"] if "--format=pax" not in options else [])]
    assert compare_trees(tree, program.folder / "back", ignore=ignore) == []
    assert (program.folder / "back/sparse").stat().st_blocks == 0
    by_path = {whole.entry.path: whole.entry for whole in second.tree()}
    assert by_path[b"z/file"].link == by_path[b"a/link to z"].link == b"a/link to z"
    assert by_path[b"a/symbolic too"].kind == EntryKind.SYMLINK
    second.good("verify", "--read-data")
    name, host = (
        second.good("snapshots", "--json").records[0][key] for key in ("sources", "hostname")
    )
    assert (name, host) == (["theirs"], os.uname().nodename)


def test_names_from_the_root_and_names_twice(program: Program, second: Second) -> None:
    """As tar extracts them: the slash is taken away, the last one counts, one that leads to itself
    is there already, and one may lead to a further name.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in (("/etc/a", b"old"), ("/etc/a", b"new"), ("etc/b", b"b")):
            one = tarfile.TarInfo(name)
            one.size = len(data)
            tar.addfile(one, io.BytesIO(data))
        for name, target in (("etc/c", "etc/b"), ("etc/b", "etc/b"), ("etc/d", "etc/c")):
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.LNKTYPE, target
            tar.addfile(link)
    assert piped(program, second, buffer.getvalue()).returncode == 0
    assert second.good("dump", "latest", "/etc/a").raw == b"new"
    for name in ("b", "c", "d"):
        assert second.good("dump", "latest", f"/etc/{name}").raw == b"b"
    links = {whole.entry.path: whole.entry.link for whole in second.tree()}
    assert links == {b"etc/a": b"", b"etc/b": b"etc/b", b"etc/c": b"etc/b", b"etc/d": b"etc/b"}


def self_linked() -> bytes:
    """Return a tar of nothing but a hard link to itself."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        link = tarfile.TarInfo("a")
        link.type, link.linkname = tarfile.LNKTYPE, "a"
        tar.addfile(link)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (tar_of(thing(b"a/../../b")), "not a path"),
        (tar_of(thing(b"a"), thing(b"a/b")), "no directory"),
        (tar_of(thing(b"b", link=b"a")), "which is no file in it"),
        (
            tar_of(thing(b"d", EntryKind.DIRECTORY), thing(b"e", link=b"d")),
            "which is no file in it",
        ),
        (tar_of(thing(b"a"), thing(b"b", link=b"a"), thing(b"a")), "has further names"),
        (self_linked(), "which is no file in it"),
        (tar_of(thing(b"a")) + b"more", "behind its end"),
        (tar_of(thing(b"a"))[:1024], "blocks at its end"),
        (gzip.compress(tar_of(thing(b"a")), mtime=0)[:-4], "cut off"),
        (b"no archive at all", "is no tar"),
        (b"", "is no tar"),
        (b"\xfd7zXZ\0" + bytes(600), "xz -dc"),
    ],
)
def test_what_cannot_be_a_tree(program: Program, second: Second, data: bytes, said: str) -> None:
    """Exit 4, and nothing in the repository lists it."""
    done = piped(program, second, data)
    assert done.returncode == 4, done
    assert said in done.stderr.decode()
    assert second.is_empty()


def test_a_link_to_an_archive(program: Program, second: Second) -> None:
    """It is followed; what is no file is to be piped in, exit 2."""
    (program.folder / "theirs.tar").write_bytes(tar_of((thing(b"a", size=1), b"1")))
    (program.folder / "link").symlink_to("theirs.tar")
    second.good("import", "link")
    assert second.good("dump", "latest", "/a").raw == b"1"
    os.mkfifo(program.folder / "fifo")
    refused = second.run("import", "fifo")
    assert (refused.code, "Pipe it in" in refused.err) == (2, True)


def test_an_agent_imports(program: Program) -> None:
    """It writes as in a backup; a reader key does not, exit 12."""
    program.good("key", "export-agent", "--name", "web1", "--to", "web1.agent")
    program.good("key", "add", "--new-key-file", "reader-key", "--role", "reader")
    (program.folder / "theirs.tar").write_bytes(tar_of((thing(b"a", size=1), b"1")))
    reader = {"STRONGROOM_KEY_FILE": str(program.folder / "reader-key")}
    assert program.run("import", "theirs.tar", env=reader).code == 12
    agent = {"STRONGROOM_KEY_FILE": str(program.folder / "web1.agent")}
    program.good("import", "theirs.tar", env=agent)
    assert program.good("dump", "latest", "/a").raw == b"1"


@pytest.mark.parametrize(
    ("command", "code", "said"),
    [
        ("import", 2, "FOLDER/ID"),
        ("import nowhere.tar", 15, "there is no"),
        ("import documents", 2, "backup"),
        ("import shelf/latest", 15, "no archive"),
        ("import documents/a --archive-key-file nowhere", 2, "nowhere"),
        ("import documents/a --tag \x01", 2, "--tag"),
    ],
)
def test_what_cannot_be_meant(program: Program, command: str, code: int, said: str) -> None:
    """Nothing is made, and the message says what is wrong."""
    program.make_files(a="1")
    result = program.run(*command.split())
    assert result.code == code, result
    assert said in result.err
    assert "no snapshots" in program.good("snapshots").out


def test_an_old_state_takes_the_place_of_no_newer_one(program: Program) -> None:
    """What was captured before counts as from then: 'the last' is what was captured last."""
    tree = program.folder / "changing"
    tree.mkdir()
    (tree / "file").write_text("old")
    program.good("backup", "./changing")
    program.good("export", "latest", "--to", "shelf")
    (archive,) = (program.folder / "shelf").glob("2*_*")
    (tree / "file").write_text("new")
    program.good("backup", "./changing")
    program.good("import", archive)
    program.good("forget", "--keep-last", "1")
    program.good("prune", "--grace", "0s")
    program.good("restore", "latest", "--to", "out")
    assert [one.read_text() for one in (program.folder / "out").rglob("file")] == ["new"]


@pytest.mark.parametrize("who", ["full", "agent"])
def test_a_state_of_days_ago_takes_no_place(program: Program, who: str) -> None:
    """Whoever imports it: it stays, and what was captured since stays as well."""
    program.good("key", "export-agent", "--name", "web1", "--to", "web1.agent")
    key = {"STRONGROOM_KEY_FILE": str(program.folder / "web1.agent")} if who == "agent" else None
    tree = program.folder / "changing"
    tree.mkdir()
    (tree / "file").write_text("old")
    program.good("backup", "./changing", env=key)
    program.good("export", "latest", "--to", "shelf")
    (archive,) = (program.folder / "shelf").glob("2*_*")
    metadata, sums = archive / "backup-metadata.json", archive / "backup-checksum.sha256"
    said = json.loads(metadata.read_text())
    said["snapshot"] |= {"started": "2020-01-01T00:00:00Z", "ended": "2020-01-01T00:00:01Z"}
    before = hashlib.sha256(metadata.read_bytes()).hexdigest()
    metadata.write_text(json.dumps(said))
    after = hashlib.sha256(metadata.read_bytes()).hexdigest()
    sums.write_text(sums.read_text().replace(before, after))
    (tree / "file").write_text("new")
    program.good("backup", "./changing", env=key)
    program.good("import", archive, env=key)
    explained = program.good("retention", "explain", "--keep-last", "1").out
    assert "its time is not believed: it says 2020" in explained
