"""Four writers in a process of their own that sleep before they commit: ``… dawdlers URL SCHEMA FIRST``.

`SCHEMA` ``naive`` numbers its rows by a sequence, as the control does; any other is a district's.
"""

from __future__ import annotations

import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import psycopg

from sync.sql_store import SqlStore

if TYPE_CHECKING:
    from sync.sql_store import SqlTx

WRITERS = 4
ROUNDS = 25
LONGEST_S = 0.02


def district_writer(url: str, schema: str, number: int) -> None:
    chance, store = random.Random(number), SqlStore.postgresql(url, schema)

    def work(tx: SqlTx) -> None:
        for part in range(chance.randrange(1, 4)):  # one number, several rows; or several numbers
            seq = tx.number()
            tx.put("series", {"name": f"{number}-{seq}-{part}", "value": seq})
        time.sleep(chance.uniform(0, LONGEST_S))

    try:
        for _ in range(ROUNDS):
            store.write(work)
    finally:
        store.close()


def naive_writer(url: str, number: int) -> None:
    chance = random.Random(number)
    with psycopg.connect(url) as connection:
        for _ in range(ROUNDS):
            with connection.transaction():
                connection.execute("insert into naive (writer) values (%s)", (number,))
                time.sleep(chance.uniform(0, LONGEST_S))


def main(url: str, schema: str, first: int) -> None:
    with ThreadPoolExecutor(WRITERS) as pool:
        if schema == "naive":
            done = [pool.submit(naive_writer, url, first + number) for number in range(WRITERS)]
        else:
            done = [pool.submit(district_writer, url, schema, first + number) for number in range(WRITERS)]
        for one in done:
            one.result()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
