"""An archive that is not whole, or was made to deceive, is damage that names the place."""

from __future__ import annotations

import struct
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.archive.fields import MOST_ID
from strongroom.archive.headers import sum_of
from strongroom.archive.tarreading import MOST_EXTENDED, read_tar
from strongroom.errors import DamageError
from strongroom.model.entry import SPARSE, EntryKind
from tests.archive.making import Chunks, Seen, headers_of, members_of, tar_of, thing

pytestmark = pytest.mark.spec("A3")

_END = bytes(1024)
_SAMPLE = tar_of(
    thing(b"folder", EntryKind.DIRECTORY),
    (thing(b"folder/file", size=700), b"d" * 700),
    msgspec.structs.replace(thing(b"link", EntryKind.SYMLINK), target=b"folder/file"),
    (msgspec.structs.replace(thing("ä".encode(), size=3), mtime_ns=5), b"abc"),
    (msgspec.structs.replace(thing(b"zeros", size=9000), flags=SPARSE), bytes(9000)),
    thing(b"second", link=b"folder/file"),
)


_PLAIN = {
    "size": b"00000000000\0",
    "kind": b"0",
    "magic": b"ustar\x0000",
    "link": b"",
    "mtime": b"00000000000\0",
    "uid": b"0000000\0",
    "device": b"0000000\0",
    "tail": b"",
}


def _header(name: bytes = b"victim", **fields: bytes) -> bytes:
    """Return a header with a right checksum, whatever it says."""
    said = _PLAIN | fields
    front = name.ljust(100, b"\0") + b"0000644\0" + said["uid"] + b"0000000\0" + said["size"]
    back = said["kind"] + said["link"].ljust(100, b"\0") + said["magic"] + bytes(64)
    block = front + said["mtime"] + b" " * 8 + back + said["device"] * 2 + said["tail"]
    block = block.ljust(512, b"\0")
    assert (len(block), said.keys()) == (512, _PLAIN.keys())
    return block[:148] + b"%06o\0 " % sum_of(block) + block[156:]


def _octal(number: int) -> bytes:
    return b"%011o\0" % number


