"""Whether somebody who is recused from a case learned anything of it, on whatever way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.story.actors import COLLECTIONS, new_id

if TYPE_CHECKING:
    from tests.story.actors import Phone


class Secret:
    """A case that `hidden_from` must not know of. `words` are what would betray it: its text, numbers, ids."""

    def __init__(self, hidden_from: Phone, canary: str, case_id: str) -> None:
        self.person = hidden_from
        self.case_id = case_id
        self.words = {canary}

    def is_kept_everywhere(self) -> None:
        """Ask on every route the server has, with the case's own id where one is wanted; then look at all answers."""
        person = self.person
        person.pull()
        person.hello()
        for name in COLLECTIONS:
            person.post(f"/sync/v1/{name}/pull", {"checkpoint": None, "limit": 1000})
        asked_for = [self.case_id, new_id()]
        told = person.post("/sync/v1/cases/reconcile", {"epoch": 1, "ids": asked_for})
        assert sorted(told["gone"]) == sorted(asked_for)  # known and unknown alike
        person.heard.pop()  # his own question said back
        asked = 0
        for path, methods in person.get("/schema/openapi.json")["paths"].items():
            if path == "/sync/v1/stream":
                continue
            for method in methods:
                if method == "get" or "{case_id}" in path:
                    asked += 1
                    self._answers_as_for_an_unknown_case(method, path)
        assert asked > 10
        self._an_entry_waits_as_for_an_unknown_case()
        for words in self.words:
            person.get("/api/v1/cases", q=words)
        listed = person.get("/api/v1/cases", limit=200)["items"]
        assert {row["id"] for row in listed} == person.sees().keys()
        self.was_kept()

    def _answers_as_for_an_unknown_case(self, method: str, path: str) -> None:
        body = {"act": "acknowledge", "promise": 1} if method == "post" else None
        told = [
            self._comparable(self.person.raw(method, _filled(path, identity), body), identity)
            for identity in (self.case_id, new_id())
        ]
        assert told[0] == told[1], path

    def _an_entry_waits_as_for_an_unknown_case(self) -> None:
        answers = []
        for case_id in (self.case_id, new_id()):
            note = {
                "id": new_id(),
                "case_id": case_id,
                "type": "note",
                "at": 1,
                "body": {"text": "有这件事吗"},
            }
            (answer,) = self.person.post("/sync/v1/entries/push", [{"newDocumentState": note}])
            assert answer["case_id"] == case_id
            self.person.heard.pop()  # his own words said back
            own = {"id", "case_id", "v", "received_at", "w"}
            answers.append({name: value for name, value in answer.items() if name not in own})
        assert answers[0] == answers[1]

    def is_no_row_of_the_queue(self, row_id: str) -> None:
        """A row of the leaders' queue that was raised past this person answers as one that is not there."""
        self.words |= {row_id}
        answers = [
            self.person.raw("POST", f"/api/v1/escalations/{row}/acts", {"act": "acknowledge", "until": 1})
            for row in (row_id, new_id())
        ]
        assert [answer.status_code for answer in answers] == [404, 404]
        assert answers[0].text == answers[1].text

    def _comparable(self, answer: Any, identity: str) -> tuple[int, str]:
        return answer.status_code, "" if answer.is_success else answer.text.replace(identity, "ID")

    def was_kept(self) -> None:
        """Nothing this person ever heard holds a word of it."""
        for heard in self.person.heard:
            for word in self.words | {self.case_id}:
                assert word not in heard, f"{word} in {heard[:2000]}"


def _filled(path: str, identity: str) -> str:
    """A path with its places filled: the id wherever some id is wanted."""
    parts = []
    for part in path.split("/"):
        if not part.startswith("{"):
            parts.append(part)
        elif "collection" in part:
            parts.append("cases")
        elif part in {"{n}", "{number}", "{generation}"}:
            parts.append("1")
        else:
            parts.append(identity)
    return "/".join(parts)
