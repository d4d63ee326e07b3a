"""380 homes of one community, what care they need, and the visits of a year."""

from typing import Any

import msgspec

from server.demo.captures import PLANT, World, phone_number
from server.demo.people import HOME
from server.demo.stage import DAY, HOUR, MINUTE, Script, Stage
from server.demo.way import day_text
from sync.cases.catalogue import CARE
from sync.homes_work import add_households, open_visits
from sync.values import Collection

HOMES = 380
# Which care, and in how many homes of a thousand. A home may have two.
_CARE = {
    "C01": 34,
    "C02": 58,
    "C03": 13,
    "C04": 5,
    "C05": 21,
    "C06": 8,
    "C07": 39,
    "C08": 18,
    "C09": 26,
    "C10": 3,
    "C11": 13,
    "C12": 16,
    "C13": 24,
    "C14": 5,
    "C15": 18,
    "C16": 32,
    "C17": 29,
    "C18": 24,
    "C19": 5,
}
_GROUND = {"b": "待遇认定", "c": "本人同意", "d": "关爱职责"}
_NAMES = "赵钱孙李周吴郑王冯陈褚卫蒋沈韩杨朱秦尤许何吕施张孔曹严华金魏陶姜"
_GIVEN = (
    "秀兰",
    "建国",
    "桂英",
    "志明",
    "玉珍",
    "海燕",
    "永强",
    "淑芬",
    "德胜",
    "丽娟",
    "金锁",
    "翠萍",
    "国庆",
    "春梅",
)
_HINTS = (
    "耳背,请大声",
    "楼道灯暗,带手电",
    "有狗,先打电话",
    "上午去透析,下午在家",
    "子女周末回来",
    "腿脚慢,多等一会儿",
)
_PREFERRED = ("上午九点后", "下午三点后", "先打电话", "周末在家", "傍晚六点后")
_NOTES = (
    "身体还好,血压药按时吃。",
    "说起孙子考学的事,精神不错。",
    "家里冰箱不制冷,答应帮问维修电话。",
    "提醒了煤气阀门,窗户留缝。",
    "想参加助餐,已登记。",
    "反映楼道灯坏,转了维修。",
    "帮忙交了电费。",
    "老人说最近睡得不好,建议去社区医院看看。",
    "邻居常来陪坐,情况平稳。",
    "讲了防骗的事,给了反诈宣传页。",
)
_TOPICS = ("身体", "用药", "用电用气", "防骗", "医保缴费", "助餐", "邻里")


class Home(msgspec.Struct, frozen=True):
    """A home of the demo as visits need it."""

    id: str
    cell: str
    care: tuple[str, ...]


