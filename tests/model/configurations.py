"""The stores and processes that are searched, each as small as what it shows allows."""

from __future__ import annotations

from tests.model.configurations_damage import DAMAGE
from tests.model.configurations_more import DOMAINS, ORDERS, WAL, WEAKER_MODE
from tests.model.configurations_protocol import PROTOCOL
from tests.model.setups import Configuration

CONFIGURATIONS: dict[str, Configuration] = {
    **PROTOCOL,
    **ORDERS,
    **DAMAGE,
    **DOMAINS,
    **WAL,
    **WEAKER_MODE,
}
