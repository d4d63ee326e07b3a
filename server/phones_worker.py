"""What simulated grid workers write down on a plausible day: disputes, requests, visits and notes, from a seed."""

import random
from collections.abc import Mapping
from typing import Any

import shapely
from msgspec import Struct
from shapely.geometry import shape

from geo.coordinates import convert_point
from geo.points import Crs

Document = dict[str, Any]

_DISPUTES = (
    ("楼上卫生间漏水", "三楼住户反映楼上卫生间漏水,天花板起皮,双方为维修费用争执。"),
    ("夜间噪声", "一楼棋牌室夜里营业,二楼老人睡不着,双方已争吵两次。"),
    ("公共楼道堆物", "楼道堆放旧家具,邻居出行不便,劝说后当事人不愿搬走。"),
    ("停车占位", "两家为地面车位争执,一方用地锁占位。"),
    ("物业费纠纷", "住户认为保洁不到位,拒交半年物业费,物业上门催收时争吵。"),
    ("宅基地滴水", "新建房檐滴水落到邻家院内,两家互不相让。"),
    ("婆媳口角", "儿媳与婆婆为带孩子的事争吵,邻居劝开。"),
    ("欠薪", "装修工人反映包工头拖欠三人工钱一个月。"),
)
_REQUESTS = (
    ("路灯不亮", "小区东门路灯连续三盏不亮,老人晚上出行不便。"),
    ("井盖破损", "人行道井盖开裂,已临时围挡。"),
    ("垃圾清运", "楼后垃圾两天没有清运。"),
    ("下水堵塞", "一单元下水管返水。"),
)
_NAMES = ("李", "王", "张", "刘", "陈", "杨", "赵", "黄")
_NOTES = (
    "电话联系,约定明天下午见面。",
    "双方已冷静,愿意坐下来谈。",
    "现场看过,确有其事。",
    "楼长帮忙做了工作。",
)
_OUTCOMES = ("met", "met_relative", "not_home", "neighbour_told")
_BORDER_DEGREES = 0.0001  # about 10 m: points for which every assignment must agree


class Ground(Struct, frozen=True):
    """A cell a worker walks in."""

    code: str
    shape: Any

    @classmethod
    def of(cls, cell: Mapping[str, Any]) -> "Ground | None":
        """From a document of the collection `cells`; None when it has no outline."""
        if not cell.get("geometry"):
            return None
        whole = shape(cell["geometry"])
        inner = whole.buffer(-_BORDER_DEGREES)
        return cls(cell["id"], whole if inner.is_empty else inner)

    def point(self, chance: random.Random) -> tuple[float, float]:
        """Somewhere in the cell, WGS-84 degrees."""
        west, south, east, north = self.shape.bounds
        for _ in range(50):
            lon, lat = chance.uniform(west, east), chance.uniform(south, north)
            if shapely.contains_xy(self.shape, lon, lat):
                return lon, lat
        inside = self.shape.representative_point()
        return inside.x, inside.y


def uuid7(chance: random.Random, now: int) -> str:
    """An id as a phone makes it: the time in ms, then chance."""
    number = (now << 80) | (7 << 76) | (chance.getrandbits(12) << 64) | (2 << 62) | chance.getrandbits(62)
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def location(chance: random.Random, ground: Ground) -> Document:
    """A fix in the cell, as phones of several makers would report it."""
    lon, lat = ground.point(chance)
    crs = chance.choice((Crs.WGS84, Crs.GCJ02, Crs.CGCS2000))
    lon, lat = convert_point(lon, lat, Crs.WGS84, crs)
    return {
        "lon": lon,
        "lat": lat,
        "crs": str(crs),
        "accuracy_m": round(chance.uniform(3, 30), 1),
        "confidence": 68,
        "source": "gps",
    }


def case(chance: random.Random, mark: str, now: int, ground: Ground | None) -> Document:
    """A dispute or a request; one in six disputes is settled on the spot. `mark` finds it again."""
    dispute = chance.random() < 0.7
    title, text = chance.choice(_DISPUTES if dispute else _REQUESTS)
    doc: Document = {
        "id": uuid7(chance, now),
        "kind": "dispute" if dispute else "request",
        "title": title,
        "description": text,
        "source_ref": mark,
        "captured_at": now,
    }
    if ground is not None:
        doc["location"] = location(chance, ground)
    if dispute:
        doc["parties"] = [
            {"id": f"p{number}", "role": "party", "alias": f"{chance.choice(_NAMES)}某"} for number in (1, 2)
        ]
        if chance.random() < 1 / 6:
            doc["on_spot"] = {"how": "当面劝和,双方各让一步。", "both_content": True}
    return doc


def case_edit(chance: random.Random) -> Document:
    """What a worker adds to a case later."""
    return chance.choice(
        (
            {"description": chance.choice(_DISPUTES)[1] + chance.choice(_NOTES)},
            {"people_count": chance.randint(2, 9)},
            {"wishes": "希望尽快有人来看。"},
            {"address": f"{chance.randint(1, 30)}号楼{chance.randint(1, 6)}单元"},
            {"urgency": "urgent"},
        )
    )


def visit(chance: random.Random, mark: str, now: int, household: str | None) -> Document:
    """A visit to a household of the worker's cells, or to a shop where no household is known."""
    subject = (
        {"subject_kind": "household", "household_id": household}
        if household is not None
        else {"subject_kind": "place"}
    )
    return {
        "id": uuid7(chance, now),
        **subject,
        "at": now,
        "place_text": mark,
        "purpose": chance.choice(("care", "routine", "screening", "safety")),
        "outcome": chance.choice(_OUTCOMES),
        "channel": "door",
        "notes": chance.choice(_NOTES),
        "captured_at": now,
    }


def entry(chance: random.Random, mark: str, now: int, case_id: str) -> Document:
    """A note or a call, written on a case."""
    text = f"{chance.choice(_NOTES)}({mark})"
    kind = "note" if chance.random() < 0.7 else "contact_attempt"
    body: Document = {"text": text} if kind == "note" else {"how": "phone", "reached": True, "text": text}
    return {"id": uuid7(chance, now), "case_id": case_id, "type": kind, "at": now, "body": body}
