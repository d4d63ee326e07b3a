"""The stories of the leaders' queue: what lies how long, who took it on, what was asked and not answered."""

from server.demo import flows
from server.demo.stage import DAY, MINUTE, Script
from server.demo.telling import Telling
from server.demo.way import Case


class Ladder(Telling):
    """Items at each level today, whatever day today is."""

    COUNT = 8  # cases

    def begin(self) -> None:
        """Put every item on the stage."""
        ago = self.stage.before
        for at, script in (
            (self._start(1), self.unsigned(1, "物业费收缴方式引起争执", "0401")),
            (self._start(2), self.unsigned(2, "顶楼漏雨维修资金使用争议", "0404")),
            (self._start(3), self.unsigned(3, "烧烤店油烟反复扰民", "1501")),
            (self._start(2), self.sealed()),
            (self._start(2, 2), self.taken_on()),
            (self._start(2, 6, stays=False), self.instruction_unanswered()),
            (ago(60), self.paused_for_appraisal()),
            (ago(30), self.into_next_year()),
        ):
            self.stage.add(at, script)

    def _start(self, level: int, slack: float = 0.4, *, stays: bool = True) -> int:
        """When a case begins that is dispatched in time to reach a level today."""
        return self.stage.office(self.stage.unsigned_at(level, slack, stays=stays) - DAY)

    def unsigned(self, level: int, title: str, category: str) -> Script:
        """Dispatched, and nobody signs for it: how far it has climbed is a matter of when."""
        told = self.told(category, title, "{c}住户{a}等与{b}多次沟通没有结果,要求有人出面主持。")
        case = self.case(told, cell=self.cells[2 + int(category) % 3])
        yield from self._dispatched(case, self.stage.unsigned_at(level))

    def _dispatched(self, case: Case, at: int) -> Script:
        case.pace, case.unit = 0.4, "S2-JUSTICE"
        yield from flows.admitted(case, risk="yellow")
        yield at
        case.act(case.dispatcher, "dispatch", unit=case.unit, mediation_channel="grid")

    def _until_level(self, case: Case, level: int) -> Script:
        """Wait for the ladder."""
        while self.stage.level(case.id) < level:
            yield self.stage.now + 30 * MINUTE

    def taken_on(self) -> Script:
        """The street's leader has taken it on; his promise runs out within the hour."""
        told = self.told(
            "0204", "楼道杂物清理引起对立", "{a}等老住户不同意清走楼道旧家具,{b}等年轻住户要求通道畅通。"
        )
        case = self.case(told, cell=self.cells[4])
        yield from self._dispatched(case, self.stage.unsigned_at(2, 2))
        yield from self._until_level(case, 2)
        yield self.stage.now + 20 * MINUTE
        self.stage.lead("street-leader-1", case.id, "acknowledge", promise=self.stage.until + 50 * MINUTE)

    def paused_for_appraisal(self) -> Script:
        """Late at the community when an appraisal was allowed: the clock stands, the row says so."""
        told = self.told(
            "1102",
            "地暖试压渗漏责任待鉴定",
            "{a}家地暖试压后{b}家吊顶塌了一块,双方对是否施工质量问题说法不一。",
        )
        case = self.case(told, cell=self.cells[5], pace=0.4)
        case.unit = "S2-JUSTICE"
        yield from flows.talking(case, complexity="simple", risk="yellow")
        yield from self._until_level(case, 1)
        until = min(
            self.stage.until + 20 * DAY, self.stage.now + 30 * DAY
        )  # an appraisal carries thirty days
        case.act(case.mediator, "suspend", reason="appraisal", until=until, evidence=["鉴定委托书"])
        yield self.stage.now + 20 * MINUTE
        case.act("street-leader-1", "approve", request="r1")

    def instruction_unanswered(self) -> Script:
        """The leader has written what is to be done, and the date has passed without a word."""
        told = self.told("0207", "院内停车位划线争议", "{c}重新划线后{a}等户没有固定车位,与管委会{b}争执。")
        case = self.case(told, cell=self.cells[3])
        yield from self._dispatched(case, self.stage.unsigned_at(2, 6, stays=False))
        yield from self._until_level(case, 2)
        self.stage.lead(
            "street-leader-1",
            case.id,
            "instruct",
            text="请司法所今天签收,三日内组织一次协调会并报结果。",
            due=self.stage.before(1),
        )
        yield self.stage.now + 30 * MINUTE
        case.act(case.mediator, "accept")

    def into_next_year(self) -> Script:
        """Extended by consent to a date of a year whose holidays nobody has announced yet."""
        told = self.told("0304", "加装电梯分摊方案商议", "{a}等六户商议加装电梯分摊,一楼{b}提出采光补偿。")
        case = self.case(told, cell=self.cells[5])
        case.unit = "S2-JUSTICE"
        yield from flows.talking(case, complexity="complex")
        days = self.stage.days_to_unknown_year()
        if days is None:
            return
        yield self.stage.after(2)
        case.act(
            case.mediator,
            "request_extension",
            days=days,
            reason="各方同意延长,待设计方案",
            clock="mediation",
            consent=True,
        )
        yield self.stage.after(1)
        case.act("centre-director-1", "approve", request="r1")

    def sealed(self) -> Script:
        """Known to those who are named; the leader of the street sees that it waits, and nothing of what it is."""
        told = self.told("0106", "隐私", "隐私")
        case = self.case(told, cell=self.cells[3], protection="sealed", parties=[], wishes=None)
        case.clerk, case.dispatcher = "clerk-1", "centre-director-1"
        case.capture(address=None, description="隐私")
        yield self.stage.after(0.3)
        case.note(case.scene.author, "contact_attempt", how="phone", reached=True)
        yield self.stage.after(0.3)
        case.act(
            "clerk-1",
            "triage",
            category="0106",
            basis="lawful",
            risk="orange",
            reason="已核实",
            signals=[],
            channel="government_private",
        )
        case.act("clerk-1", "admit", ground="当事人申请")
        yield self.stage.unsigned_at(2)
        case.act("centre-director-1", "dispatch", unit="S2-MEDIATION", user=self.stage.id_of("mediator-2"))
