"""Official numbers and query codes: given by the server, in series by kind and year."""

from sync.batch import Batch
from sync.facts import Facts

_WORDS = {"dispute": "矛", "request": "诉", "hazard": "患", "opinion": "议", "consult": "询", "tip_off": "线"}
_CIVIL_MS = 8 * 3_600_000
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_LENGTH = 14


def next_number(batch: Batch, facts: Facts, kind: str) -> tuple[str, int, str]:
    """The series, its next value, and the official number made of it (例: 涧东矛〔2026〕000187)."""
    year = civil_year(batch.now)
    name = f"{_WORDS.get(kind, '矛')}{year}"
    value = batch.series.get(name, facts.series.get(name, 0)) + 1
    short = facts.config.settings.get("short_name", "")
    return name, value, f"{short}{name[0]}〔{year}〕{value:06d}"


def civil_year(at: int) -> int:
    """The year of an instant in the country's one civil time."""
    days = (at + _CIVIL_MS) // 86_400_000
    # Howard Hinnant's days-to-civil, cut down to the year.
    z = days + 719_468
    era = z // 146_097
    doe = z - era * 146_097
    yoe = (doe - doe // 1_460 + doe // 36_524 - doe // 146_096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    return int(yoe + era * 400 + (1 if (5 * doy + 2) // 153 >= 10 else 0))


def query_code(batch: Batch) -> str:
    """70 bits in letters and digits that nobody confuses; not derivable from anything."""
    return "".join(_ALPHABET[byte & 31] for byte in batch.chance.bytes(_LENGTH))
