"""The Spark application of a story: its settings, its executors, its event log.

The only module of the package that needs pyspark; stories run inside a virtual environment.
"""

import os
import re
import sys
from pathlib import Path

from pyspark import SparkConf
from pyspark.sql import SparkSession

from . import eventlog
from .cluster import Cluster
from .waiting import wait_for

MAX_EXECUTORS = 2
_PACKAGE_ROOT = Path(__file__).resolve().parent.parent
_SMALL_JVM = "-XX:+UseSerialGC -XX:TieredStopAtLevel=1"
_EXECUTORS_LIMIT_S = 120.0

#: Small and quick, on 127.0.0.1, with an event log that is easy to read.
_BASE = {
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "512m",
    "spark.driver.extraJavaOptions": _SMALL_JVM,
    "spark.executor.memory": "512m",
    "spark.executor.cores": "1",
    "spark.executor.extraJavaOptions": _SMALL_JVM,
    "spark.locality.wait": "0",
    "spark.eventLog.enabled": "true",
    "spark.eventLog.compress": "false",
    "spark.eventLog.rolling.enabled": "false",
}

#: Executors come when there is work and go one second after the last of it.
_COME_AND_GO = {
    "spark.dynamicAllocation.enabled": "true",
    "spark.dynamicAllocation.minExecutors": "0",
    "spark.dynamicAllocation.initialExecutors": "0",
    "spark.dynamicAllocation.maxExecutors": str(MAX_EXECUTORS),
    "spark.dynamicAllocation.executorIdleTimeout": "1s",
    "spark.dynamicAllocation.schedulerBacklogTimeout": "1s",
    # How long a standalone driver waits to be told why an executor left; nobody tells it.
    "spark.standalone.executorRemoveDelayOnDisconnection": "100ms",
}


def with_service(port: int) -> dict[str, str]:
    """What an application sets to use the shuffle service at this port of each worker host."""
    return {
        **_COME_AND_GO,
        "spark.shuffle.service.enabled": "true",
        "spark.shuffle.service.port": str(port),
        # The executors of one host are to fetch from the service, not read each other's files.
        "spark.shuffle.readHostLocalDisk": "false",
        # The default of 4.x, said aloud for 3.x.
        "spark.shuffle.service.removeShuffle": "true",
    }


def without_service() -> dict[str, str]:
    """Dynamic allocation by shuffle tracking: what Spark offers where there is no service."""
    return {
        **_COME_AND_GO,
        "spark.shuffle.service.enabled": "false",
        "spark.dynamicAllocation.shuffleTracking.enabled": "true",
    }


#: Executors that are there from the start to the end.
STAY = {"spark.dynamicAllocation.enabled": "false", "spark.cores.max": str(MAX_EXECUTORS)}


class Application:
    """A running application on a cluster; `stop` ends it, then `log` can be asked for."""

    def __init__(self, cluster: Cluster, name: str, settings: dict[str, str]) -> None:
        """Starts the driver's JVM. `settings` win over the defaults of this module."""
        os.environ.update(
            SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable, PYSPARK_DRIVER_PYTHON=sys.executable
        )
        os.environ["SPARK_LOCAL_DIRS"] = str(Path(cluster.folder) / "driver")
        conf = SparkConf().setMaster(cluster.master).setAppName(name)
        conf.setAll([*_BASE.items(), ("spark.eventLog.dir", f"file://{cluster.event_logs}")])
        conf.set("spark.executorEnv.PYTHONPATH", str(_PACKAGE_ROOT))
        conf.setAll(list(settings.items()))
        self._cluster = cluster
        self.spark = SparkSession.builder.config(conf=conf).getOrCreate()
        self.context = self.spark.sparkContext
        self.context.setLogLevel("ERROR")
        self.id: str = self.context.applicationId

    def label(self, text: str) -> None:
        """Marks the jobs that follow; the event log is asked by these labels."""
        self.context.setJobDescription(text)

    def executors(self) -> int:
        """How many executors live now."""
        return len(self.context._jsc.sc().statusTracker().getExecutorInfos()) - 1  # less the driver

    def wait_for_executors(self, count: int) -> None:
        """Waits until exactly `count` executors live."""
        wait_for(lambda: self.executors() == count, _EXECUTORS_LIMIT_S, f"{count} executors")

    def let_executors_go(self) -> None:
        """Has Spark release all executors, as it releases idle ones (`ExecutorAllocationManager`), and waits until they are gone."""
        context = self.context._jsc.sc()
        context.schedulerBackend().killExecutors(context.getExecutorIds(), False, False, False)
        self.wait_for_executors(0)

    def executor_logs(self) -> str:
        """What all executors have logged so far."""
        found = sorted((self._cluster.work / self.id).glob("*/stderr"))
        return "\n".join(each.read_text(encoding="utf-8", errors="replace") for each in found)

    def local_dirs(self) -> list[Path]:
        """The local dirs of all executors there have been, as they logged them at their start."""
        return [Path(found) for found in re.findall(r"Created local directory at (\S+)", self.executor_logs())]

    def stop(self) -> None:
        """Ends the application and closes its event log; safe to call again."""
        self.spark.stop()

    def log(self) -> eventlog.EventLog:
        """The finished event log."""
        path = self._cluster.event_logs / self.id
        wait_for(path.exists, 10, f"event log {path}")
        return eventlog.read(path)
