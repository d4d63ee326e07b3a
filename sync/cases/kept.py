"""待核箱 in words: what an item is, why it is there, what can be done, and what its author is told; pure."""

from collections.abc import Mapping
from typing import Any, Final

from sync.cases.catalogue import TABLES
from sync.cases.fields import BY_NAME
from sync.cases.merge_rules import MERGED_FIELDS

FIELDS_REFUSED: Final = "fields_refused"
UNTOLD: Final = frozenset({"read_only"})  # a phone wrote it by mistake, nobody typed it
_WHAT: Final[Mapping[str, str]] = {
    "cases": "案件内容",
    "entries": "案件记录",
    "visits": "走访",
    "households": "住户信息",
    "tasks": "任务",
    "files": "附件",
    "notices": "通知",
    "cells": "网格",
}
_WRITABLE: Final = frozenset({"cases", "entries", "visits", "households", "files"})
_NOTHING_TO_WRITE: Final = frozenset({"deletion_wanted", "deleted_before_arrival"})
_CAN: Final[Mapping[str, str]] = {
    "apply": "再次提交",
    "merge": "以您的名义并入",
    "discard": "存查并写明理由",
}
_BECAME: Final[Mapping[str, str]] = {
    "applied": "现已写入",
    "merged": "现已由中心并入",
    "discarded": "中心看过后存查,未写入",
    "linked": "已找到所属案件并写入",
    "arrived": "应用更新后手机已重新交来",
    "erased": "已依规删除",
}
_LISTS: Final = frozenset({"parties", "union", "set"})


def acts_of(collection: str, reason: str, payload: Any) -> tuple[str, ...]:
    """What a person of the centre can do with an open item."""
    if reason == FIELDS_REFUSED:
        known = isinstance(payload, dict) and refused_fields(collection, payload)
        return ("apply", "merge", "discard") if known else ("discard",)
    doc = payload.get("new") if isinstance(payload, dict) else None
    if not isinstance(doc, dict) or "raw" in doc or not isinstance(doc.get("id"), str):
        return ("discard",)
    if collection not in _WRITABLE or reason in _NOTHING_TO_WRITE:
        return ("discard",)
    # An act is done by whoever may do it, not on somebody's behalf.
    return ("apply", "discard") if doc.get("type") == "act" else ("apply", "merge", "discard")


def refused_fields(collection: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Of refused values those of fields that there are: what an app of the future sent is kept, and no more."""
    return {name: value for name, value in payload.items() if name in MERGED_FIELDS[collection]}


def joined(collection: str, field: str, held: Any, given: Any) -> Any:
    """The value of a field with what is given: elements of a list join those that are there, by their id."""
    if MERGED_FIELDS[collection].get(field) not in _LISTS or not isinstance(given, list):
        return given
    found = list(held or ())
    for element in given:
        identity = element.get("id") if isinstance(element, dict) else None
        at = next(
            (n for n, e in enumerate(found) if identity and isinstance(e, dict) and e.get("id") == identity),
            None,
        )
        if at is not None:
            found[at] = {**found[at], **element}
        elif element not in found:
            found.append(element)
    return found


def is_phone_field(collection: str, name: str) -> bool:
    """Whether a correction may name this field."""
    field = BY_NAME[collection].get(name)
    return field is not None and field.owner == "phone" and name not in {"id", "w", "author", "device"}


# --- words -----------------------------------------------------------------------------------------------------------


def why(reason: str) -> str:
    """Why something was put aside, going on from "…交来的…"."""
    row = TABLES["kept_reasons"].get(reason)
    return "未能写入" if row is None else row.zh


def sentence(
    collection: str, reason: str, state: str, *, author: str | None, acts: tuple[str, ...] = ()
) -> str:
    """What it is, why it is here, and what can be done or has become of it."""
    begin = f"{author or '某人'}交来的{_WHAT[collection]}{why(reason)}"
    if state != "open":
        return f"{begin};{_BECAME.get(state, '已处理')}。"
    can = "、".join(_CAN[act] for act in acts)
    return f"{begin};可以{can}。" if can else f"{begin}。"


def told_author(collection: str, reason: str, state: str = "open") -> str:
    """The same for whoever wrote it."""
    begin = f"您交来的{_WHAT[collection]}{why(reason)}"
    if state == "open":
        return f"{begin};没有丢失,已转中心处理。"
    return f"{begin};{_BECAME.get(state, '已处理')}。"
