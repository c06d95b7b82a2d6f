"""The one function that says whether a repository is in order, called after every fault.

I1 every acknowledged snapshot restores bit for bit; I2 ``verify --read-data`` reports no damage;
I3 the next backup works without help and stores no chunk again that it may rely on; I5 nothing
unacknowledged is listed. (I4, what two collections leave, comes with the collector; I6 is about
commands and is checked where commands run.)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tests.support.kit import Kit

Files = Mapping[bytes, bytes]


def check_invariants(
    kit: Kit, acknowledged: Mapping[str, Files], in_doubt: Collection[str] = ()
) -> None:
    """Check a repository after a fault.

    ``acknowledged``: id of each snapshot whose backup reported success, with its files.
    ``in_doubt``: ids whose backup was stopped in the very moment of its commit; such a snapshot may
    be listed, and is then held to the same promises, or not.
    """
    listed = {snapshot.id for snapshot in kit.snapshots()}
    assert set(acknowledged) <= listed, "I1: an acknowledged snapshot is not listed"
    assert listed <= set(acknowledged) | set(in_doubt), "I5: something unacknowledged is listed"
    for snapshot_id, files in acknowledged.items():
        result, restored = kit.restore(snapshot_id)
        assert not result.damaged, "I1: a restore reports damage"
        assert restored == dict(files), "I1: a snapshot restored other bytes"
    found = kit.verify()
    assert found.damage == [], "I2: verify reports damage"
    latest: Files = list(acknowledged.values())[-1] if acknowledged else {b"a": b"first"}
    before = kit.backup(latest)
    after = kit.backup(latest)
    assert before.problems == [], "I3: the next backup has problems"
    assert after.written.chunks == 0, "I3: a backup stored chunks that were there"
    if acknowledged:
        assert before.written.plain_bytes <= _tree_bytes(latest), "I3: data was stored again"


def _tree_bytes(files: Files) -> int:
    """More than the tree of these files can take, and less than their bytes in our tests."""
    return 4096 + 300 * len(files)