def _blocks(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def _pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    body = b""
    for key, value in records:
        size = next(
            size
            for size in range(len(key) + len(value) + 4, len(key) + len(value) + 14)
            if size == len(b"%d %b=%b\n" % (size, key, value))
        )
        body += b"%d %b=%b\n" % (size, key, value)
    return _header(b"pax", kind=kind, size=_octal(len(body))) + _blocks(body)


def _refused(data: bytes, why: str) -> str:
    with pytest.raises(DamageError) as caught:
        members_of(data)
    assert why in caught.value.message
    assert caught.value.exit_code == 4
    return caught.value.message


def test_the_sample_is_read() -> None:
    """What the tests below damage is whole."""
    assert [one.entry.path for one in members_of(_SAMPLE)] == [
        *(b"folder", b"folder/file", b"link", "ä".encode(), b"zeros", b"second")
    ]


def test_a_cut_anywhere_is_noticed() -> None:
    """Whatever is missing, down to the second of the two empty blocks at the end."""
    end = len(_SAMPLE.rstrip(b"\0"))
    end += -end % 512 + 1024
    assert members_of(_SAMPLE[:end]) == members_of(_SAMPLE)
    for cut in [*range(0, end, 37), *range(0, end, 512), end - 1]:
        with pytest.raises(DamageError):
            members_of(_SAMPLE[:cut])


def test_the_message_names_member_and_place() -> None:
    """A person can find what is damaged, and knows what to do."""
    with pytest.raises(DamageError) as caught:
        members_of(_SAMPLE[: 2 * 512 + 100])
    assert caught.value.message == (
        "the archive is damaged at folder/file, byte 1124 of the tar: "
        "it is cut off, 600 bytes are missing here"
    )
    assert caught.value.hint
    _refused(b"", "at the first member, byte 0 of the tar: it is cut off: the two empty blocks")


def test_every_flipped_bit_of_a_header_is_noticed() -> None:
    """A plain header has a sum over all of it; only blanks and zeros around the sum may differ."""
    whole = members_of(_SAMPLE)
    for at in headers_of(_SAMPLE):
        for bit in range(0, 512 * 8, 7):
            data = bytearray(_SAMPLE)
            data[at + bit // 8] ^= 1 << (bit % 8)
            try:
                found: list[Seen] | None = members_of(bytes(data))
            except DamageError:
                found = None
            assert found in (None, whole)


@given(data=st.data())
@settings(max_examples=150)
def test_random_damage_never_does_anything_else(data: st.DataObject) -> None:
    """Any bytes give members or damage, and no other error."""
    damaged = bytearray(_SAMPLE)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        piece = data.draw(st.binary(min_size=1, max_size=20))
        damaged[at : at + len(piece)] = piece
    for header in range(0, len(damaged) - 511, 512):  # so that it is read on behind the sum
        block = damaged[header : header + 512]
        if block[257:262] == b"ustar":
            block[148:156] = b" " * 8
            damaged[header + 148 : header + 156] = b"%06o\0 " % sum_of(bytes(block))
    try:
        members_of(bytes(damaged))
    except DamageError:
        pass
    except MemoryError:
        pytest.fail("it believed a size")


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (_header(size=b"-0000000001\0"), "its size is no number"),
        (_header(size=b"0000000000x\0"), "its size is no number"),
        (_header(size=b"00000000008\0"), "its size is no number"),
        (_header(size=b"0_000000001\0"), "its size is no number"),
        (_header(size=b"\xff" * 12), "its size is negative: -1"),
        (_header(size=b"\x80\x01" + bytes(10)), "its size is out of range"),
        (_header(uid=b"\xff" * 8), "its owner is negative"),
        (_header(uid=b"\x80\0\0\0\xff\xff\xff\xff"), "its owner is out of range: 4294967295"),
        (_header(mtime=b"\x80\x00\x00\x01" + bytes(8)), "its time is out of range"),
        (_header(kind=b"3", device=b"\x80\0\0\x01\0\0\0\0"), "device number is out of range"),
        (_header(name=b""), "it has no name"),
        (_header(name=b"."), "it has no name"),
        (_header(kind=b"1"), "a hard link that leads nowhere"),
        (_header(kind=b"9"), "a member of type b'9' is not known"),
        (_header(kind=b"M"), "a member of type b'M' is not known"),
        (_header(kind=b"2", size=_octal(5)), "a member of type b'2' cannot have 5 bytes"),
        (_header(kind=b"5", size=_octal(5)), "a member of type b'5' cannot have 5 bytes"),
        (_header(size=_octal(10**9)), "it is cut off, 999998976 bytes are missing here"),
        (_header(kind=b"L", size=_octal(MOST_EXTENDED + 1)), "is larger than any can be"),
        (_header(kind=b"x", size=_octal(MOST_EXTENDED + 1)), "is larger than any can be"),
        (_header(kind=b"S"), "in a header that is not GNU's"),
    ],
)
def test_a_header_that_lies(header: bytes, why: str) -> None:
    """Each is told with the name it goes by, and nothing is believed."""
    _refused(header + _END, why)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"garbage", "begins without a length"),
        (b"13 path=abc\n", "does not end where it says"),
        (b"0 path=abc\n", "does not end where it says"),
        (b"999 path=abc\n", "does not end where it says"),
        (b"9 pathabc\n", "does not end where it says"),
        (b"7 =abc\n", "does not end where it says"),
        (b"11 path=abcX", "does not end where it says"),
        (b"99999999999 path=a\n", "begins without a length"),
    ],
)
def test_records_that_do_not_parse(body: bytes, why: str) -> None:
    """The length of a record decides where the next begins, so it must be right."""
    _refused(_header(kind=b"x", size=_octal(len(body))) + _blocks(body) + _header() + _END, why)


