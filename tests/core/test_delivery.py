"""A contract has no behaviour of its own: what it promises is checked by ``streamsink.testing.contract``."""

from __future__ import annotations

import pytest

from streamsink.core.delivery import ConnectInfo, Delivery, ListsMembers, ServesClients, Subscribes


@pytest.mark.parametrize("contract", [Delivery, ListsMembers, ServesClients, Subscribes])
def test_what_does_not_keep_the_contract_cannot_be_made(contract: type) -> None:
    with pytest.raises(TypeError, match="abstract"):
        contract()


def test_where_to_connect_is_a_value() -> None:
    assert ConnectInfo("https://host/client", "token") == ConnectInfo("https://host/client", "token")
