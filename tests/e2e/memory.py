"""Resident memory of a process, watched while something happens."""

import threading

import psutil


class Peak:
    """The largest resident memory of a process while the block runs, above what it began with."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._begun = self._most = 0

    def __enter__(self) -> "Peak":
        self._begun = self._most = self._process.memory_info().rss
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(0.02):
            self._most = max(self._most, self._process.memory_info().rss)

    @property
    def growth(self) -> int:
        return self._most - self._begun
