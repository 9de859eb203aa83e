"""The driver program of all stories: does what the files in a folder say, one after another.

    steps.py FOLDER

`N.do` holds `{"call": NAME, …arguments}`; the answer goes to `N.done`. Runs in Spark's image or in
an environment that holds pyspark, and imports nothing else of this package.
"""

import gc
import json
import os
import signal
import sys
import time
import traceback
import zlib
from pathlib import Path

from pyspark.sql import SparkSession

_LOOK_S = 0.05


class Steps:
    """What a story may ask for."""

    def __init__(self):
        self._spark = SparkSession.builder.getOrCreate()
        self._context = self._spark.sparkContext
        self._context.setLogLevel("WARN")
        self._shuffled = None
        self._broadcast = None

    def start(self):
        """The id of the application."""
        return self._context.applicationId

    def executors(self):
        """How many executors live now, as the scheduler sees it."""
        return len(self._context._jsc.sc().statusTracker().getExecutorInfos()) - 1  # less the driver

    def read(self, label, maps=8, reduces=12, rows=24000, pause_s=0.2):
        """Reads a shuffle of `rows` pairs; the first call writes it.

        Returns the number of rows, the sum of their numbers and the sum of their checksums.
        """

        def pair(number):
            seed = zlib.crc32(number.to_bytes(8, "big"))
            return number, b"".join(((seed * factor) & 0xFFFFFFFF).to_bytes(4, "big") for factor in range(1, 51))

        def partition(pairs):
            count = numbers = sums = 0
            for number, payload in pairs:
                count, numbers, sums = count + 1, numbers + number, sums + zlib.crc32(payload)
            time.sleep(pause_s)  # a task that takes long enough for every executor to get some
            yield count, numbers, sums

        if self._shuffled is None:
            self._shuffled = self._context.range(rows, numSlices=maps).map(pair).partitionBy(reduces)
        self._context.setJobDescription(label)
        found = self._shuffled.mapPartitions(partition).collect()
        return [sum(column) for column in zip(*found)]

    def broadcast(self, size):
        """Has every executor keep a broadcast variable of `size` bytes in a file."""
        self._broadcast = self._context.broadcast(os.urandom(size))
        self._context.setJobDescription("broadcast")
        held = self._broadcast
        return self._context.range(8, numSlices=8).map(lambda _: len(held.value)).sum()

    def out_of_memory(self, processes=40):
        """Fills the memory of one executor with processes of 24 MiB, so that its JVM is the largest one.

        Returns how the driver describes the loss.
        """

        def fill(_):
            for _ in range(processes):
                if os.fork() == 0:
                    held = os.urandom(1 << 20) * 24
                    while held:
                        signal.pause()
            signal.pause()

        self._context.setJobDescription("out of memory")
        try:
            self._context.range(1, numSlices=1).foreach(fill)
        except Exception as error:  # the task is lost with its executor
            return str(error)[:2000]
        return "survived"

    def drop(self):
        """Forgets the shuffle, so that Spark's cleaner has its blocks removed."""
        self._shuffled = None
        gc.collect()
        self._context._jvm.System.gc()
        return "dropped"

    def stop(self):
        """Ends the application."""
        self._spark.stop()
        return "stopped"


def main(folder):
    """Answers until `stop`."""
    steps, number = Steps(), 0
    while True:
        order, answer = folder / f"{number}.do", folder / f"{number}.done"
        while not order.exists():
            time.sleep(_LOOK_S)
        arguments = json.loads(order.read_text())
        call = arguments.pop("call")
        try:
            said = {"result": getattr(steps, call)(**arguments)}
        except Exception:
            said = {"error": traceback.format_exc()}
        part = answer.with_suffix(".part")
        part.write_text(json.dumps(said))
        part.rename(answer)
        if call == "stop":
            return
        number += 1


if __name__ == "__main__":
    main(Path(sys.argv[1]))
