"""The units of the demo district: one of each sort that handles, joins, watches or hands in."""

from __future__ import annotations

import msgspec

from geo.cells import Level
from server.demo.district import DISTRICT, DISTRICT_NAME, QUARTERS


class Unit(msgspec.Struct, frozen=True):
    """A unit as `units import` takes it: `type` is a unit type, `area` the code of the area it stands at."""

    code: str
    type: str
    name: str
    area: str
    level: int
    parent: str | None


# code, type, name: at the district, below its centre
_DISTRICT_UNITS = (
    ("D-PARTY", "party_committee", "涧东区委"),
    ("D-HOUSING", "department", "区住房和城乡建设局"),
    ("D-LABOUR", "department", "区人力资源和社会保障局"),
    ("D-CIVIL", "department", "区民政局"),
    ("D-URBAN", "department", "区城市管理局"),
    ("D-MEDIATION", "mediation_committee", "区人民调解委员会"),
    ("D-COURT", "court_station", "涧东区人民法院诉讼服务站"),
    ("D-PETITION", "petition_office", "区信访局"),
    ("D-HOTLINE", "hotline", "12345政务服务热线"),
    ("D-LEGALAID", "legal_aid", "区法律援助中心"),
    ("D-FOUR", "four_officer_team", "区四官服务队"),
    ("D-WOMEN", "womens_federation", "区妇联"),
    ("D-COUNSEL", "counselling", "区心理服务站"),
)

# code, type, name, area within the district, code of the unit above
_LOCAL_UNITS = (
    ("S2-PARTY", "party_committee", "工运街道党工委", "002", "D-PARTY"),
    ("S2-POLICE", "police_station", "工运派出所", "002", "S2-CENTRE"),
    ("S2-MEDIATION", "mediation_committee", "工运街道人民调解委员会", "002", "S2-CENTRE"),
    ("S4-POLICE", "police_station", "北岸派出所", "004", "S4-CENTRE"),
    ("C104-STATION", "community_station", "安平社区综治工作站", "001004", "S1-CENTRE"),
    ("C303-STATION", "community_station", "书院社区综治工作站", "003003", "S3-CENTRE"),
    ("C404-STATION", "community_station", "站前社区综治工作站", "004004", "S4-CENTRE"),
    ("C502-STATION", "community_station", "梧桐社区综治工作站", "005002", "S5-CENTRE"),
    ("V103-COMMITTEE", "villagers_committee", "柳林村村民委员会", "101203", "T1-CENTRE"),
    ("C201-STATION", "community_station", "焊花社区综治工作站", "002001", "S2-CENTRE"),
    ("C201-COMMITTEE", "residents_committee", "焊花社区居民委员会", "002001", "C201-STATION"),
    ("C201-OVERSIGHT", "oversight_committee", "焊花社区居务监督委员会", "002001", "C201-STATION"),
    ("C201-MEDIATION", "mediation_committee", "焊花社区人民调解委员会", "002001", "C201-STATION"),
    ("C201-PROPERTY", "property_company", "安家物业服务有限公司", "002001", "C201-STATION"),
    ("C201-OWNERS", "owners_committee", "电焊条厂家属院业主委员会", "002001", "C201-STATION"),
    ("C602-STATION", "community_station", "医学路社区综治工作站", "006002", "S6-CENTRE"),
    ("C602-COMMITTEE", "residents_committee", "医学路社区居民委员会", "006002", "C602-STATION"),
    ("C602-HOSPITAL", "employer", "涧东区人民医院", "006002", "C602-STATION"),
    ("V202-COMMITTEE", "villagers_committee", "后沟村村民委员会", "102202", "T2-CENTRE"),
)


def units() -> tuple[Unit, ...]:
    """49 units; a parent always stands before its children."""
    centre = Unit("D-CENTRE", "district_centre", f"{DISTRICT_NAME}综治中心", DISTRICT, Level.DISTRICT, None)
    found = [centre]
    found += [
        Unit(code, sort, name, DISTRICT, Level.DISTRICT, centre.code) for code, sort, name in _DISTRICT_UNITS
    ]
    for quarter in QUARTERS:
        short = f"{'T' if quarter.rural else 'S'}{int(quarter.code) % 100}"
        area = f"{DISTRICT}{quarter.code}"
        own = Unit(
            f"{short}-CENTRE", "street_centre", f"{quarter.name}综治中心", area, Level.STREET, centre.code
        )
        place = quarter.name.removesuffix("街道").removesuffix("镇")
        found += [
            own,
            Unit(f"{short}-JUSTICE", "justice_office", f"{place}司法所", area, Level.STREET, own.code),
        ]
    for code, sort, name, within, parent in _LOCAL_UNITS:
        level = Level.STREET if len(within) == 3 else Level.COMMUNITY
        found.append(Unit(code, sort, name, f"{DISTRICT}{within}", level, parent))
    return tuple(found)
