"""What the benches ask for, on rows made by hand."""

from training.bench.spine import spine_targets


def rival(dataset, system, low, high):
    ends = {
        f"lead_{m}_{e}": v for m in ("recall", "ndcg") for e, v in (("low", low), ("high", high))
    }
    return {"step": dataset, "kind": "rival", "system": system, **ends}


def curve(dataset, series, share, coverage):
    row = {"kind": "curve", "series": series, "scored_ratio": share, "coverage_at_50": coverage}
    return {"step": dataset, "system": f"{series} {share}", **row}


def test_a_clear_lead_is_asked_for_on_ml_1m():
    """The lower end of the interval, for recall and for NDCG."""
    targets = list(spine_targets([rival("ml-1m", "ease", -0.01, 0.05)], ["ml-1m"]))

    assert [target.met for target in targets] == [False, False]
    assert targets[0].name == "ml-1m: recall@20, matcher minus ease, lower end"


def test_not_being_worse_is_asked_for_on_ml_100k():
    """The upper end of the interval must reach zero."""
    rows = [rival("ml-100k", "ease", -0.01, 0.05), rival("ml-100k", "item_knn", -0.05, -0.01)]
    targets = list(spine_targets(rows, ["ml-100k"]))

    assert [target.met for target in targets] == [True, True, False, False]


def test_coverage_counts_only_within_the_share_of_items():
    """A better walk that scores more does not meet the target."""
    rows = [
        curve("diginetica", "medoids", 0.11, 0.96),
        curve("diginetica", "medoids", 0.13, 0.99),
        curve("diginetica", "proxy", 0.04, 0.98),
    ]
    medoids, proxy = spine_targets(rows, ["diginetica"])

    assert (medoids.value, medoids.met) == (0.96, False)
    assert (proxy.value, proxy.met) == (0.98, True)


def test_a_curve_without_a_point_within_the_share_is_not_met():
    """Nothing measured is nothing shown."""
    targets = list(spine_targets([], ["gowalla"]))

    assert [target.value for target in targets] == [None, None]
