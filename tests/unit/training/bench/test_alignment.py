"""What the alignment study makes of its rows."""

import pytest

from training.bench.alignment import ARMS, JUDGED, OFF, alignment_targets, choose
from training.bench.alignment_plot import PLACES, VARIANTS


def summary(dataset, arm, recall, coverage, *, clear=True):
    """The coverage of ``off`` is 0.9; both parts are alike."""
    row = {"dataset": dataset, "arm": arm}
    for part in ("validation", "test"):
        row[f"{part}_recall_at_20"] = [recall, None, None]
        row[f"{part}_{JUDGED}"] = [coverage, None, None]
        if arm != OFF:
            row[f"{part}_{JUDGED}_gain"] = [coverage - 0.9, None, None]
            row[f"{part}_{JUDGED}_clear"] = clear
    return row


BASE = [summary("a", OFF, 0.2, 0.9), summary("b", OFF, 0.4, 0.9)]


def test_the_largest_clear_gain_is_chosen():
    """Two arms qualify; the second gains more on average."""
    rows = [*BASE, summary("a", "sign-0.1", 0.2, 0.91), summary("b", "sign-0.1", 0.4, 0.91)]
    rows += [summary("a", "sign-0.3", 0.2, 0.95), summary("b", "sign-0.3", 0.4, 0.9, clear=False)]

    assert choose(rows) == "sign-0.3"


@pytest.mark.parametrize(
    ("recall", "coverage", "clear"),
    [(0.1985, 0.95, True), (0.2, 0.95, False), (0.2, 0.85, True)],
    ids=["recall falls by 0.75 %", "gain not clear", "clearly worse"],
)
def test_an_arm_that_does_not_qualify_leaves_the_task_off(recall, coverage, clear):
    """The task has to earn its cost."""
    rows = [*BASE, summary("a", "sign-0.3", recall, coverage, clear=clear)]
    rows += [summary("b", "sign-0.3", 0.4, 0.9, clear=False)]

    assert choose(rows) == OFF


def test_a_clear_loss_on_one_dataset_outweighs_a_gain_on_the_other():
    """One default serves both."""
    rows = [*BASE, summary("a", "sign-1", 0.2, 0.99), summary("b", "sign-1", 0.4, 0.89)]

    assert choose(rows) == OFF


def test_an_arm_has_to_be_trained_on_every_dataset():
    """A study that was cut short chooses among whole arms."""
    assert choose([*BASE, summary("a", "sign-1", 0.2, 0.99)]) == OFF


def test_targets_are_about_the_chosen_arm_on_test():
    """Recall is kept to 99.75 %, coverage rises by 0.05."""
    rows = [*BASE, summary("a", "sign-0.3", 0.1995, 0.95), summary("b", "sign-0.3", 0.4, 0.95)]
    targets = list(alignment_targets(rows))

    assert [target.value for target in targets] == pytest.approx([0.9975, 1.0, 0.05, 0.05])
    assert all(target.met for target in targets)
    assert "sign-0.3 (chosen) over off" in targets[0].name


def test_off_has_nothing_to_keep():
    """Nothing was gained and nothing lost."""
    assert [target.value for target in alignment_targets(BASE)] == [None, None]


def test_every_arm_has_a_place_in_the_picture():
    """A new arm is not forgotten there."""
    assert {arm.name for arm in ARMS} == {*PLACES, *VARIANTS}
