"""What a Spark application did, from its event log: executors, stages, fetches.

The log must be plain: `spark.eventLog.compress` and `.rolling.enabled` are false in `application`
(both are true by default in 4.x).
"""

import json
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Reads:
    """Sums over finished tasks of what they read from shuffles."""

    remote_blocks: int = 0
    remote_bytes: int = 0
    remote_bytes_to_disk: int = 0
    local_blocks: int = 0
    local_bytes: int = 0
    records: int = 0

    def add(self, metrics: dict[str, Any]) -> None:
        """Adds the `Shuffle Read Metrics` of one task."""
        self.remote_blocks += metrics["Remote Blocks Fetched"]
        self.remote_bytes += metrics["Remote Bytes Read"]
        self.remote_bytes_to_disk += metrics["Remote Bytes Read To Disk"]
        self.local_blocks += metrics["Local Blocks Fetched"]
        self.local_bytes += metrics["Local Bytes Read"]
        self.records += metrics["Total Records Read"]


@dataclass
class Stage:
    """One attempt of one stage."""

    id: int
    attempt: int
    #: Id of the RDD that the stage computes; two stages with the same one do the same work.
    rdd: int
    tasks: int
    #: The `spark.job.description` of the job that it ran for.
    label: str
    submitted_ms: int = 0
    completed_ms: int = 0
    shuffle_bytes_written: int = 0
    reads: Reads = field(default_factory=Reads)


@dataclass
class EventLog:
    """A whole event log."""

    app_id: str = ""
    started_ms: int = 0
    ended_ms: int = 0
    #: (time in ms, live executors from then on), one entry per executor added or removed.
    executors: list[tuple[int, int]] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    #: Messages of all FetchFailed tasks.
    fetch_failures: list[str] = field(default_factory=list)
    #: Reasons of all other failed tasks.
    other_failures: list[str] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Wall time of the application."""
        return (self.ended_ms - self.started_ms) / 1000

    @property
    def recomputed(self) -> list[str]:
        """Stages that ran again, and stages that write a shuffle that was already written."""
        again = [f"stage {s.id} attempt {s.attempt}" for s in self.stages if s.attempt > 0]
        writers: dict[int, int] = {}
        for stage in self.stages:
            if stage.attempt == 0 and stage.shuffle_bytes_written > 0:
                first = writers.setdefault(stage.rdd, stage.id)
                if first != stage.id:
                    again.append(f"stage {stage.id} repeats stage {first}")
        return again

    def executor_peaks(self) -> list[int]:
        """The most executors that lived at once in each period between two moments without any.

        `[2, 2]` means: two came, all went, two came. The end of the application counts for nothing.
        """
        peaks: list[int] = []
        before = 0
        for at_ms, count in self.executors:
            if self.ended_ms and at_ms > self.ended_ms:
                break
            if count > 0:
                peaks = [*peaks[:-1], max(peaks[-1], count)] if before > 0 else [*peaks, count]
            before = count
        return peaks

    def reads(self, label: str) -> Reads:
        """The reads of all stages that ran for jobs described as `label`."""
        return _sum([stage.reads for stage in self.stages if stage.label == label])

    def all_reads(self) -> Reads:
        """The reads of all stages."""
        return _sum([stage.reads for stage in self.stages])

    def seconds_of(self, label: str) -> float:
        """From the first submission to the last completion of the stages of `label`."""
        mine = [s for s in self.stages if s.label == label]
        return (max(s.completed_ms for s in mine) - min(s.submitted_ms for s in mine)) / 1000 if mine else 0.0


def _sum(reads: list[Reads]) -> Reads:
    return Reads(*(sum(values) for values in zip(*(astuple(each) for each in reads)))) if reads else Reads()


def read(path: Path) -> EventLog:
    """Reads an event log; one that is still being written is read as far as it goes."""
    log = EventLog()
    live: set[str] = set()
    stages: dict[tuple[int, int], Stage] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            break  # the last line of a log in progress
        _apply(log, live, stages, event)
    return log


def _apply(log: EventLog, live: set[str], stages: dict[tuple[int, int], Stage], event: dict[str, Any]) -> None:
    match event["Event"]:
        case "SparkListenerApplicationStart":
            log.app_id, log.started_ms = event["App ID"], event["Timestamp"]
        case "SparkListenerApplicationEnd":
            log.ended_ms = event["Timestamp"]
        case "SparkListenerExecutorAdded":
            live.add(event["Executor ID"])
            log.executors.append((event["Timestamp"], len(live)))
        case "SparkListenerExecutorRemoved":
            live.discard(event["Executor ID"])
            log.executors.append((event["Timestamp"], len(live)))
        case "SparkListenerStageSubmitted":
            info = event["Stage Info"]
            label = event.get("Properties", {}).get("spark.job.description", "")
            stage = Stage(
                info["Stage ID"],
                info["Stage Attempt ID"],
                info["RDD Info"][0]["RDD ID"],
                info["Number of Tasks"],
                label,
            )
            stage.submitted_ms = info.get("Submission Time", 0)
            stages[stage.id, stage.attempt] = stage
            log.stages.append(stage)
        case "SparkListenerStageCompleted":
            info = event["Stage Info"]
            stages[info["Stage ID"], info["Stage Attempt ID"]].completed_ms = info.get("Completion Time", 0)
        case "SparkListenerTaskEnd":
            _apply_task(log, stages[event["Stage ID"], event["Stage Attempt ID"]], event)


def _apply_task(log: EventLog, stage: Stage, event: dict[str, Any]) -> None:
    reason = event["Task End Reason"]
    if reason["Reason"] == "FetchFailed":
        log.fetch_failures.append(reason.get("Message", ""))
    elif reason["Reason"] != "Success":
        log.other_failures.append(str(reason.get("Description") or reason))
    metrics = event.get("Task Metrics")
    if metrics:
        stage.reads.add(metrics["Shuffle Read Metrics"])
        stage.shuffle_bytes_written += metrics["Shuffle Write Metrics"]["Shuffle Bytes Written"]
