"""The main job from end to end: the same commands a user would run, in order.

Every step is a subprocess of the public command line, so that what the
quickstart shows can be typed by hand; a step whose result is already there is
quick.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from vizsla.clock import SystemClock
from vizsla.config import export_environment, load_settings
from vizsla.errors import NotFoundError, VizslaError

__all__ = ["quickstart"]

DATASET = "ml-100k"
FRAME = "ml-100k-ctr"
ITEM_COLUMNS = ("item_events=n_interactions",)
"""Item fields of the frame that the bundle's items hold under another name."""
BIDS = (0.2, 0.4, 0.6)
N_STEPS = 9
N_REQUESTS = 200
START_LIMIT_S = 120.0
CLOCK = SystemClock()


def quickstart(
    stop_at_end: Annotated[
        bool, typer.Option("--exit", help="Stop the server at the end instead of leaving it up.")
    ] = False,
    embedded: Annotated[
        bool, typer.Option(help="Serve with plain uvicorn instead of Ray Serve.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="Port of the server.")] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Folder with MovieLens-100K, if offline; the labelled rows come from it too.",
        ),
    ] = None,
) -> None:
    """Fetch MovieLens-100K, train matcher and ranker, build the graph, serve it, and ask it things."""
    started_s = CLOCK.monotonic_s()
    settings = load_settings()
    port = settings.serving.port if port is None else port
    run = settings.home / "quickstart"
    offline = ["--from", str(source)] if source else []
    _step(1, "fetch MovieLens-100K", ["data", "fetch", DATASET, *offline])
    _step(2, "train the deep matcher", _training(DATASET, run))
    _step(3, "build the similarity graph", ["index", "build", str(run)])
    _ranker(run, settings.home / "quickstart-ranker", offline)
    _evaluate(7, run)
    url = f"http://127.0.0.1:{port}"
    _say(8, "start the server", ["serve", str(run), "--port", str(port)])
    with _server(run, port, embedded=embedded) as server:
        _wait_until_ready(server, url)
        measured = _ask(url, _users(run))
        _summary(run, measured, CLOCK.monotonic_s() - started_s)
        if not stop_at_end:
            _stay(server, url)
    if stop_at_end:
        print("\nserver stopped (--exit). Start it again with: make serve")


def _say(number: int, title: str, arguments: Sequence[str]) -> None:
    print(f"\n[{number}/{N_STEPS}] {title}\n      vizsla {' '.join(arguments)}", flush=True)


def _command(arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "vizsla", *arguments]


def _step(number: int, title: str, arguments: Sequence[str]) -> None:
    _say(number, title, arguments)
    started_s = CLOCK.monotonic_s()
    code = subprocess.run(_command(arguments), check=False).returncode
    if code:
        raise VizslaError(f"step {number} ({title}) failed; run it again by hand to see more")
    print(f"      done in {CLOCK.monotonic_s() - started_s:.0f} s", flush=True)


def _training(data: str, out: Path, *options: str) -> list[str]:
    """Return a command that also goes on where a quickstart before was stopped."""
    return ["train", "--data", data, "--out", str(out), *options, "--resume"]


def _ranker(run: Path, out: Path, offline: Sequence[str]) -> None:
    """Train a ranker on the same ratings as labelled rows, and put it into the newest bundle."""
    _step(4, "fetch the ratings as labelled rows", ["data", "fetch", FRAME, *offline])
    # the full model beside it would only be looked at
    razor = _training(FRAME, out, "--recipe", "razor", "--set", "compare=false")
    _step(5, "find the fields of a ranker and train it", razor)
    attach = ["bundle", "attach-ranker", str(run), "--ranker", str(out / "pruned")]
    columns = [part for column in ITEM_COLUMNS for part in ("--column", column)]
    _step(6, "put the ranker into the bundle", [*attach, *columns])


def _evaluate(number: int, run: Path) -> None:
    """Evaluate the newest bundle, unless its tables are there already."""
    newest = Path((run / "latest_bundle").read_text(encoding="utf-8").strip()).name
    tables = run / "evaluation" / newest
    if (tables / "evaluation.json").is_file():
        _say(number, "evaluate on held-out data", ["evaluate", str(run)])
        print(f"      done before: {tables}", flush=True)
        return
    _step(number, "evaluate on held-out data", ["evaluate", str(run)])


