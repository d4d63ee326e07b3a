"""Cases as a phone writes them, about 1.2 KB of UTF-8 each, drawn from a seed."""

import random
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec


def _words(text: str) -> list[str]:
    return text.split()


# Words enough that no two descriptions are alike: what is compressed must not be one sentence over and over.
_WHO = _words(
    "楼上住户 楼下住户 对门邻居 房东 租客 物业 商户 施工队 门卫 老人家属 养狗人家 业委会 快递站 停车场 小卖部"
)
_DID = _words(
    "渗水到厨房 夜里装修 堵住通道 拖欠租金 乱停电动车 占用绿地 私接电线 放高音喇叭 堆放杂物 "
    "晾晒滴水 争抢车位 不清垃圾 改动承重墙 损坏门禁 推搡争吵"
)
_THEN = _words(
    "已劝过两次 双方都在气头上 说要去法院 愿意当面谈 老人受了惊吓 电话打不通 拍了照片 社区来看过 "
    "上月也有一次 孩子不敢回家 要求赔偿 希望换人调解"
)
_WHEN = _words("昨天晚上 今天一早 上周三 前天下午 半个月前 雨后 放学时 凌晨两点 赶集那天 停水以后")
_WHERE = _words("三号院 五号楼 北门外 锅炉房旁 幼儿园门口 菜市场东侧 二单元 地下车库 老厂家属区 河堤边")
_SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
_NAMES = "建国秀英桂兰志强丽华海燕文斌小梅玉珍永胜春香国庆"
_EPOCH = 1_767_225_600_000  # 1 January 2026


class Maker:
    """Draws cases; `write ids` count up as a phone's do."""

    def __init__(self, seed: int, points: Sequence[tuple[float, float]]) -> None:
        self._random = random.Random(seed)
        self._points = points
        self._count = 0

    def identity(self) -> str:
        """A UUIDv7; the instant moves on by a few milliseconds a document."""
        self._count += 1
        value = (_EPOCH + self._count * 7) << 80 | 0x7 << 76 | self._random.getrandbits(12) << 64
        return str(uuid.UUID(int=value | 0b10 << 62 | self._random.getrandbits(62)))

    def write_id(self) -> str:
        """A write id of the form that the protocol asks for."""
        return f"{self._count}:{uuid.UUID(int=self._random.getrandbits(128), version=4)}"

    def text(self, size: int) -> str:
        """Sentences of at least `size` characters."""
        pick = self._random.choice
        parts: list[str] = []
        length = 0
        while length < size:
            sentence = (
                f"{pick(_WHEN)},{pick(_WHERE)}{pick(_WHO)}{self._random.randrange(2, 29)}号{pick(_DID)},"
                f"{pick(_THEN)}。"
            )
            parts.append(sentence)
            length += len(sentence)
        return "".join(parts)

    def case(self, point: tuple[float, float] | None = None) -> dict[str, Any]:
        """One capture at `point`, or at any of the maker's."""
        pick = self._random.choice
        lon, lat = point or pick(self._points)
        identity = self.identity()
        return {
            "id": identity,
            "kind": "dispute",
            "category": "0201",
            "title": f"{pick(_WHERE)}{pick(_WHO)}{pick(_DID)}",
            "description": self.text(165),
            "address": f"{pick(_WHERE)}{self._random.randrange(1, 30)}号",
            "location": {
                "lon": lon,
                "lat": lat,
                "crs": "wgs84",
                "accuracy_m": 8.0,
                "confidence": 68,
                "source": "gps",
            },
            "parties": [
                {
                    "id": "p1",
                    "role": "applicant",
                    "name": pick(_SURNAMES) + pick(_NAMES) + pick(_NAMES),
                    "phone": f"139{self._random.randrange(10**8):08d}",
                },
                {"id": "p2", "role": "respondent", "alias": f"{pick(_WHERE)}姓{pick(_SURNAMES)}的"},
            ],
            "people_count": 2,
            "urgency": "normal",
            "signals": [],
            "captured_at": _EPOCH + self._count * 1000,
            "w": self.write_id(),
        }

    def batches(self, count: int, size: int) -> Iterator[list[dict[str, Any]]]:
        """`count` cases in batches of `size`."""
        for start in range(0, count, size):
            yield [self.case() for _ in range(min(size, count - start))]


def push_body(cases: Sequence[dict[str, Any]]) -> bytes:
    """The body of a push of new captures."""
    return msgspec.json.encode([{"newDocumentState": case} for case in cases])
