"""What taking the other value of a line of the ledger would write (修改对照); pure.

A line holds base, winner and loser of one field, of one field of a party, or of one element of a list. Taking the other
is an ordinary edit of whoever sits at the desk: it goes through the same shapes and the same rules as a phone's.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from sync.cases.lifecycle import kind_may_change
from sync.cases.merge_rules import MERGED_FIELDS, same
from sync.cases.model import checked

_FIXED_AT: Final = frozenset({"merged", "voided", "filed"})
_ENVELOPE: Final = frozenset({"id", "w", "author", "device"})
LOST_BASE: Final = "lost_base"
WRITTEN_ONCE: Final = "written_once"

RULES_ZH: Final[Mapping[str, str]] = {
    "later": "后到服务器的为准",
    "text": "文字不拼接,后到服务器的为准,先前的留存",
    "first": "只填一次,先填的为准",
    "urgency": "取紧急程度较高的",
    "raise_only": "保密等级只升不降",
    "raise_true": "此项一经勾选不因他人未勾选而取消",
    "location": "取定位较准的",
    "union": "同一条目两处都改了,后到服务器的为准",
    "parties": "同一当事人的同一项两处都改了,后到的为准;有改动的当事人不因他处删除而删除",
    "older_write": "同一部手机迟到的旧修改,不覆盖较新的",
    "same_batch": "同一批上传中先后改了两次,以后一次为准",
    "fixed": "案件已开始办理,类型不再更改",
    "written_once": "记录一经写成不再更改",
    "lost_base": "服务器恢复备份前曾有过的内容",
}


class Refusal(Struct, frozen=True):
    """Why the other value cannot be taken: `code` is fixed, gone, invalid or moved_on; a sentence for the person."""

    code: str
    zh: str


class Taken(Struct, frozen=True):
    """The fields that would be written, as a phone would send them; empty where the other value stands already."""

    fields: dict[str, Any]


def other_value(
    collection: str,
    held: Mapping[str, Any],
    field: str,
    rule: str,
    line: Mapping[str, Any],
    *,
    over: bool = False,
) -> Taken | Refusal:
    """What to write into the document `held` so that the loser of a line stands in it.

    `over` also overwrites what somebody has written since the line was made.
    """
    if collection == "cases" and held.get("status") in _FIXED_AT:
        return Refusal("fixed", "案件已并案、作废或归档,内容不再更改。")
    if rule == WRITTEN_ONCE:
        return Refusal("fixed", "记录一经写成不再更改;确有错误请用“更正”另记。")
    if field == "kind" and not kind_may_change(held):
        return Refusal("fixed", "案件已开始办理,类型不能再改。")
    if rule == LOST_BASE:
        found = _lost_base(collection, held, line)
    elif field.startswith("parties."):
        found = _of_party(held, field.removeprefix("parties."), line, over=over)
    elif rule == "union":
        found = _of_list(held, field, line, over=over)
    else:
        found = _whole(held, field, line, over=over)
    if isinstance(found, Refusal) or not found.fields:
        return found
    return _sound(collection, held, found)


def _sound(collection: str, held: Mapping[str, Any], wanted: Taken) -> Taken | Refusal:
    """The wanted fields in the shape that a push must have now: codes and shapes may have changed since."""
    rules = MERGED_FIELDS[collection]
    document = {name: held[name] for name in (*rules, "id") if name in held} | wanted.fields
    result = checked(collection, document)
    bad = {issue.field.partition(".")[0] for issue in result.issues} | result.rest.keys()
    if not result.usable or bad & wanted.fields.keys() or not wanted.fields.keys() <= rules.keys():
        return Refusal("invalid", "另一值现在已不合要求,不能采用。")
    return Taken({name: result.values.get(name) for name in wanted.fields})


def _moved_on() -> Refusal:
    return Refusal("moved_on", "这一项后来又改过;仍要采用另一值,请再次确认。")


def _whole(held: Mapping[str, Any], field: str, line: Mapping[str, Any], *, over: bool) -> Taken | Refusal:
    now, other = held.get(field), line.get("loser")
    if same(now, other):
        return Taken({})
    if not over and not same(now, line.get("winner")):
        return _moved_on()
    return Taken({field: other})


def _lost_base(collection: str, held: Mapping[str, Any], line: Mapping[str, Any]) -> Taken | Refusal:
    lost = line.get("base")
    fields = lost if isinstance(lost, dict) else {}
    owned = MERGED_FIELDS[collection].keys() - _ENVELOPE
    wanted = {
        name: value for name, value in fields.items() if name in owned and not same(value, held.get(name))
    }
    if "kind" in wanted and not kind_may_change(held):
        return Refusal("fixed", "案件已开始办理,类型不能再改。")
    return Taken(wanted)


def _of_party(held: Mapping[str, Any], path: str, line: Mapping[str, Any], *, over: bool) -> Taken | Refusal:
    parties = [dict(party) for party in held.get("parties") or ()]
    # The id may hold a dot: the longest that fits is meant.
    fitting = [p for p in parties if path == p["id"] or path.startswith(f"{p['id']}.")]
    party = max(fitting, key=lambda p: len(p["id"]), default=None)
    if party is None:
        return Refusal("gone", "这位当事人已不在案件中。")
    name = path[len(party["id"]) + 1 :]
    if not name:
        if not over and not same(party, line.get("winner")):
            return _moved_on()
        return Taken({"parties": [p for p in parties if p is not party]})
    now, other = party.get(name), line.get("loser")
    if same(now, other):
        return Taken({})
    if not over and not same(now, line.get("winner")):
        return _moved_on()
    party[name] = other
    return Taken({"parties": parties})


def _of_list(held: Mapping[str, Any], field: str, line: Mapping[str, Any], *, over: bool) -> Taken | Refusal:
    other = line.get("loser")
    wanted = other.get("id") if isinstance(other, dict) else None
    elements = list(held.get(field) or ())
    at = next((n for n, e in enumerate(elements) if isinstance(e, dict) and e.get("id") == wanted), None)
    if wanted is None or at is None:
        return Refusal("gone", "这一条目已不在案件中。")
    if same(elements[at], other):
        return Taken({})
    if not over and not same(elements[at], line.get("winner")):
        return _moved_on()
    return Taken({field: [*elements[:at], other, *elements[at + 1 :]]})
