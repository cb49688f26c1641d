"""Jobs in processes of their own, one torch thread each: all cores busy, none fought over.

A process per job, and a fresh one: nothing that one arm leaves behind reaches the next.
"""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Any, NamedTuple

from vizsla.cli_output import err_console
from vizsla.errors import TrainingError, VizslaError

__all__ = ["Job", "n_cores", "run_jobs"]

Job = Callable[[], Any]
"""Work without arguments, such as a ``functools.partial`` of a function of a module: it is sent
to another process, and so is what it returns."""


class _Running(NamedTuple):
    name: str
    process: BaseProcess
    answer: Connection


def n_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run_jobs(jobs: Mapping[str, Job], workers: int) -> Iterator[tuple[str, Any]]:
    """Run all jobs, some at a time, and yield name and result of each as it ends.

    When a job fails, or the caller is interrupted or killed, the running ones are asked to
    end (SIGTERM; a training then writes its checkpoint), and waited for while there is
    somebody to wait.

    Args:
        jobs: Name to work; started in this order.
        workers: Jobs at a time, at least 1.

    Raises:
        VizslaError: Whatever the first job to fail raised.
        TrainingError: A job failed otherwise; its traceback is on stderr.

    Example:
        >>> dict(run_jobs({}, workers=2))
        {}
    """
    waiting, running = list(jobs.items()), list[_Running]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                running.append(_start(*waiting.pop(0)))
            ready = wait([job.answer for job in running])
            for job in [job for job in running if job.answer in ready]:
                running.remove(job)
                yield job.name, _result(job)
    finally:
        _end(running)


def _start(name: str, job: Job) -> _Running:
    context = get_context("spawn")  # a fork of a process with threads can hang
    receive, send = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(job, send), name=name, daemon=True)
    process.start()
    send.close()  # so that the death of the process is an end of file here
    return _Running(name, process, receive)


def _result(job: _Running) -> Any:
    try:
        done, value = job.answer.recv()
    except EOFError:
        job.process.join()
        raise TrainingError(
            f"{job.name}: its process ended with status {job.process.exitcode} and no answer; "
            "run the same command to go on"
        ) from None
    job.process.join()
    if done:
        return value
    raise value


def _end(running: list[_Running]) -> None:
    for job in running:
        job.process.terminate()
    for job in running:
        job.process.join()
        job.answer.close()


def _work(job: Job, answer: Connection) -> None:
    """Do the job in a new process; Ctrl-C reaches only the caller, who passes it on."""
    import torch

    os.setpgid(0, 0)
    Thread(target=_end_with_caller, daemon=True).start()
    torch.set_num_threads(1)
    err_console.quiet = True  # the caller's bar tells; remarks of many jobs at once tell nothing
    with suppress(BrokenPipeError):  # nobody waits for the answer any more
        answer.send(_outcome(job))


def _outcome(job: Job) -> tuple[bool, Any]:
    try:
        return True, job()
    except VizslaError as error:
        return False, error
    except Exception:  # noqa: BLE001 - whatever it is, the caller is told in one line
        traceback.print_exc()
        return False, TrainingError("a job failed: its traceback is above")


def _end_with_caller() -> None:
    """End this process when the one that started it is gone, however it went."""
    caller = parent_process()
    if caller is not None:
        wait([caller.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
