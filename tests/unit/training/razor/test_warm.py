import numpy as np
import torch

from training.ctr.loop import train_ranker
from training.ctr.settings import RankerSettings
from training.razor import PruneSettings, prune
from training.razor.warm import warm_weights
from vizsla.models.ranker import to_inputs

SETTINGS = RankerSettings(model="dnn", epochs=1, batch_size=256, model_settings={"hidden": [8]})


def test_kept_columns_are_what_the_supernet_showed_its_layers(searched, planted):
    schema = prune(searched.result, PruneSettings(threshold=0.3))
    weights = warm_weights(searched, schema)
    rows = planted[1].take(np.arange(50))
    trained = train_ranker(schema, rows, rows.take(np.arange(0)), SETTINGS, 0)
    trained.ranker.load_state_dict(trained.ranker.state_dict() | weights)
    searched.model.eval()

    with torch.no_grad():
        seen = searched.embeddings(to_inputs(searched.model.schema, rows)).vectors["strong"]
        kept = trained.ranker.embeddings(to_inputs(schema, rows)).vectors["strong"]
    distances = (kept.T[:, None] - seen.T).abs().amax(2).min(1).values

    assert kept.shape[1] < seen.shape[1]
    assert distances.max() < 1e-6


def test_a_warm_start_trains_on(searched, planted):
    schema = prune(searched.result, PruneSettings(threshold=0.3))
    rows = planted[1]
    train, valid = rows.take(np.arange(4_000)), rows.take(np.arange(4_000, 5_000))
    cold, warm = (
        train_ranker(schema, train, valid, SETTINGS, 0, weights=weights).metrics["auc"]
        for weights in (None, warm_weights(searched, schema))
    )

    assert warm > cold
