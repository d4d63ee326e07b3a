"""When a pushed document was captured, worked out once, when it first arrives (CL2)."""

from collections.abc import Mapping
from typing import Any

import msgspec

from sync.cases.phone_clocks import Contact, estimate
from sync.facts import Facts

_decode = msgspec.json.Decoder(list[Contact]).decode


def contacts_in(text: str | None) -> list[Contact]:
    """The contacts of a device's row."""
    return _decode(text) if text else []


def timed(facts: Facts, values: Mapping[str, Any], field: str = "captured_at") -> dict[str, Any]:
    """CL2: the fields of the server beside what the phone's clock said in `field`; none where nothing is known."""
    captured = values.get(field)
    if not isinstance(captured, int):
        return {}
    found = estimate(captured, facts.contacts, facts.received, values.get("phone_clock"))
    if found is None:
        return {}
    told = {"captured_est": found.at, "captured_err": found.error, "clock_flag": found.flag}
    return {name: value for name, value in told.items() if value is not None}
