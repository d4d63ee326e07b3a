"""Passwords: argon2id, at most two at once, and the same work for a name that does not exist."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.errors import PasswordRefused
from sync.errors import StoreUnavailable

MEMORY_KIB, PASSES, LANES = 47_104, 1, 1
AT_ONCE = 2  # each takes 46 MiB
WAITING_MAX = 64
MINIMUM_LENGTH = 8
MAXIMUM_LENGTH = 128
_COMMON = frozenset(
    (
        "12345678",
        "123456789",
        "1234567890",
        "password",
        "password1",
        "qwertyui",
        "11111111",
        "88888888",
        "66666666",
        "00000000",
        "abcd1234",
        "a1234567",
        "1qaz2wsx",
        "qwer1234",
        "asdf1234",
        "iloveyou",
        "admin123",
        "wangge123",
        "woaini1314",
        "5201314a",
    )
)


class Hasher:
    """Makes and checks password hashes in threads of its own."""

    _instance: ClassVar["Hasher | None"] = None
    _instance_lock: ClassVar[threading.Lock] = threading.Lock()

    def __init__(self) -> None:
        self._argon = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="password")
        self._gate = threading.Lock()
        self._waiting = 0
        # For names that do not exist: checking against it takes as long as checking a real one.
        self._nobody = self._argon.hash("nobody has this password")

    @classmethod
    def shared(cls) -> "Hasher":
        """The one of this process."""
        with cls._instance_lock:
            if cls._instance is None:
                cls._instance = cls()
            return cls._instance

    def hash(self, password: str) -> str:
        """The hash of a new password; blocking."""
        return self._argon.hash(password)

    def matches(self, password: str, known: str | None) -> bool:
        """Whether `password` is the one of the hash `known`; with None the same time passes and the answer is no."""
        try:
            self._argon.verify(self._nobody if known is None else known, password)
        except (VerificationError, InvalidHashError):
            return False
        return known is not None

    def outdated(self, known: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._argon.check_needs_rehash(known)

    async def check(self, password: str, known: str | None) -> bool:
        """``matches`` in a thread; raises ``StoreUnavailable`` when too many wait."""
        with self._gate:
            if self._waiting >= WAITING_MAX:
                raise StoreUnavailable(
                    "Too many people are signing in; try again in a moment.", retry_after=5
                )
            self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self.matches, password, known)
        finally:
            with self._gate:
                self._waiting -= 1

    async def make(self, password: str) -> str:
        """``hash`` in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self.hash, password)


def check_new_password(password: str, username: str) -> None:
    """Raises ``PasswordRefused`` unless the password may be chosen: 8 to 128 characters, not common, not the name."""
    if not MINIMUM_LENGTH <= len(password) <= MAXIMUM_LENGTH:
        raise PasswordRefused(f"A password has {MINIMUM_LENGTH} to {MAXIMUM_LENGTH} characters.")
    if password.lower() in _COMMON or len(set(password)) < 3:
        raise PasswordRefused("This password is among the first that anybody would try.")
    if password.lower() == username.lower():
        raise PasswordRefused("The password must not be the user name.")