@contextmanager
def _server(run: Path, port: int, *, embedded: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Run the server, and stop it however the block ends."""
    mode = ["--embedded"] if embedded else []
    export_environment({"VIZSLA_TELEMETRY__ACCESS_LOG": "false"})
    server = subprocess.Popen(_command(["serve", str(run), "--port", str(port), *mode]))
    try:
        yield server
    finally:
        if server.poll() is None:
            server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def _wait_until_ready(server: subprocess.Popen[bytes], url: str) -> None:
    """Wait for a green ``/readyz``, or fail as soon as the server has ended."""
    until_s = CLOCK.monotonic_s() + START_LIMIT_S
    pause = threading.Event()
    while CLOCK.monotonic_s() < until_s:
        if server.poll() is not None:
            raise VizslaError("the server ended before it was ready; its message is above")
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2):
                return
        except OSError:
            pause.wait(0.2)
    raise VizslaError(f"the server was not ready after {START_LIMIT_S:.0f} s")


def _users(run: Path) -> list[str]:
    import pyarrow.parquet as pq

    path = run / "users.parquet"
    if not path.is_file():
        raise NotFoundError(f"{path} is missing; train again with --fresh")
    ids: list[str] = pq.read_table(path, columns=["user_id"])["user_id"].to_pylist()
    return ids


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            answer: dict[str, Any] = json.load(response)
            return answer
    except urllib.error.HTTPError as error:
        raise VizslaError(f"{url} answered {error.code}: {error.read(500)!r}") from None


def _ask(url: str, users: list[str]) -> dict[str, float]:
    """Send requests one after the other, show the first answers, and time the rest."""
    slate = {"user_id": users[0], "k": 5}
    _say_request(f"\n[{N_STEPS}/{N_STEPS}] ask it", f"{url}/v1/recommend", slate)
    items = _post(f"{url}/v1/recommend", slate)["items"]
    titles = {item["item_id"]: _title(url, item["item_id"]) for item in items}
    _print_items(["pctr"], items, titles)
    bids = [
        {"item_id": item["item_id"], "bid": bid} for item, bid in zip(items, BIDS, strict=False)
    ]
    asked = {"user_id": users[0], "items": bids}
    _say_request("      and with a bid per click", f"{url}/v1/rank", asked)
    _print_items(["ecpm", "pctr"], _ranked(f"{url}/v1/rank", asked), titles)
    times_ms = []
    for number in range(N_REQUESTS):
        started_s = CLOCK.monotonic_s()
        _post(f"{url}/v1/retrieve", {"user_id": users[number % len(users)], "k": 20})
        times_ms.append(1e3 * (CLOCK.monotonic_s() - started_s))
    cuts = statistics.quantiles(times_ms, n=100)
    return {"p50_ms": cuts[49], "p99_ms": cuts[98]}


def _ranked(url: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the ranked items, which the ranker has to know: frame and catalogue share their ids."""
    items: list[dict[str, Any]] = _post(url, asked)["items"]
    strange = [item["item_id"] for item in items if not item["known"]]
    if strange:
        raise VizslaError(f"{url}: item {strange[0]} is not in the catalogue")
    return items


def _say_request(title: str, url: str, body: dict[str, Any]) -> None:
    print(f"{title}\n      curl -s {url} -H 'Content-Type: application/json'")
    print(f"           -d '{json.dumps(body)}'", flush=True)


def _title(url: str, item_id: str) -> str:
    with urllib.request.urlopen(f"{url}/v1/items/{item_id}", timeout=10) as response:
        return str(json.load(response)["attributes"].get("title") or item_id)


def _print_items(
    columns: Sequence[str], items: Sequence[dict[str, Any]], titles: dict[str, str]
) -> None:
    print("        " + "".join(f"{name:>8}  " for name in columns))
    for item in items:
        figures = "".join(f"{_figure(item[name]):>8}  " for name in columns)
        print(f"        {figures}{titles[item['item_id']]}", flush=True)


def _figure(value: float | None) -> str:
    """Return a figure as text; an answer in degraded mode, of a slow ranker, has none."""
    return "-" if value is None else f"{value:.3f}"


def _summary(run: Path, measured: dict[str, float], total_s: float) -> None:
    from vizsla.cli_output import print_table

    rows = [
        ["requests answered", f"{N_REQUESTS}, no error"],
        ["p50 / p99 of one request", f"{measured['p50_ms']:.1f} / {measured['p99_ms']:.1f} ms"],
        ["whole quickstart", f"{total_s:.0f} s"],
        ["tables and pictures", str(run / "evaluation")],
    ]
    print()
    print_table("Vizsla quickstart", ["measured", "value"], rows)


def _stay(server: subprocess.Popen[bytes], url: str) -> None:
    print(f"\nThe server is up at {url}; Ctrl-C stops it. Try next:")
    print(f"  {url}/docs                        the API, with examples")
    print("  docs/own-data.md                  your own CSV to answers in ten minutes")
    print("  vizsla bundle show .vizsla/quickstart")
    print("  vizsla train --data ml-100k --out .vizsla/mine --set stage2.epochs=4", flush=True)
    try:
        server.wait()
    except KeyboardInterrupt:
        print("\nstopping", flush=True)
