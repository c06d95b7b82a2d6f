"""Keys as text: what is written is read, and a slip of the pen is found in its group."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.crypto.keytext import GROUPS, KeyTextError, key_to_text, text_to_key
from tests.support.noise import noise

pytestmark = pytest.mark.spec("B1")

KEY = noise(32, "keytext")
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
keys = st.binary(min_size=32, max_size=32)


def test_the_text_of_a_key_never_changes() -> None:
    """What a person wrote down stays readable: 71 characters, the same for the same key."""
    assert key_to_text(bytes(range(32))) == (
        "AAAQEAZP-AQCQMBZM-BAEQUC6D-BQGQ4DZK-CAIREE6Y-CQKRMF63-DAMRUGZU-DQOR4HZG"
    )


@given(keys)
def test_a_key_survives_its_text(key: bytes) -> None:
    """Any key is read back from its text."""
    assert text_to_key(key_to_text(key)) == key


@given(keys)
def test_capitals_dashes_and_white_space_do_not_matter(key: bytes) -> None:
    """A text that is typed in small letters, in one piece or with other gaps is the same key."""
    text = key_to_text(key)
    letters = text.replace("-", "")
    assert text_to_key(text.lower()) == key
    assert text_to_key(letters) == key
    assert text_to_key(f"  {' '.join(letters)}\n") == key
    assert text_to_key(text.replace("-", "\t- ")) == key


def test_each_wrong_letter_is_found_in_its_group() -> None:
    """Every change of one letter to another is refused with the number of its group."""
    text = key_to_text(KEY)
    for place, right in enumerate(text):
        if right == "-":
            continue
        for wrong in set(ALPHABET) - {right}:
            with pytest.raises(KeyTextError, match=rf"group {place // 9 + 1}\b"):
                text_to_key(text[:place] + wrong + text[place + 1 :])


@pytest.mark.parametrize("wrong", "0189=!?ßé\u2013\x00")
def test_a_character_that_no_key_has_is_refused(wrong: str) -> None:
    """Anything but the 32 letters and digits is refused, wherever it stands."""
    text = key_to_text(KEY)
    for place in (0, 4, 30, 70):
        with pytest.raises(KeyTextError):
            text_to_key(text[:place] + wrong + text[place + 1 :])


def test_two_groups_that_changed_places_are_found() -> None:
    """Groups are numbered, so their order matters."""
    groups = key_to_text(KEY).split("-")
    for one, other in itertools.combinations(range(GROUPS), 2):
        swapped = list(groups)
        swapped[one], swapped[other] = groups[other], groups[one]
        with pytest.raises(KeyTextError, match=rf"group {one + 1}\b"):
            text_to_key("-".join(swapped))


@pytest.mark.parametrize("text", [key_to_text(KEY)[:-1], key_to_text(KEY) + "A", "", "-"])
def test_a_text_of_another_length_is_refused(text: str) -> None:
    """A missing or additional letter is said with the number that is needed."""
    with pytest.raises(KeyTextError, match="64 letters and digits are needed"):
        text_to_key(text)


@given(st.text(max_size=100))
def test_no_text_does_anything_but_be_read_or_refused(text: str) -> None:
    """Whatever is typed is a key, or a KeyTextError."""
    try:
        key = text_to_key(text)
    except KeyTextError:
        return
    assert len(key) == 32
