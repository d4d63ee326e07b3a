"""The ways requests, hazards, opinions, enquiries and reports of wrongdoing go."""

from server.demo.captures import DISPUTES
from server.demo.stage import DAY, Script
from server.demo.way import Case, told_back


def answered(case: Case) -> Script:
    """Done or explained at once by whoever heard of it."""
    case.capture(on_spot={"how": case.done_text, "agreement_text": case.done_text})
    if case.stop == "reported":
        return
    yield case.after(5)
    if case.stage.case(case.id)["status"] == "reported":
        # somebody who comes to it late finds it verified by the system: that is due after two days
        case.act("dispatcher-1", "verify", parties_asked=True)
    yield case.after(8)
    told_back(case)
    yield case.stage.days(20)
    case.act("clerk-1", "file")


def taken_in(case: Case) -> Script:
    """Taken in by the window."""
    case.capture()
    yield case.after(1.2)
    case.act(case.clerk, "admit", category=case.told.row["category"], given_to=case.told.slots["a"])


def to_unit(case: Case) -> Script:
    """Given to the unit whose duty it is, and accepted there."""
    yield from taken_in(case)
    yield case.after(1.2)
    unit = case.told.row["unit"]
    case.act(case.dispatcher, "dispatch", unit=unit)
    yield case.after(1.5)
    case.act(case.handler, "accept")


def handled(case: Case, outcome: str = "service_done") -> Script:
    """Done by the unit, looked at on the spot by the worker, verified, filed."""
    yield from to_unit(case)
    handler = case.handler
    yield case.after(3)
    case.act(handler, "begin")
    yield case.after(8)
    case.act(handler, "close", outcome=outcome, plain_text=case.done_text)
    yield case.after(3)
    if case.scene.cell in case.world.workers:
        worker = case.world.workers[case.scene.cell]
        found = case.entry("field_check", found_state="done", text="现场看过,情况属实。")
        case.act(worker, "check", entry=found)
    yield case.after(3)
    case.act(case.clerk, "verify", parties_asked=True)
    yield case.stage.days(3)
    if case.scene.cell in case.world.workers:
        told = case.rng.choice(DISPUTES["how_told"])
        case.act(case.world.workers[case.scene.cell], "tell_back", how=told, to=case.told.slots["a"])
    else:
        told_back(case)
    yield case.stage.days(25)
    case.act(case.clerk, "file")


def by_worker(case: Case) -> Script:
    """Given to the cell's own worker."""
    worker = case.world.workers.get(case.scene.cell)
    if worker is None:
        yield from handled(case)
        return
    yield from taken_in(case)
    yield case.after(1)
    case.act(case.dispatcher, "dispatch", user=case.stage.id_of(worker))
    yield case.after(1)
    case.act(worker, "accept")
    yield case.after(4)
    case.act(worker, "close", outcome="service_done", plain_text=case.done_text)
    yield case.after(3)
    case.act(case.clerk, "verify", parties_asked=True)
    yield case.stage.days(1)
    told_back(case)
    yield case.stage.days(24)
    case.act(case.clerk, "file")


def done_again(case: Case) -> Script:
    """Reported, found not done, done."""
    yield from to_unit(case)
    handler = case.handler
    yield case.after(2)
    case.act(handler, "begin")
    yield case.after(5)
    case.act(handler, "close", outcome="service_done", plain_text=case.done_text)
    yield case.after(2)
    case.act(case.clerk, "reject_close", missing="现场仍有一半未处理")
    yield case.after(5)
    case.act(handler, "close", outcome="service_done", plain_text=f"已补做。{case.done_text}")
    yield case.after(2)
    case.act(case.clerk, "verify", parties_asked=True)
    yield case.stage.days(1)
    told_back(case)
    yield case.stage.days(29)
    case.act(case.clerk, "file")


def paused_service(case: Case) -> Script:
    """A cooling-off both sides asked for, approved by the head of the unit."""
    yield from to_unit(case)
    handler = case.handler
    yield case.after(2)
    case.act(handler, "begin")
    yield case.after(1)
    case.act(handler, "suspend", reason="cooling", until=case.stage.now + 5 * DAY)
    yield case.after(1)
    case.act(case.world.managers[case.told.row["unit"]], "approve", request="r1")
    yield case.stage.days(4)
    case.act(handler, "resume")
    yield case.after(4)
    case.act(handler, "close", outcome="service_done", plain_text=case.done_text)
    yield case.after(3)
    case.act(case.clerk, "verify", parties_asked=True)


def tipped_off(case: Case, *, close: bool = True) -> Script:
    """A report of wrongdoing: handed over with a receipt, never handled here."""
    case.capture(kind="tip_off", is_anonymous=True, parties=[])
    yield case.after(1.5)
    case.act("clerk-1", "refer_out", target="discipline", receipt_due=case.stage.now + 5 * DAY, reason="移交")
    if not close:
        return
    yield case.after(10)
    case.act("clerk-1", "close", receipt="已收到移交材料", number=f"线索{case.rng.randint(100, 999)}")
    yield case.stage.days(20)
    case.act("clerk-1", "file")
