"""What every story needs: its own words, and a case in the plant's dwellings."""

from typing import Any

from server.demo.captures import Told, World
from server.demo.people import HOME
from server.demo.way import Case


class Telling:
    """Tells stories for one stage; most of them happen in 焊花."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stage = world.stage
        self.rng = world.rng
        self.cells = self.stage.layer.cells_of(HOME)
        self.plant = self.cells[-1]

    def told(self, category: str, title: str, text: str, done: str = "双方达成一致。") -> Told:
        """A story's own words."""
        row = {"category": category, "title": title, "text": text, "done": done, "group": "story"}
        return self.world.tell(row, self.world.scene(cell=self.plant))

    def case(self, told: Told, cell: str | None = None, author: str | None = None, **more: Any) -> Case:
        """A case of a story, by default in the plant's dwellings."""
        scene = self.world.scene(cell=cell or self.plant, author=author)
        case = Case(self.world, told, scene, **more)
        case.slow_at = 99
        return case
