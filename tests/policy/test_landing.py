"""What may be restored into an environment."""

from __future__ import annotations

import pytest

from strongroom.errors import RefusedError
from strongroom.policy.landing import NOWHERE, Landing, refuse_origin, refuse_unconfirmed

pytestmark = pytest.mark.spec("C4", "E2")
DRILLS = Landing("dr-test", restore_from=("production",))


@pytest.mark.parametrize("origin", ["production", "dr-test"])
def test_its_own_data_and_that_of_those_it_names(origin: str) -> None:
    """What it has saved itself is no data of another environment."""
    refuse_origin(DRILLS, origin)


@pytest.mark.parametrize("origin", ["staging", "", "Production", "production "])
def test_no_other_data_comes_in(origin: str) -> None:
    """Neither that of another environment nor that of none; the error names the way."""
    with pytest.raises(RefusedError, match="takes the data of dr-test, production only") as error:
        refuse_origin(DRILLS, origin)
    assert "restore_from" in error.value.hint


def test_nothing_but_its_own() -> None:
    """An empty list lets nothing else in."""
    alone = Landing("x", restore_from=())
    refuse_origin(alone, "x")
    with pytest.raises(RefusedError, match="takes the data of x only"):
        refuse_origin(alone, "y")


@pytest.mark.parametrize("origin", ["", "staging"])
def test_without_restore_from_any_data_comes_in(origin: str) -> None:
    """Nothing is refused that nobody forbade."""
    refuse_origin(Landing("production", protected=True), origin)
    refuse_origin(NOWHERE, origin)


@pytest.mark.parametrize("typed", [None, "", "yes", "Production", "productio"])
def test_a_protected_one_wants_its_name(typed: str | None) -> None:
    """The whole name, and nothing else; the error says how to give it."""
    into = Landing("production", protected=True)
    with pytest.raises(RefusedError, match="'production' is protected") as error:
        refuse_unconfirmed(into, typed)
    assert "--confirm production" in error.value.hint
    refuse_unconfirmed(into, "production")
    refuse_unconfirmed(DRILLS, typed)
    refuse_unconfirmed(NOWHERE, typed)
