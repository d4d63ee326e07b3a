"""One case on its way, and how the people of its desks act on it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from server.demo.captures import DISPUTES, Scene, Told, World, dispute, service
from server.demo.people import HOME
from server.demo.stage import Reached, Script
from sync.values import Collection

Flow = Callable[..., Script]


class Case:
    """One case on its way: who sits at which desk, and where it is to stay."""

    def __init__(
        self,
        world: World,
        told: Told,
        scene: Scene,
        *,
        stop: str | None = None,
        pace: float = 1.0,
        **more: Any,
    ) -> None:
        self.world = world
        self.stage = world.stage
        self.rng = world.rng
        self.told = told
        self.scene = scene
        self.stop = stop
        self.pace = pace
        self.more = more
        self.id = ""
        # A case about somebody at home, or about wrongdoing, is known to one clerk and the director alone.
        sealed = more.get("protection") == "sealed" or told.row["category"] in {"0106", "1402"}
        self.clerk = "clerk-1" if sealed else next(c for c in ("clerk-1", "clerk-2") if c != scene.author)
        self.dispatcher = "centre-director-1" if sealed else self.rng.choice(("dispatcher-1", "dispatcher-2"))
        self.unit = f"{scene.street}-JUSTICE"
        if scene.community == HOME and self.rng.random() < 0.5:
            self.unit = "C201-MEDIATION"
        # somewhere in the year something stays lying for a day or two
        self.slow_at = self.rng.randrange(60) if stop is None else 99
        self._steps = 0
        self.told_by_author = True  # until a person has placed the case elsewhere

    @property
    def mediator(self) -> str:
        """Who mediates at the unit the case is given to."""
        return self.world.mediators[self.unit]

    @property
    def handler(self) -> str:
        """Who handles requests at the unit whose duty this is."""
        return self.world.handlers[self.told.row["unit"]]

    def after(self, hours: float) -> int:
        """The next step's instant; now and then one that is too late."""
        self._steps += 1
        late = 12 if self._steps == self.slow_at else 0
        return self.stage.after(max(hours * self.pace, 0.05) + late)

    def act(self, who: str, act: str, **args: Any) -> None:
        """Do it; raises ``Reached`` when the case has come to where it is to stay."""
        answer = self.stage.act(who, self.id, act, **args)
        if answer.status == self.stop:
            raise Reached

    def note(self, who: str, kind: str, **body: Any) -> None:
        """An entry pushed from somebody's device."""
        entry = {
            "id": self.stage.new_id(),
            "case_id": self.id,
            "type": kind,
            "at": self.stage.now,
            "body": body,
        }
        self.stage.push(who, Collection.entries, entry)

    def capture(self, **more: Any) -> None:
        """Push the capture."""
        make = dispute if self.told.row.get("kind") is None else service
        document = make(self.stage, self.told, self.scene, **(self.more | more))
        self.id = document["id"]
        self.stage.push(self.scene.author, Collection.cases, document)
        if self.stop == "submitted":
            raise Reached

    def entry(self, kind: str, **body: Any) -> dict[str, Any]:
        """An entry that rides with an act."""
        return {"id": self.stage.new_id(), "type": kind, "body": body}

    def said(self, name: str) -> str:
        """One of the sentences of that sort."""
        return self.told.say(self.rng.choice(DISPUTES[name]))

    @property
    def done_text(self) -> str:
        """What it came to."""
        return self.told.say(self.told.row["done"])


def day_text(at: int) -> str:
    """The calendar day of an instant, in China's time."""
    return (datetime.fromtimestamp(at / 1000, UTC) + timedelta(hours=8)).date().isoformat()


def told_back(case: Case) -> None:
    """Whoever told hears the result, from the worker who wrote it down or from the window."""
    author = case.scene.author
    who = author if author.startswith(("grid-worker", "clerk")) and case.told_by_author else case.clerk
    case.act(
        who,
        "tell_back",
        how=case.said("how_told"),
        to=case.told.slots["a" if case.told.row.get("kind") else "b"],
    )
