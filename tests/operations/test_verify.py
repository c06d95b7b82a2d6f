"""Which packs a check reads: everything, nothing, a share, a percentage or a size."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import UsageError
from strongroom.operations.verify import Subset, all_packs, no_packs, verify
from strongroom.repository.opening import initialise
from strongroom.storage.memory import MemoryStore
from tests.support.kit import SECRET, Kit
from tests.support.noise import noise
from tests.support.recording import RecordingStore

pytestmark = pytest.mark.spec("B7")

PACKS = sorted((noise(32, f"pack {n}"), 1000 + n) for n in range(200))
IDS = [pack_id for pack_id, _ in PACKS]
SIZES = dict(PACKS)


def chosen(text: str, seed: bytes = b"seed") -> list[bytes]:
    """Return what a subset chooses of 200 packs of about 1,000 bytes."""
    return list(Subset(text, seed)(PACKS))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("100%", 200), ("50%", 100), ("10%", 20), ("0.5%", 1), ("0.1%", 1), ("99.9%", 200),
        (" 10% ", 20), ("1", 1), ("1K", 1), ("1k", 1), ("10K", 10), ("10KiB", 10), ("10kb", 10),
        ("5500B", 6), ("0.01M", 10), ("1M", 200), ("5G", 200), ("2TiB", 200),
    ],
)  # fmt: skip
def test_a_part_is_chosen(text: str, count: int) -> None:
    """So many packs are read for a percentage, or until a size is reached."""
    found = chosen(text)
    assert abs(len(found) - count) <= (1 if text[-1] != "%" and count < 200 else 0)
    assert len(set(found)) == len(found)
    assert set(found) <= set(IDS)


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 200, 1000])
def test_all_shares_together_are_everything(parts: int) -> None:
    """Each pack is in exactly one of t parts, whatever the seed."""
    shares = [chosen(f"{number}/{parts}", str(number).encode()) for number in range(1, parts + 1)]
    assert sorted(pack for share in shares for pack in share) == IDS


def test_another_run_chooses_others() -> None:
    """A percentage means other packs with another seed, and the same with the same."""
    assert chosen("10%", b"one") == chosen("10%", b"one")
    assert chosen("10%", b"one") != chosen("10%", b"other")
    assert chosen("20K", b"one") != chosen("20K", b"other")


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0", "0%", "0.0%", "100.1%", "101%", "-1%", "1%%", "%", "0/1", "3/2", "1/0", "0/0",
        "1/", "/2", "1/2/3", "1.5/2", "x", "1X", "1 %", "1,5%", "1e3", "0K", "0.0G", "NaN", "inf",
        "-5G", "5GG", "5iB%", "\u0661%", "\u00b2", "9" * 400, "9" * 5000 + "/2", "1/" + "9" * 5000,
        "9" * 400 + "%", "1." + "0" * 5000 + "%",
    ],
    ids=lambda text: repr(text[:12]),
)  # fmt: skip
def test_what_is_no_part_is_refused(text: str) -> None:
    """Anything else is a mistake in use, exit 2, with the forms that exist."""
    with pytest.raises(UsageError, match="no part of a repository") as refused:
        Subset(text, b"")
    assert refused.value.code == 2
    assert "2/7" in refused.value.hint


@given(st.text(max_size=12), st.binary(max_size=3))
def test_any_text_is_a_part_or_refused(text: str, seed: bytes) -> None:
    """Whatever is typed chooses some of the packs, or is a UsageError."""
    try:
        subset = Subset(text, seed)
    except UsageError:
        return
    assert set(subset(PACKS)) <= set(IDS)
    assert list(subset([])) == []


def test_everything_and_nothing() -> None:
    """The two simple choices."""
    assert list(all_packs(PACKS)) == IDS
    assert list(no_packs(PACKS)) == []


def test_only_the_chosen_packs_are_read(tmp_path: Path) -> None:
    """A check of structure reads no whole pack, one of a third a third, a full one each once."""
    recording = RecordingStore(MemoryStore())
    kit = Kit(recording, tmp_path)
    initialise(recording, SECRET, kit.randomness, 0, pack_size=4 << 20)
    kit.backup({b"%02d" % n: noise(1 << 20, str(n)) for n in range(12)})
    packs = [info.key for info in recording.list("packs/")]
    assert len(packs) >= 3
    snapshot = kit.snapshots()[0]

    def read(choice: Subset | None, *, read_data: bool = True) -> list[str]:
        recording.requests.clear()
        result = verify(kit.open(), choice, snapshot, read_data=read_data)
        found = [key for verb, key in recording.requests if verb == "get" and key in packs]
        assert result.damage == []
        assert (result.packs, result.packs_read) == (len(packs), len(found))
        assert result.bytes_read == sum(recording.size(key) for key in found)
        return sorted(found)

    assert read(None, read_data=False) == []
    assert read(None) == packs
    assert read(Subset("100%", b"")) == packs
    assert len(read(Subset("1K", b""))) == 1
    assert sorted(read(Subset("1/2", b"")) + read(Subset("2/2", b""))) == packs


def test_a_tree_is_checked_with_few_requests(tmp_path: Path) -> None:
    """Neighbouring parts of a tree are asked for together: a line may be slow."""
    recording = RecordingStore(MemoryStore())
    kit = Kit(recording, tmp_path)
    initialise(recording, SECRET, kit.randomness, 0)
    kit.backup({b"d/%05d" % number: b"%d" % number for number in range(20_000)})
    recording.requests.clear()
    assert kit.verify(read_data=False).damage == []
    ranges = [key for verb, key in recording.requests if verb == "get_range"]
    assert 1 <= len(ranges) <= 5
