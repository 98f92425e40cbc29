"""A record says who sent it, and where it lies."""

import pytest

from guardian.domain.record import Place, Record


def record(*headers: tuple[str, bytes]) -> Record:
    return Record("log", 3, 7, b"{}", headers=headers)


@pytest.mark.parametrize("spelt", ["gateway", "Gateway", "GATEWAY"])
def test_a_header_is_found_however_it_is_spelt(spelt: str) -> None:
    assert record(("other", b"x"), (spelt, b"gw-7")).header("gateway") == "gw-7"
    assert record((spelt, b"gw-7")).sender == "gw-7"


def test_of_two_headers_with_one_name_the_first_counts() -> None:
    assert record(("Gateway", b"first"), ("gateway", b"second")).sender == "first"


@pytest.mark.parametrize("headers", [(), (("gateway", b""),), (("gateways", b"gw-7"),)])
def test_who_names_no_gateway_is_known_by_the_place(headers: tuple[tuple[str, bytes], ...]) -> None:
    assert record(*headers).header("gateway") is None
    assert record(*headers).sender == "log[3]"


def test_what_no_text_holds_is_replaced_and_what_is_long_is_cut() -> None:
    told = record(("gateway", b"\xff" * 999))
    assert told.header("gateway") == "\ufffd" * 513, "too long for a name, so that it is taken for no other"
    assert told.sender == "\ufffd" * 512


def test_a_place_reads_as_people_write_it() -> None:
    assert f"{Place('log', 3)}" == str(record().place) == "log[3]"
