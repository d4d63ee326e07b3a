"""An act while it is being worked out: what is known, and what it has brought about so far."""

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sync.cases.acts import (
    Act,
    ActError,
    Actor,
    CaseFacts,
    ClockEvent,
    Directive,
    Done,
    EntryDraft,
    Name,
    NoticeDraft,
    TaskDraft,
)
from sync.cases.catalogue import ENTRY_TYPES

DAY_MS: Final = 86_400_000
# After these days the parties are asked whether it holds; sooner and oftener where somebody is in danger.
FOLLOW_UP_DAYS: Final = (7, 30, 90)
PROTECTIVE_FOLLOW_UP_DAYS: Final = (1, 3, 7, 30)


@dataclass(slots=True)
class Acting:
    """One act on one case. Effects only add to it; the case itself is never touched.

    `status` is where the case goes; `event_args` go into the event the act's row names.
    """

    case: Mapping[str, Any]
    rule: Act
    args: Mapping[str, Any]
    actor: Actor
    facts: CaseFacts
    now: int
    status: str
    set: dict[str, Any] = field(default_factory=dict)
    track: dict[str, Any] = field(default_factory=dict)
    entries: list[EntryDraft] = field(default_factory=list)
    directives: list[Directive] = field(default_factory=list)
    events: list[ClockEvent] = field(default_factory=list)
    tasks: list[TaskDraft] = field(default_factory=list)
    close_tasks: list[str] = field(default_factory=list)
    tell: list[NoticeDraft] = field(default_factory=list)
    event_args: dict[str, Any] = field(default_factory=dict)
    silent: bool = False

    # -- reading --------------------------------------------------------------------------------

    def value(self, name: str) -> Any:
        """A field of the case as it stands after what the act has set so far."""
        return self.set[name] if name in self.set else self.case.get(name)

    @property
    def handler(self) -> dict[str, Any]:
        return dict(self.value("handler") or {})

    def list_of(self, name: str) -> list[Any]:
        """A list in `track`, ready to be added to."""
        found = self.track.setdefault(name, [])
        assert isinstance(found, list)  # noqa: S101 - only effects write `track`
        return found

    # -- adding ---------------------------------------------------------------------------------

    def event(self, kind: str, **args: Any) -> None:
        self.events.append(
            ClockEvent(kind, {name: value for name, value in args.items() if value is not None})
        )

    def entry(self, kind: str, body: Mapping[str, Any]) -> None:
        """An entry that the act implies, unless it rides along already."""
        given = self.args.get("entry")
        if given is not None and given["type"] == kind:
            return
        kept = {name: value for name, value in body.items() if value is not None}
        self.entries.append(EntryDraft(kind, kept, ENTRY_TYPES[kind].class_))

    def worked(self, user: str | None) -> None:
        """Remember whose work a later verification judges."""
        workers = self.list_of("workers")
        if user and user not in workers:
            workers.append(user)

    def notify(self, user: str | None, code: str, **args: Any) -> None:
        """A notice, but never to oneself, to nobody, or to somebody who may not know of the case."""
        if user and user != self.actor.user and user not in (self.value("recused") or ()):
            self.tell.append(NoticeDraft(user, "case", code, {"case_id": self.case.get("id"), **args}))

    def name_if_sealed(self, users: Iterable[str]) -> None:
        """To a sealed case only named persons come; being given it is being named."""
        if self.value("protection") == "sealed":
            self.directives.extend(Name(user) for user in users)

    def done(self) -> Done:
        if self.rule.event and not self.silent:
            self.events.insert(0, ClockEvent(self.rule.event, dict(self.event_args)))
        given = self.args.get("entry")
        if given is not None:
            draft = EntryDraft(
                given["type"], dict(given["body"]), ENTRY_TYPES[given["type"]].class_, given.get("id")
            )
            self.entries.insert(0, draft)
        if self.status != self.case.get("status"):
            self.set["status"] = self.status
        if self.track != (self.case.get("track") or {}):
            self.set["track"] = self.track
        return Done(
            dict(self.set),
            tuple(self.entries),
            tuple(self.directives),
            tuple(self.events),
            tuple(self.tasks),
            tuple(dict.fromkeys(self.close_tasks)),
            tuple(self.tell),
        )


Effect = Callable[[Acting], None]
Guard = Callable[[Mapping[str, Any], Actor], ActError | None]
"""Why this person cannot do an act on this case, whatever is given with it; None: he can."""


def begin_acting(
    case: Mapping[str, Any], rule: Act, args: Mapping[str, Any], actor: Actor, facts: CaseFacts, now: int
) -> Acting:
    status = str(case.get("status")) if rule.to == "same" else rule.to
    track = copy.deepcopy(dict(case.get("track") or {}))
    return Acting(case, rule, args, actor, facts, now, status, track=track)


def protective(case: Mapping[str, Any]) -> bool:
    """Somebody may be in danger at home: shorter follow-up, in words that give no pretext.

    Asked of the plan of tasks and by the clocks alike.
    """
    return (
        case.get("protection") == "sealed"
        or case.get("category") in {"0106", "1402"}
        or "domestic" in (case.get("signals") or ())
        or any(party.get("is_minor") for party in case.get("parties") or ())
    )


def follow_up_tasks(acting: Acting, text: str = "回访") -> None:
    """One task for each round of the plan, at the case's cell."""
    careful = protective({**acting.case, **acting.set})
    days = PROTECTIVE_FOLLOW_UP_DAYS if careful else FOLLOW_UP_DAYS
    for day in days:
        due = acting.now + day * DAY_MS
        acting.tasks.append(
            TaskDraft("follow_up", True, "grid_worker", None, due, "日常走访" if careful else text)
        )


def tell_back_task(acting: Acting, text: str) -> None:
    """The one who told hears the result, unless nobody knows who it was."""
    if not acting.case.get("is_anonymous"):
        author = acting.case.get("author")
        acting.tasks.append(
            TaskDraft("tell_back", True, "grid_worker", str(author) if author else None, None, text)
        )
