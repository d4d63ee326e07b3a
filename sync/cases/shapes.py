"""What a value of a field may look like: the types that `fields.py` names, with their limits.

The structs are made from the catalogue's codes, so that one table decides what is valid here, in the published
schema and on the phone. Codes of tables to which a district may add (`x_…`) are plain strings here and looked up by
`model.py`, because a type cannot say "one of these, or own".
"""

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, UnsetType, defstruct

from sync.cases.catalogue import codes

UUID_PATTERN: Final = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
DAY_PATTERN: Final = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
CODE_PATTERN: Final = "^[A-Za-z0-9_]+$"
LATEST: Final = (
    253_402_300_799_999  # the last instant of the year 9999; a phone with a broken clock stays below
)

Id: Any = Annotated[str, Meta(pattern=UUID_PATTERN, max_length=36)]
Day: Any = Annotated[str, Meta(pattern=DAY_PATTERN, max_length=10)]
Time: Any = Annotated[int, Meta(ge=0, le=LATEST)]
Code: Any = Annotated[str, Meta(min_length=1, max_length=64, pattern=CODE_PATTERN)]
CellCode: Any = Annotated[str, Meta(min_length=1, max_length=64)]
Count: Any = Annotated[int, Meta(ge=0, le=1_000_000)]
Fen: Any = Annotated[int, Meta(ge=0, le=10**14)]
Sha256: Any = Annotated[str, Meta(pattern="^[0-9a-f]{64}$", max_length=64)]
Body: Any = dict[str, Any]


def text(limit: int) -> Any:
    """Text of at most `limit` characters."""
    return Annotated[str, Meta(max_length=limit)]


def rows(shape: Any, limit: int) -> Any:
    """A list of at most `limit` elements."""
    return Annotated[list[shape], Meta(max_length=limit)]


def one_of(table: str) -> Any:
    """One of the codes of a closed table of the catalogue."""
    return Literal[codes(table)]


def record(name: str, required: dict[str, Any], optional: dict[str, Any]) -> Any:
    """A struct that refuses unknown fields; an optional field may be absent or null."""
    return defstruct(
        name,
        [
            *required.items(),
            *((field, shape | None | UnsetType, UNSET) for field, shape in optional.items()),
        ],
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


Location: Any = record(
    "Location",
    {
        "lon": Annotated[float, Meta(ge=-180, le=180)],
        "lat": Annotated[float, Meta(ge=-90, le=90)],
        # required on purpose: a point without its coordinate system may lie half a kilometre off
        "crs": one_of("coordinate_systems"),
    },
    {
        "accuracy_m": Annotated[float, Meta(ge=0, le=1_000_000)],
        "confidence": Literal[68, 95],
        "source": one_of("location_sources"),
    },
)

PhoneClock: Any = record(
    "PhoneClock",
    {
        "monotonic": Annotated[float, Meta(ge=0, le=1 << 53)],
        "boot": Annotated[str, Meta(min_length=1, max_length=64)],
    },
    {},
)

SafeContact: Any = record(
    "SafeContact",
    {},
    {"who": text(100), "phone": text(40), "hours": text(100), "no_door": bool, "no_message": bool},
)

Consent: Any = record("Consent", {"answer": one_of("consents")}, {"on": Day})

PARTY_FIELDS: Final[dict[str, Any]] = {
    "role": one_of("party_roles"),
    "entity": one_of("party_entities"),
    "alias": text(100),
    "name": text(100),
    "phone": text(40),
    "id_number": text(40),
    "address": text(300),
    "sex": text(16),
    "age_band": text(16),
    "occupation": text(60),
    "household_id": Id,
    "cell": CellCode,
    "is_minor": bool,
    "lacks_capacity": bool,
    "represents": text(64) | rows(text(64), 50),
    "representative_id": text(64),
    "language": text(40),
    "needs_interpreter": bool,
    "needs_support": text(100) | rows(text(40), 10),
    "safe_contact": SafeContact | text(300),
    "consent_to_mediate": one_of("consents") | Consent,
    "organisation": text(200),
    "duty": text(100),
}
PARTY_ID: Any = Annotated[str, Meta(min_length=1, max_length=64)]
Party: Any = record("Party", {"id": PARTY_ID}, PARTY_FIELDS)

PARTY_SECRET: Final = frozenset({"id_number"})
"""Never leaves the server by sync."""
PARTY_PERSONAL: Final = frozenset({"name", "phone", "id_number", "address", "safe_contact"})
"""What the plain projection leaves out."""

OnSpot: Any = record(
    "OnSpot",
    {},
    {
        "how": text(2000),
        "agreement_text": text(4000),
        "both_content": bool,
        "look_back_on": Day,
        "present": text(500) | rows(text(100), 30),
    },
)

PriorChannel: Any = record(
    "PriorChannel",
    {"channel": Code},
    {"number": text(100), "stage": text(100), "ended_at": text(40) | Time, "final": bool},
)

Need: Any = record(
    "Need",
    {"code": Code},
    {
        "id": text(64),
        "text": text(2000),
        "state": one_of("need_states"),
        "case_id": Id,
        "files": rows(Id, 20),
    },
)
Promise: Any = record("Promise", {"text": text(1000)}, {"id": text(64), "due": Time | Day, "done_at": Time})
Answer: Any = record("Answer", {"matter_id": text(64)}, {"answer": text(100), "text": text(2000)})
PersonsMet: Any = Count | text(500) | rows(text(100), 50)
