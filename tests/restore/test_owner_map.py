"""Giving what belonged to one user to another."""

from __future__ import annotations

import pytest

from strongroom.restore.files.owners import Owners, owner_map

HERE = {b"app": 1001, b"web": 1002}


def test_a_map_comes_before_names_and_numbers() -> None:
    """By name, by number, and all others; users and groups each by their own map."""
    users = owner_map([(b"old", b"app"), (b"70", b"web"), (b"+71", b"5")], HERE.get)
    groups = owner_map([(b"*", b"33")], HERE.get)
    owners = Owners("name", HERE.get, lambda _: None, users=users, groups=groups)
    assert owners.of(1, 1, b"old", b"any") == (1001, 33)
    assert owners.of(70, 1, b"", b"") == (1002, 33)
    assert owners.of(71, 1, b"unknown", b"") == (5, 33)
    assert owners.of(72, 1, b"app", b"") == (1001, 33)
    assert owners.of(73, 1, b"unknown", b"") == (73, 33)
    numeric = Owners("number", HERE.get, HERE.get, users=users)
    assert numeric.of(72, 9, b"app", b"app") == (72, 9)
    assert numeric.of(70, 9, b"app", b"app") == (1002, 9)


def test_the_first_pair_for_an_owner_counts() -> None:
    """As in the maps of tar."""
    users = owner_map([(b"a", b"1"), (b"a", b"2"), (b"*", b"3"), (b"*", b"4")], HERE.get)
    assert users.find(0, b"a") == 1
    assert users.find(0, b"b") == 3


def test_a_name_wins_over_a_number() -> None:
    """The name is what a person meant, the number may be another's here."""
    users = owner_map([(b"7", b"1"), (b"a", b"2")], HERE.get)
    assert users.find(7, b"a") == 2
    assert users.find(7, b"") == 1


@pytest.mark.parametrize("new", [b"nobody here", b"4294967295", b"99999999999"])
def test_a_new_owner_must_be_here(new: bytes) -> None:
    """A name that is unknown here, or a number that no user can have."""
    with pytest.raises(ValueError, match=new.decode()):
        owner_map([(b"a", new)], HERE.get)
