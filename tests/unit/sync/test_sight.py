"""The short way to what a plain row tells is the long way, or says that it does not know."""

from __future__ import annotations

import random

from sync.values import CLASSES, FOREVER, ClassInterval, Collection, Doc, Hold, Interval, Level, Named, Reach
from sync.visibility import Past, Relation, Sight, Viewer, by_tag

HEAD = 12


def _maybe(chance: random.Random, *values: int | None) -> int | None:
    return chance.choice(values)


def _row(chance: random.Random) -> Doc:
    collection = chance.choice(list(Collection))
    born = chance.randint(1, HEAD + 1)
    since = chance.randint(born, HEAD + 2)
    places = [_maybe(chance, None, 1, 2) for _ in range(4)]
    since_of = [None if tag is None else chance.choice([born, since]) for tag in places]
    return Doc(
        pk=7,
        collection=int(collection),
        id=bytes(16),
        seq=since,
        born=born,
        gone=_maybe(chance, None, None, None, since),
        v=born,
        cell=places[0],
        cell_since=since_of[0],
        duty=places[1],
        duty_since=since_of[1],
        person=places[2],
        person_since=since_of[2],
        author=places[3],
        author_since=chance.choice([None, since_of[3]]),
        klass=chance.randrange(len(CLASSES)),
        klass_since=chance.choice([born, since]),
        writer=_maybe(chance, None, 1),
        entry_class=_maybe(chance, None, 0, 1, 2),
        case_pk=_maybe(chance, None, 7, 8) if collection is not Collection.cases else None,
        link=None,
        own_since=None,
        history=False,
        w=None,
        device=None,
        digest=None,
        status=None,
        code=None,
        dek=None,
        clear=b"",
        sealed=None,
    )


def _viewer(chance: random.Random) -> Viewer:
    holds = [
        Hold(
            chance.randrange(4),
            chance.choice([1, 2]),
            low := chance.randint(0, HEAD),
            chance.choice([FOREVER, low + chance.randint(1, HEAD)]),
            chance.choice(list(Reach)),
            "role",
        )
        for _ in range(chance.randint(0, 5))
    ]
    namings = [
        Named(number, 1, chance.choice([7, 8]), chance.random() < 0.5, low := chance.randint(1, HEAD), None)
        for number in range(chance.choice([0, 0, 1]))
    ]
    return Viewer.of(1, by_tag(holds), namings)


def _past(chance: random.Random, doc: Doc) -> Past:
    """What a row may have behind it: everything in the past has ended by the head."""
    end = chance.randint(1, HEAD)
    places = (Interval(7, doc.collection, chance.randrange(4), chance.choice([1, 2]), 0, end),)
    classes = (ClassInterval(7, chance.randrange(len(CLASSES)), 0, min(end, doc.klass_since)),)
    return Past(places, classes) if chance.random() < 0.5 else Past()


def test_whatever_the_short_way_tells_the_long_way_tells_too() -> None:
    chance = random.Random(20)
    told = 0
    for _ in range(40_000):
        doc, viewer = _row(chance), _viewer(chance)
        seen = Sight(viewer, doc.collection, HEAD).level(doc)
        if seen != Level.none:
            told += 1
            assert seen == Relation(viewer, doc, _past(chance, doc)).level(HEAD), (doc, viewer)
    assert told > 2_000


def test_who_was_named_or_recused_is_left_to_the_long_way() -> None:
    chance = random.Random(21)
    met = 0
    for _ in range(20_000):
        doc, viewer = _row(chance), _viewer(chance)
        case = doc.pk if doc.collection == Collection.cases else doc.case_pk
        governed = doc.collection in {
            Collection.cases,
            Collection.tasks,
            Collection.entries,
            Collection.files,
        }
        if governed and case in viewer.namings:
            met += 1
            assert Sight(viewer, doc.collection, HEAD).level(doc) == Level.none
    assert met > 500
