"""One contender: waits for work on standard input, one line of JSON a question, and answers with one line.

{"prepare": work}  builds the model, runs the work once and answers some of its numbers
{"run": seconds}   one iteration that is not counted, then for so long: answers their times
{"memory": true}   peak resident memory less that after import, in MB
"""

import json
import os
import resource
import sys
import time


def resident():
    """MB of memory now; the peak is not asked for, it may lie before."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def main(name, threads, answers):
    for variable in ("OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    import contenders

    def answer(function):
        try:
            result = {"answer": function()}
        except Exception as error:
            result = {"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"}
        answers.write(json.dumps(result) + "\n")
        answers.flush()

    contender = None

    def start():
        nonlocal contender
        contender = contenders.new(name, threads)
        return contender.version

    answer(start)
    after_import, iteration = resident(), None

    def prepare(work):
        nonlocal iteration
        iteration, first = contender.prepare(work)
        return first

    def run(seconds):
        iteration()
        times, begin = [], time.perf_counter()
        while not times or time.perf_counter() - begin < seconds:
            start = time.perf_counter()
            iteration()
            times.append(time.perf_counter() - start)
        return times

    def memory():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3 - after_import

    for line in sys.stdin:
        question = json.loads(line)
        if "prepare" in question:
            answer(lambda work=question["prepare"]: prepare(work))
        elif "run" in question:
            answer(lambda seconds=question["run"]: run(seconds))
        else:
            answer(memory)


if __name__ == "__main__":
    talk = os.fdopen(os.dup(1), "w")  # libraries print what they like; that goes to stderr
    os.dup2(2, 1)
    main(sys.argv[1], int(sys.argv[2]), talk)
