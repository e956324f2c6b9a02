"""Contenders in processes of their own, driven in turn: A B C, A B C, ...

Idle threads of one library spin for a while and take the cores from the next; a process that waits for its turn has
none that spin. So every contender is a process, only one works at any moment, and a pause lies between two turns.
"""

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

PAUSE = 0.3  # seconds; longer than idle threads of OpenMP spin


class Failed(Exception):
    """A contender cannot do this work; the message says why."""


class Contender:
    """A process that runs worker.py as one contender, and answers each line with a line."""

    def __init__(self, name, threads):
        self.name = name
        command = [sys.executable, str(Path(__file__).with_name("worker.py")), name, str(threads)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self.version = self._answer()
        except Failed:
            self.close()
            raise

    def ask(self, **question):
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"{self.name}: the process ended (exit code {self.process.wait()})")
        answer = json.loads(line)
        if "failed" in answer:
            raise Failed(f"{self.name}: {answer['failed']}")
        return answer["answer"]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def compare(names, work, *, threads, rounds, seconds=1.0, say=print, make=Contender):
    """{name: figures} of each contender that can do the work: one row of a table.

    Each of `rounds` turns lasts `seconds`, after one iteration that is not counted. The first contender's result is
    what the others' must equal. A contender that is not installed is said to be skipped.
    """
    contenders, expected, figures = [], None, {}
    try:
        for name in names:
            try:
                contender = make(name, threads)
                contenders.append(contender)
                result = contender.ask(prepare=work)
            except Failed as why:
                say(f"  skipped: {why}")
                continue
            expected = result if expected is None else expected
            worst = max(abs(a - b) for a, b in zip(result, expected, strict=True)) / max(map(abs, expected))
            if worst > (1e-2 if work["train"] else 1e-3):  # a step in float32 wanders a little
                raise Failed(f"{name} computes something else: it differs by {worst:.1e} of the largest value")
            figures[name] = {"version": contender.version, "times": [], "differs": worst}
        ready = [contender for contender in contenders if contender.name in figures]
        for _ in range(rounds):
            for contender in ready:
                figures[contender.name]["times"] += contender.ask(run=seconds)
                time.sleep(PAUSE)
        for contender in ready:
            figures[contender.name]["memory"] = contender.ask(memory=True)
    finally:
        for contender in contenders:
            contender.close()
    return {name: summary(entry) for name, entry in figures.items()}


def summary(entry):
    """Median and quartiles of the times, in seconds."""
    times = sorted(entry.pop("times"))
    low, median, high = statistics.quantiles(times, n=4) if len(times) > 1 else times * 3
    return {**entry, "median": median, "quartiles": [low, high], "iterations": len(times)}