class Homes:
    """The homes and who visits them."""

    def __init__(self, world: World, scale: float) -> None:
        self.world = world
        self.stage: Stage = world.stage
        self.rng = world.rng
        self.count = max(40, int(HOMES * scale))
        self.homes: list[Home] = []

    def begin(self, at: int) -> None:
        """Homes are taken over at an instant; visits follow week by week, and today's list."""
        self.stage.add(at, self._take_over())
        self.stage.add(self.stage.before(1.2), self._today())

    def _take_over(self) -> Script:
        rows = [self._row(n) for n in range(self.count)]
        self.stage.run(add_households(rows))
        self.homes = [
            Home(row["id"], row["cell"], tuple(care["code"] for care in row["care"])) for row in rows
        ]
        yield self.stage.office(self.stage.now + 5 * DAY)
        while True:
            self._week()
            yield self.stage.office(self.stage.now + 7 * DAY)

    # --- homes -------------------------------------------------------------------------------------------------------

    def _row(self, number: int) -> dict[str, Any]:
        """One home; every cell of the community has its share, the plant's dwellings most."""
        rng = self.rng
        cells = self.stage.layer.cells_of(HOME)
        cell = cells[-1] if number % 5 < 2 else cells[number % (len(cells) - 1)]
        place = self.world.scene(cell=cell)
        plant = place.compound == PLANT
        building, unit = str(rng.randint(1, 9)), str(rng.randint(1, 4))
        floor, door = rng.randint(1, 6), rng.randint(1, 2)
        care = self._care()
        vacant = not care and rng.random() < 0.06
        row: dict[str, Any] = {
            "id": self.stage.new_id(),
            "cell": cell,
            "compound": place.compound,
            "building": f"{building}号楼",
            "unit_no": f"{unit}单元",
            "floor": str(floor),
            "room": f"{floor}0{door}",
            "address_text": f"{place.compound}{building}号楼{unit}单元{floor}0{door}",
            "compound_kind": "bankrupt_unit" if plant else rng.choice(("commercial", "unit")),
            "property_service": "community" if plant else rng.choice(("company", "self")),
            "dwelling": "vacant" if vacant else rng.choices(("owned", "rented", "shop"), (80, 17, 3))[0],
            "persons_count": 0 if vacant else rng.choices((1, 2, 3, 4, 5), (16, 30, 30, 16, 8))[0],
            "care": care,
        }
        if not vacant:
            row |= {
                "contact_name": rng.choice(_NAMES) + rng.choice(_GIVEN),
                "contact_phone": phone_number(rng),
                "preferred": rng.choice(_PREFERRED),
                "consent": {"told_on": day_text(self.stage.now), "purpose": "走访联系"},
            }
        if care and rng.random() < 0.6:
            row["care_note"] = rng.choice(_HINTS)
            row["emergency_contact"] = f"{rng.choice(('儿子', '女儿', '侄子', '邻居'))} {phone_number(rng)}"
        return row

    def _care(self) -> list[dict[str, Any]]:
        found = []
        for code, share in _CARE.items():
            if self.rng.random() * 1000 < share:
                ground = CARE[code].grounds[0] if CARE[code].grounds else "c"
                since = day_text(self.stage.now - self.rng.randint(20, 900) * DAY)
                found.append({"code": code, "ground": ground, "ground_zh": _GROUND[ground], "from": since})
        return found[:2]

    # --- visits ------------------------------------------------------------------------------------------------------

    def _week(self) -> None:
        """Some of the homes that need it, visited by the worker of their cell and sent in one evening."""
        for worker in sorted(set(self.world.workers.values())):
            own = [home for home in self.homes if home.care and self.world.workers.get(home.cell) == worker]
            due = [home for home in own if self.rng.random() < self._chance(home)]
            if due:
                self.stage.push(worker, Collection.visits, *[self._visit(home) for home in due])

    @staticmethod
    def _chance(home: Home) -> float:
        days = min((CARE[code].cadence_days or 365 for code in home.care), default=365)
        return 0.55 if days <= 7 else 0.16 if days <= 30 else 0.05

    def _visit(self, home: Home, **more: Any) -> dict[str, Any]:
        rng = self.rng
        outcome = rng.choices(
            ("met", "met_relative", "by_phone", "neighbour_told", "not_home", "declined"), (70, 8, 8, 5, 8, 1)
        )[0]
        at = self.stage.now - rng.randrange(20, 300) * MINUTE
        visit: dict[str, Any] = {
            "id": self.stage.new_id(),
            "subject_kind": "household",
            "household_id": home.id,
            "at": at,
            "captured_at": at,
            "purpose": "care" if home.care else "routine",
            "outcome": outcome,
            "channel": "phone" if outcome == "by_phone" else "door",
        }
        if outcome in {"met", "met_relative", "by_phone"}:
            visit |= {"persons_met": 1, "topics": rng.sample(_TOPICS, 2), "notes": rng.choice(_NOTES)}
        return visit | more

    def _today(self) -> Script:
        """Six visits due today for one worker, one found not at home, one moved away."""
        own = [home for home in self.homes if self.world.workers.get(home.cell) == "grid-worker-4"]
        caring = [home for home in own if home.care]
        due = (caring + [home for home in own if not home.care])[:6]
        end = self.stage.until - self.stage.until % DAY + DAY + 2 * HOUR  # 18:00 in China or later, today
        self.stage.run(open_visits([home.id for home in due], due=end, window=day_text(self.stage.until)))
        away, moved = own[-1], own[-2]
        self.stage.push(
            "grid-worker-4",
            Collection.visits,
            self._visit(away, outcome="not_home", persons_met=None, notes="敲门无人,邻居说去女儿家了。"),
            self._visit(moved, outcome="moved", persons_met=None, notes="已搬走,新住户下周入住。"),
        )
        yield from ()