@pytest.mark.parametrize(
    ("records", "why"),
    [
        ([(b"size", b"-1")], "the record size is no number"),
        ([(b"size", b"1e3")], "the record size is no number"),
        ([(b"size", b"9" * 20)], "its size is out of range"),
        ([(b"uid", b"%d" % (MOST_ID + 1))], "its owner is out of range"),
        ([(b"mtime", b"nan")], "the record mtime is no time"),
        ([(b"mtime", b"1" * 20)], "its time is out of range"),
        ([(b"mtime", b"-99999999999.5")], "its time is out of range"),
        ([(b"size", b"600")], "it is cut off, 88 bytes"),
        ([(b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0")], "format that is not known"),
        ([(b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"0,5,")], "not come in pairs"),
        ([(b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"0,x")], "that is no number"),
        ([(b"GNU.sparse.size", b"10"), (b"GNU.sparse.map", b"0,-1")], "that is no number"),
        ([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"5,2,4,2")], "not in order"),
        ([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0,0,10,0")], "does not fit"),
        ([(b"GNU.sparse.size", b"9"), (b"GNU.sparse.map", b"0," + b"9" * 20)], "out of range"),
    ],
)
def test_records_that_lie(records: list[tuple[bytes, bytes]], why: str) -> None:
    """Numbers out of range, maps that overlap, lead beyond the end or do not fit."""
    data = _pax(*records) + _header(size=_octal(0)) + _END[:512]
    message = _refused(data if "cut off" in why else data + _END, why)
    assert "victim" in message


def _sparse_1_0(body: bytes, real: bytes = b"100000") -> bytes:
    records = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0")]
    records += [(b"GNU.sparse.name", b"victim"), (b"GNU.sparse.realsize", real)]
    header = _header(b"GNUSparseFile.0/victim", size=_octal(len(body)))
    return _pax(*records) + header + _blocks(body) + _END


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "does not end"),
        (b"1\n0\n\n".ljust(512, b"\0"), "that is no number"),
        (b"9999999999\n".ljust(512, b"\0"), "number of parts is out of range"),
        (b"1" * 512, "does not end"),
        (b"2\n600\n1\n0\n1\n".ljust(512, b"\0") + b"ab", "not in order"),
        (b"1\n0\n3\n".ljust(512, b"\0") + b"ab", "does not fit its size"),
        (b"1\n99999\n2\n".ljust(512, b"\0") + b"ab", "does not fit its size"),
        (b"1\n0\n1".ljust(400, b"\n"), "does not end"),
    ],
)
def test_maps_of_sparse_files_that_lie(body: bytes, why: str) -> None:
    """The map decides where bytes go, so all of it is looked at before any of them."""
    assert "victim" in _refused(_sparse_1_0(body), why)


def test_old_sparse_files_that_lie() -> None:
    """GNU's old map in the header is held to the same."""
    parts = b"%011o\0%011o\0" % (512, 512) + b"%011o\0%011o\0" % (0, 512)
    sized = bytes(41) + parts.ljust(96, b"\0") + b"\0" + _octal(2048)
    overlapping = _header(kind=b"S", magic=b"ustar  \0", size=_octal(1024), tail=sized)
    _refused(overlapping + bytes(1024) + _END, "not in order")


def test_headers_for_all_members_may_not_rename_them() -> None:
    """A global header sets what may be common to all, and what names or measures is not."""
    for key in (b"path", b"linkpath", b"size", b"GNU.sparse.map"):
        data = _pax((key, b"1"), kind=b"g") + _header() + _END
        _refused(data, f"a header for all members sets their {key.decode()}")
    common = _pax((b"comment", b"a commit"), (b"uname", b"all"), kind=b"g")
    own = _pax((b"uname", b"own"))
    found = members_of(common + _header(b"a") + own + _header(b"b") + _header(b"c") + _END)
    assert [one.entry.user for one in found] == [b"all", b"own", b"all"]


def test_extended_headers_cannot_pile_up() -> None:
    """One of a kind for a member, and an end of those for all: memory is bounded."""
    twice = _pax((b"comment", b"1")) * 2
    _refused(twice + _header() + _END, "two extended headers of one kind")
    large = _pax((b"comment", b"x" * (MOST_EXTENDED // 2)), kind=b"g") + _header()
    _refused(large * 3 + _END, "the headers for all members are larger")
    _refused(_pax((b"comment", b"1")) + _END, "followed by no member")


def test_the_end_is_the_end() -> None:
    """Two empty blocks, then only zeros."""
    whole = _header() + _END
    assert len(members_of(whole + bytes(100_000))) == 1
    _refused(whole + bytes(5000) + b"x", "something stands behind its end")
    _refused(_header() + _END[:512], "one of the two empty blocks at its end is missing")
    _refused(_header() + _END[:512] + _header() + _END, "one of the two empty blocks")
    _refused(_header() + _END[:1000], "it is cut off")


def test_names_that_would_leave_the_target_stay_visible() -> None:
    """Whoever restores decides about them, so they are not made harmless on the way."""
    names = [b"/etc/passwd", b"../up", b"a/../../b", b".//etc", b"a//b", b"./././x", b"..", b"/"]
    found = members_of(b"".join(_header(name) for name in names) + _END)
    assert [one.entry.path for one in found] == [
        *(b"/etc/passwd", b"../up", b"a/../../b", b"/etc", b"a//b", b"x", b"..", b"/")
    ]
    link = members_of(_header(kind=b"1", link=b"/etc/shadow") + _END)
    assert link[0].entry.link == b"/etc/shadow"


def test_a_hard_link_brings_no_bytes_whatever_it_states() -> None:
    """Old programs state the size of the file; the next header follows at once."""
    data = _header(b"a", kind=b"1", link=b"b", size=_octal(5000)) + _header(b"c") + _END
    assert [(one.entry.path, one.data) for one in members_of(data)] == [(b"a", b""), (b"c", b"")]


def test_checksums_of_old_programs() -> None:
    """Some took the bytes of names for signed numbers."""
    block = bytearray(_header(b"\xe4\xf6\xfc"))
    block[148:156] = b" " * 8
    total = sum(struct.unpack("512b", bytes(block)))
    block[148:156] = b"%06o\0 " % total
    assert members_of(bytes(block) + _END)[0].entry.path == b"\xe4\xf6\xfc"


def test_bytes_are_there_while_it_is_their_turn() -> None:
    """A member that was passed by has none, and never those of the next one."""
    data = tar_of((thing(b"a", size=1000), b"a" * 1000), (thing(b"b", size=1000), b"b" * 1000))
    members = read_tar(Chunks(data, 100))
    first = next(members)
    pieces = first.pieces()
    next(pieces)
    second = next(members)
    late: list[Callable[[], object]] = [lambda: next(pieces), first.read]
    for use in late:
        with pytest.raises(ValueError, match="gone when the next one was asked for"):
            use()
    assert second.read() == b"b" * 1000
    with pytest.raises(ValueError, match="only once"):
        second.read()
    assert list(members) == []
