"""The people of the demo district: every role of the catalogue, at the places where the cases happen.

Names are put together by hand from common syllables; nobody in particular is meant.
"""

import msgspec

from geo.cells import Layer
from server.demo.district import DISTRICT

# One community a street or town in which most of the cases happen, with the unit its secretary leads from.
FOCUS = {
    f"{DISTRICT}002001": "C201-STATION",
    f"{DISTRICT}001004": "C104-STATION",
    f"{DISTRICT}003003": "C303-STATION",
    f"{DISTRICT}004004": "C404-STATION",
    f"{DISTRICT}005002": "C502-STATION",
    f"{DISTRICT}006002": "C602-STATION",
    f"{DISTRICT}101203": "V103-COMMITTEE",
    f"{DISTRICT}102202": "V202-COMMITTEE",
}
HOME = f"{DISTRICT}002001"  # 焊花: four workers, all of the households, most of the stories


class Person(msgspec.Struct, frozen=True):
    """An account: `grants` are (role, unit or None, cell or None), the first is what the person is shown as."""

    username: str
    name: str
    grants: tuple[tuple[str, str | None, str | None], ...]
    phone: str = ""  # the model of the phone or browser signed in with

    @property
    def role(self) -> str:
        return self.grants[0][0]


# role, unit, name: in the order in which the sign-in page offers them
_AT_UNITS = (
    ("community_leader", "C201-STATION", "秦玉梅"),
    ("community_leader", "C104-STATION", "段立新"),
    ("community_leader", "C303-STATION", "卫书兰"),
    ("community_leader", "C404-STATION", "贺长顺"),
    ("community_leader", "C502-STATION", "柏春燕"),
    ("community_leader", "C602-STATION", "纪明德"),
    ("community_leader", "V103-COMMITTEE", "牛保全"),
    ("community_leader", "V202-COMMITTEE", "郜满仓"),
    ("street_leader", "S2-CENTRE", "孟庆川"),
    ("street_leader", "S1-CENTRE", "侯静宜"),
    ("street_leader", "S3-CENTRE", "蔺国栋"),
    ("street_leader", "S4-CENTRE", "冉晓峰"),
    ("street_leader", "S5-CENTRE", "费玉珍"),
    ("street_leader", "S6-CENTRE", "苗宏图"),
    ("street_leader", "T1-CENTRE", "路振山"),
    ("street_leader", "T2-CENTRE", "党新民"),
    ("district_leader", "D-PARTY", "褚文渊"),
    ("clerk", "D-CENTRE", "温小满"),
    ("clerk", "D-CENTRE", "柯一诺"),
    ("dispatcher", "D-CENTRE", "詹慧敏"),
    ("dispatcher", "D-CENTRE", "应志强"),
    ("centre_director", "D-CENTRE", "邵怀远"),
    ("duty_officer", "D-CENTRE", "乔安澜"),
    ("community_officer", "C201-COMMITTEE", "尤佳音"),
    ("community_officer", "C602-COMMITTEE", "管晓东"),
    ("community_officer", "V202-COMMITTEE", "郜春生"),
    ("liaison", "C201-COMMITTEE", "凌云霞"),
    ("contact_cadre", "C201-STATION", "项前进"),
    ("supervisor", "C201-OVERSIGHT", "魏德厚"),
    ("four_officer", "D-FOUR", "聂正言"),
    ("counsellor", "D-COUNSEL", "阮心怡"),
    ("auditor", "D-CENTRE", "单明察"),
    ("data_officer", "D-CENTRE", "祁守信"),
    ("admin", "D-CENTRE", "匡慎行"),
    ("integration", "D-HOTLINE", "热线接口"),
)
# Heads of small offices who also mediate themselves.
_MEDIATORS = (
    ("D-MEDIATION", "尚和"),
    ("S2-MEDIATION", "康兰芬"),
    ("C201-MEDIATION", "鲁正祥"),
    ("S1-JUSTICE", "解永安"),
    ("S2-JUSTICE", "耿直"),
    ("S3-JUSTICE", "岳和平"),
    ("S4-JUSTICE", "明晓理"),
    ("S5-JUSTICE", "艾民"),
    ("S6-JUSTICE", "宁致和"),
    ("T1-JUSTICE", "房守义"),
    ("T2-JUSTICE", "石敬礼"),
)
# A manager and a handler each.
_OFFICES = (
    ("D-HOUSING", "屈建平", "葛磊"),
    ("D-LABOUR", "滕卫东", "符晓琳"),
    ("D-CIVIL", "井慧芳", "来福生"),
    ("D-URBAN", "储国梁", "车志远"),
)
_WORKERS = {
    HOME: ("陶晓芸", "邢大勇", "满春妮", "和秀丽"),
    f"{DISTRICT}001004": ("权小玲",),
    f"{DISTRICT}003003": ("翁桂花",),
    f"{DISTRICT}004004": ("冀海波",),
    f"{DISTRICT}005002": ("官明霞",),
    f"{DISTRICT}006002": ("茹向阳",),
    f"{DISTRICT}101203": ("牛彦军",),
    f"{DISTRICT}102202": ("郜石头", "安冬梅"),
}
_GRID_LEADERS = ((HOME, "池秋菊"), (f"{DISTRICT}102202", "郜铁成"))
_PHONES = ("红米 Note 8", "荣耀 畅玩 20", "OPPO A55", "vivo Y33s", "华为 畅享 10")


def people(layer: Layer) -> tuple[Person, ...]:
    """All accounts, the workers' cells taken from `layer`; the first of a role is the one the pages offer."""
    found = [*_workers(layer), *_leaders_of_grids(layer)]
    counts: dict[str, int] = {}
    offices = [("unit_manager", unit, head) for unit, head, _ in _OFFICES]
    offices += [("unit_handler", unit, handler) for unit, _, handler in _OFFICES]
    for role, unit, name in (*_AT_UNITS, *offices):
        counts[role] = counts.get(role, 0) + 1
        found.append(Person(_username(role, counts[role]), name, ((role, unit, None),)))
    for n, (unit, name) in enumerate(_MEDIATORS, start=1):
        grants = (("mediator", unit, None), ("unit_manager", unit, None))
        found.append(Person(_username("mediator", n), name, grants))
    return tuple(found)


def _username(role: str, n: int) -> str:
    return f"{role.replace('_', '-')}-{n}"


def _workers(layer: Layer) -> list[Person]:
    found: list[Person] = []
    for community, names in _WORKERS.items():
        cells = layer.cells_of(community)
        for n, name in enumerate(names):
            own = cells[n * len(cells) // len(names) : (n + 1) * len(cells) // len(names)]
            grants = tuple(("grid_worker", None, cell) for cell in own)
            number = len(found) + 1
            found.append(Person(_username("grid_worker", number), name, grants, _PHONES[number % 5]))
    helper = layer.cells_of(HOME)[0]
    found.append(Person("grid-assistant-1", "隋爱华", (("grid_assistant", None, helper),), _PHONES[0]))
    return found


def _leaders_of_grids(layer: Layer) -> list[Person]:
    return [
        Person(
            _username("grid_leader", n),
            name,
            tuple(("grid_leader", None, cell) for cell in layer.cells_of(community)),
            _PHONES[n],
        )
        for n, (community, name) in enumerate(_GRID_LEADERS, start=1)
    ]


def workers_of(crew: tuple[Person, ...]) -> dict[str, str]:
    """Cell -> the username of its worker."""
    return {
        cell: person.username
        for person in crew
        for role, _, cell in person.grants
        if role == "grid_worker" and cell is not None
    }
