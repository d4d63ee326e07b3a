"""The stories a visitor is shown, told by the same acts as everything else; most of them happen in 焊花."""

from typing import Any

from shapely import LineString

from server.demo import flows, flows_service as services
from server.demo.captures import PLANT, SERVICES, Scene
from server.demo.stage import DAY, HOUR, MINUTE, Script
from server.demo.telling import Telling
from server.demo.way import Case
from sync.values import Collection


class Stories(Telling):
    """All of them but those of the ladder, for one stage."""

    COUNT = 17  # cases: the leak is captured twice, and one of what is kept aside is a case too
    SERVICES = 3  # of them requests and hazards

    def begin(self) -> None:
        """Put every story on the stage."""
        ago = self.stage.before
        for at, script in (
            (ago(6), self.same_leak_twice()),
            (ago(70), self.wages()),
            (ago(1.5), self.from_the_village()),
            (ago(2.2), self.wall_between_two_cells()),
            (ago(150), self.wall_confirmed()),
            (ago(9), self.hotline()),
            (self.stage.office(self.stage.until - 26 * DAY), self.agreement_in_three_parts()),
            (ago(11), self.about_staff()),
            (ago(3.4), self.nowhere("说不清门牌的噪声", "0202")),
            (ago(2.6), self.nowhere("路边两人争吵已散", "0208")),
            (ago(4.1), self.kept_aside()),
            (ago(34), self.with_counselling()),
            (ago(210), self.smell_of_gas()),
            (ago(120), self.told_by_an_assistant(0)),
            (ago(5), self.told_by_an_assistant(1)),
        ):
            self.stage.add(at, script)

    # --- 1: the same leak twice --------------------------------------------------------------------------------------

    def same_leak_twice(self) -> Script:
        """Two workers write the same leak down without net, and two phones edit one case at once."""
        told = self.told(
            "0201",
            "{c}3号楼2单元三楼漏水到二楼",
            "三楼{a}家卫生间漏水,二楼{b}家厨房顶面起皮,灯座也进了水,先关了电闸。",
        )
        first = self.case(told, author="grid-worker-4", captured_at=self.stage.now - 5 * HOUR)
        first.capture(address=f"{PLANT}3号楼2单元", people_count=2)
        again = self.told(
            "0201", "三楼往二楼漏水,两家吵了起来", "{b}家电话里说楼上漏水,楼上没人开门。{a}家下班后才在。"
        )
        second = self.case(again, author="grid-leader-1", captured_at=self.stage.now - 4 * HOUR)
        second.capture(address=f"{PLANT}3号楼二单元二楼")
        yield self.stage.now + 25 * MINUTE
        # both look at the same state; what they add differs
        known = self.stage.seen("grid-worker-4", first.id)
        self.stage.edit(
            "grid-worker-4", known, description="三楼地漏返水,已请水工看过,要换弯头。", people_count=3
        )
        self.stage.edit(
            "grid-leader-1", known, description="楼上答应今晚在家,约七点一起看现场。", wishes="先修后谈"
        )

    # --- 2: wages of fourteen workers --------------------------------------------------------------------------------

    def wages(self) -> Script:
        """Dispatched, returned twice, ruled upon, sponsored, under a yellow card."""
        told = self.told(
            "0701",
            "老院改造工地14名工人工资被拖欠",
            "{a}等14人在{c}改造工地干活,三个月工资没发,约十一万元,包工头{b}说总包没拨款。",
        )
        case = self.case(
            told,
            people_count=14,
            signals=["wages_many"],
            urgency="urgent",
            source="party",
            channel="in_person",
        )
        stage = self.stage
        case.capture()
        yield stage.after(0.7)
        case.note(
            case.scene.author, "contact_attempt", how="door", reached=True, text="见到三名代表,留了联系方式。"
        )
        yield stage.after(1)
        case.act(
            case.clerk,
            "triage",
            category="0701",
            basis="lawful",
            risk="orange",
            reason="涉及14人工资,临近月底",
            signals=["wages_many"],
            channel="industry_professional",
            complexity="complex",
        )
        case.act(case.clerk, "admit", given_to="工人代表")
        yield stage.after(1)
        case.act("dispatcher-1", "dispatch", unit="D-LABOUR", mediation_channel="industry_professional")
        yield stage.after(3)
        case.act(
            "unit-manager-2",
            "return",
            reason="not_our_duty",
            suggested_unit="D-HOUSING",
            note="工程款属住建监管",
        )
        yield stage.after(2)
        case.act("dispatcher-1", "dispatch", unit="D-HOUSING", mediation_channel="administrative")
        yield stage.after(3)
        case.act(
            "unit-manager-1", "return", reason="needs_joint", suggested_unit="D-LABOUR", note="应由人社牵头"
        )
        yield stage.after(3)
        case.act(
            "centre-director-1",
            "adjudicate",
            unit="D-LABOUR",
            helpers=["D-HOUSING"],
            reason="工资清欠由人社牵头,住建协助",
        )
        yield stage.after(5)
        case.act("district-leader-1", "card", card="yellow", reason="两次退回,限期办结")
        if stage.lead("street-leader-1", case.id, "sponsor", until=stage.until + 12 * DAY) is None:
            case.act("street-leader-1", "sponsor", until=stage.until + 12 * DAY)
        yield stage.after(1)
        case.act("unit-handler-2", "accept")
        yield stage.after(4)
        case.act("unit-handler-2", "begin", consent=True, rights_told=True)
        yield stage.after(6)
        case.act("unit-handler-2", "session", entry=flows.session(case))
        yield stage.after(1)
        case.act("dispatcher-1", "join", units=["D-FOUR", "D-LEGALAID"])
        yield stage.after(2)
        case.act("four-officer-1", "session", entry=flows.session(case))

    # --- 7: from where no telephone reaches --------------------------------------------------------------------------

    def from_the_village(self) -> Script:
        """Captured six days ago up in the village, received today; its clocks run from today."""
        told = self.told("0603", "浇地争水", "旱地轮灌,{a}和{b}为放水先后争吵,当场劝开,说好隔天再谈。")
        village = self.stage.layer.cells_of("410399102202")[1]
        case = self.case(told, cell=village, captured_at=self.stage.now - 6 * DAY)
        case.capture()
        entry = {
            "id": self.stage.new_id(),
            "case_id": case.id,
            "type": "contact_attempt",
            "at": self.stage.now - 5 * DAY,
            "body": {"how": "door", "reached": True, "text": "两家都见了,同意由组长排号。"},
        }
        self.stage.push(case.scene.author, Collection.entries, entry)
        yield from ()

    # --- 8: on a border ----------------------------------------------------------------------------------------------

    def wall_between_two_cells(self) -> Script:
        """A wall on the line between two cells and a fix of ±12 m: both are candidates until a person says."""
        case = self._wall()
        case.capture(location=self._border())
        yield from ()

    def wall_confirmed(self) -> Script:
        """The same sort of case, confirmed by the leader of the grid, and settled."""
        case = self._wall()
        flow = flows.settled(case, "written_agreement")
        case.more["location"] = self._border()
        yield next(flow)
        self.stage.act(
            "grid-leader-1", case.id, "set_place", cell=self.cells[0], evidence="现场看过,墙根在第一网格一侧"
        )
        yield from flow

    def _wall(self) -> Case:
        told = self.told(
            "0205",
            "两院之间的院墙翻修越界争议",
            "{a}翻修两院之间的院墙,{b}说往自己这边挪了一砖,正好在两个网格交界处。",
        )
        return self.case(told, cell=self.cells[0], also_cells=[self.cells[1]])

    def _border(self) -> dict[str, Any]:
        shared = self.world.cells[self.cells[0]].geometry.boundary.intersection(
            self.world.cells[self.cells[1]].geometry.boundary
        )
        line = shared if isinstance(shared, LineString) else max(shared.geoms, key=lambda part: part.length)
        point = line.interpolate(0.5, normalized=True)
        return {
            "lon": round(point.x + 0.00004, 6),
            "lat": round(point.y, 6),
            "crs": "wgs84",
            "accuracy_m": 12.0,
            "confidence": 68,
            "source": "gps",
        }

    # --- 9, 10 -------------------------------------------------------------------------------------------------------

    def hotline(self) -> Script:
        """From outside, with a number and a date of its own: two working days are left."""
        told = self.told("0202", "夜间施工噪声扰民", "市民来电:{c}旁工地夜里十二点仍在打桩,要求答复。")
        case = self.case(
            told,
            author="clerk-2",
            source="hotline",
            channel="system",
            source_ref="HL-20-118-0764",
            source_due=self.stage.after_days(3, self.stage.until),
        )
        yield from flows.taken(case)

    def agreement_in_three_parts(self) -> Script:
        """25,000 yuan in three parts: one paid, one late, one to come; six days left to ask the court."""
        told = self.told(
            "1102",
            "装修漏水损坏家具赔偿",
            "{a}家装修碰断水管,{b}家红木家具和地板泡水,经估价两万五千元。",
            "赔偿二万五千元,分三期付清。",
        )
        case = self.case(told, pace=0.4)
        case.unit = "C201-MEDIATION"
        yield from flows.talking(case)
        yield self.stage.after(2)
        stage, until = self.stage, self.stage.until
        begun = until - 24 * DAY
        yield stage.office(begun)
        parts = ((1_000_000, begun + 8 * DAY), (800_000, until - 3 * DAY), (700_000, until + 20 * DAY))
        rows = [
            {
                "no": n,
                "debtor": "p2",
                "creditor": "p1",
                "what": f"第{n}期赔偿款",
                "amount_fen": fen,
                "due": due,
            }
            for n, (fen, due) in enumerate(parts, start=1)
        ]
        case.act(case.mediator, "agree", entry=flows.agreement(case, rows))
        yield stage.after(2)
        case.act(case.mediator, "confirm_court", value="intended", court="涧东区人民法院", at=case.stage.now)
        yield stage.office(begun + 7 * DAY)
        case.act(
            case.mediator, "perform", obligation=1, done_at=stage.now, amount_fen=1_000_000, by_party="p2"
        )

    # --- together with others, and at once ---------------------------------------------------------------------------

    def with_counselling(self) -> Script:
        """The mediator asks the counselling service in."""
        told = self.told(
            "0107",
            "分手后情绪低落反复争执",
            "{a}与{b}分手后多次争执,{a}情绪低落,家人担心。",
            "双方约定不再单独见面。",
        )
        case = self.case(told, cell=self.cells[4])
        yield from flows.talking(case, complexity="complex")
        yield self.stage.after(1)
        case.act("dispatcher-2", "join", units=["D-COUNSEL"])
        yield self.stage.after(2)
        case.act("counsellor-1", "session", entry=flows.session(case))

    def smell_of_gas(self) -> Script:
        """Danger: the duty officer takes it on within minutes, and the unit is there the same hour."""
        row = {
            "kind": "hazard",
            "category": "H03",
            "unit": "D-HOUSING",
            "title": "楼道闻到燃气味",
            "text": "{c}{n}号楼一层楼道有燃气味,已打119,疏散了一层住户。",
            "done": "燃气公司更换阀门,复查无泄漏。",
        }
        told = self.world.tell(row, self.world.scene(cell=self.plant))
        case = self.case(told, urgency="emergency", signals=["hazard_life"])
        stage = self.stage
        case.capture()
        yield stage.now + 2 * MINUTE
        case.act(
            case.scene.author, "call_emergency", number="119", answered=True, called_at=stage.now - 4 * MINUTE
        )
        yield stage.now + 4 * MINUTE
        case.act("duty-officer-1", "acknowledge", promise=stage.now + HOUR)
        yield stage.now + 3 * MINUTE
        case.act("clerk-1", "admit", category="H03")
        case.act("dispatcher-1", "dispatch", unit="D-HOUSING")
        yield stage.now + 12 * MINUTE
        case.act("unit-handler-1", "accept")
        case.act("unit-handler-1", "begin")
        yield stage.now + 3 * HOUR
        case.act("unit-handler-1", "close", outcome="service_done", plain_text=case.done_text)
        yield stage.after(2)
        case.act("clerk-2", "verify", parties_asked=True)
        yield stage.after(2)
        case.act(case.scene.author, "tell_back", how="上门告知", to="一层住户")
        yield stage.days(20)
        case.act("clerk-2", "file")

    def told_by_an_assistant(self, which: int) -> Script:
        """Part-time helpers capture what they see at their own door."""
        row = [row for row in SERVICES["service"] if row["category"] in {"R01", "H01"}][which]
        told = self.world.tell(row, self.world.scene(cell=self.cells[0]))
        yield from services.handled(self.case(told, cell=self.cells[0], author="grid-assistant-1"))

    # --- staff -------------------------------------------------------------------------------------------------------

    def about_staff(self) -> Script:
        """It concerns somebody of the community: those who hold office there do not even know of it."""
        told = self.told("1606", "慰问品发放名单有意见", "{b}反映慰问品发放没有公示,怀疑照顾了熟人{a}。")
        case = self.case(told, cell=self.cells[1], involves_staff=True)
        case.unit = "D-MEDIATION"
        yield from flows.taken(case)

    # --- what needs a look -------------------------------------------------------------------------------------------

    def nowhere(self, title: str, category: str) -> Script:
        """Captured without a place by a worker of two cells: nobody can say where it belongs."""
        told = self.told(category, title, "路过时遇到,当事人没留门牌,晚上再去。")
        case = self.case(told, author="grid-worker-2", location=None, address=None)
        case.capture()
        yield from ()

    def kept_aside(self) -> Script:
        """Three things no rule could apply: kept whole, for a person to look at."""
        told = self.told("0206", "狗叫扰邻", "{a}家狗白天叫,{b}要求处理。")
        case = self.case(told, cell=self.cells[0], author="grid-worker-1")
        place: Scene = case.scene
        # a position without its coordinate system may lie half a kilometre off
        case.capture(location={"lon": place.lon, "lat": place.lat, "accuracy_m": 12.0})
        self.stage.push(
            "grid-worker-5",
            Collection.tasks,
            {"id": self.stage.new_id(), "type": "visit_due", "text": "补走访"},
        )
        lost = {
            "id": self.stage.new_id(),
            "title": "老版本应用上传",
            "captured_at": self.stage.now,
            "kind": 7,
        }
        self.stage.push("grid-worker-1", Collection.cases, lost)
        yield from ()
