"""The public surface: what ``__all__`` promises is there, and the contracts promise these names."""

import ast
import json
import sys
from importlib import import_module
from pathlib import Path

import pytest

from vizsla import contracts, errors
from vizsla.contracts.bundle import Manifest
from vizsla.contracts.features import DatasetManifest
from vizsla.contracts.index import IndexManifest

GOLDEN = Path(__file__).parents[1] / "golden"

SURFACE = {
    "vizsla.contracts.bundle": (
        "FORMAT_VERSION ChangesRef DatasetRef FileEntry GateCheck GoldenRequest ItemColumn Manifest "
        "ModelRef RankerEntry ShardEntry ShardsManifest"
    ),
    "vizsla.contracts.events": (
        "DEADLETTER_TOPIC EVENTS_TOPIC ITEMS_TOPIC MAX_READ SCHEMA_VERSION DeadLetter EventLog "
        "EventRecord ItemChange LoggedRecord Position Tail"
    ),
    "vizsla.contracts.user_events": (
        "INTERACTIONS USER_EVENT Erasure Impression Interaction InteractionType Notice Profile "
        "UserEvent"
    ),
    "vizsla.contracts.features": (
        "ColumnRole DatasetManifest FrameSplit Order SideFeature SplitCounts TrainingFrame"
    ),
    "vizsla.contracts.fields": (
        "FIRST_KNOWN MISSING UNKNOWN BucketEncoding Encoding FieldKind FieldOwner FieldSpec "
        "HashEncoding LogEncoding VocabularyEncoding check_fields"
    ),
    "vizsla.contracts.explore_api": "MAX_N_STD Explore",
    "vizsla.contracts.importance": "Effect FieldImportance ImportanceReport",
    "vizsla.contracts.rank_api": (
        "MAX_RANKED RankItem RankRequest RankResponse RankedItem RankerInfo RankerResponse"
    ),
    "vizsla.contracts.ranking": "RankerField RankingSchema SearchRecord region_sizes",
    "vizsla.contracts.index": (
        "ComponentScorer GradientScorer IndexManifest MissingShard Mode ProxyScorer Query Retriever Scorer SearchOptions SearchResult "
        "SearchWork StopReason UpdatableScorer"
    ),
    "vizsla.contracts.placing": "ColumnScorer ItemPlacer",
    "vizsla.bundles": (
        "HASH_FUNCTION ITEM_NUMS_FILE LATEST_FILE TABLES_DIR Bundle BundleDiff BundleParts Change derive "
        "diff load locate narrowed_tables open_shard read_tables shard_content_hash shard_item_nums "
        "shard_name shard_numbers table_files vector_space verify_shard write"
    ),
    "vizsla.config": (
        "ENV_PREFIX LiveSettings Resolved SearchSettings ServingSettings Settings TelemetrySettings "
        "default_threads export_environment load_settings resolve_settings setting_fields "
        "use_config_file"
    ),
    "vizsla.registry": "Registry",
    "vizsla.vocabulary": "UNKNOWN Vocabulary",
}


@pytest.mark.parametrize("module", SURFACE)
def test_the_public_names_are_these(module):
    """Taking one away or adding one is a decision, so it is written down here too."""
    assert sorted(import_module(module).__all__) == sorted(SURFACE[module].split())


def test_every_all_is_sorted_and_true(source):
    """No module promises what it does not have."""
    for module, tree in source.trees.items():
        names = _all(tree)

        assert len(names) == len(set(names)), module
        assert set(names) <= source.defined(module), module


def test_the_contracts_need_nothing_heavy(source):
    """Contracts import the standard library, NumPy, Pydantic and each other."""
    allowed = {"__future__", "numpy", "pydantic", "pydantic_core", "vizsla"}
    for module in source.paths:
        if module.startswith(contracts.__name__) or module == errors.__name__:
            outside = set(_top_imports(source.trees[module])) - allowed - sys.stdlib_module_names
            assert outside == set(), module


@pytest.mark.parametrize("model", [Manifest, IndexManifest, DatasetManifest])
def test_a_manifest_written_by_an_older_version_is_still_read(model):
    """The golden file was written once; new fields need defaults, old ones stay."""
    text = (GOLDEN / f"{model.__name__}.json").read_text(encoding="utf-8")
    read = model.model_validate_json(text)

    assert json.loads(read.model_dump_json()).items() >= json.loads(text).items()


@pytest.mark.parametrize("model", [Manifest, IndexManifest, DatasetManifest])
def test_a_manifests_schema_changes_only_on_purpose(model):
    """Fields, types and defaults are those of the golden copy, which is changed with them."""
    golden = json.loads((GOLDEN / f"{model.__name__}.schema.json").read_text(encoding="utf-8"))

    assert _without_words(model.model_json_schema()) == _without_words(golden)


def _without_words(schema):
    """A schema without its descriptions."""
    if isinstance(schema, dict):
        kept = {
            key: value
            for key, value in schema.items()
            if not isinstance(value, str) or key != "description"
        }
        return {key: _without_words(value) for key, value in kept.items()}
    return [_without_words(part) for part in schema] if isinstance(schema, list) else schema


def _all(tree):
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


def _top_imports(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.partition(".")[0]
