import numpy as np
import pytest
from hypothesis import given, strategies as st

from training.razor import PruneSettings, RazorSettings, SearchResult, curve, prune
from training.razor.prune import kept_regions, n_parameters, widths_at
from vizsla.errors import UsageError

THRESHOLDS = st.floats(0.01, 0.99)


def make_result(schema, probabilities, widths=(0, 1, 2)):
    return SearchResult(
        schema_full=schema,
        probabilities=probabilities,
        settings=RazorSettings(widths=widths),
        seed=0,
        n_steps=1,
        n_rows=1,
        losses=(0.5,),
        search_s=1.0,
    )


@pytest.fixture
def two(make_schema):
    """Two fields of 12 and 60 rows."""
    return make_schema(["strong", "weak"], dim=2)


def test_worked_examples_of_the_threshold(make_schema):
    result = make_result(make_schema(["strong"], dim=2), {"strong": (0.1, 0.5, 0.4)})

    assert widths_at(result, 0.6) == {"strong": 1 + 1}
    assert widths_at(result, 0.45) == {"strong": 1}


def test_regions_that_are_not_neighbours_may_be_kept():
    """4 + 8 of 0, 1, 2, 4, 8, 16, 30: region 3 has 2 columns, region 4 has 4, region 5 has 8."""
    assert kept_regions([0.1, 0.05, 0.05, 0.4, 0.05, 0.3, 0.05], 0.6) == [3, 5]


def test_expected_widths_drop_only_what_is_likely_useless(two):
    """0.5 x 1 + 0.4 x 1 is 0.9, rounded up; "weak" has no columns with 0.95."""
    result = make_result(two, {"strong": (0.1, 0.5, 0.4), "weak": (0.95, 0.03, 0.02)})
    cut = [prune(result, PruneSettings(rule="expected", threshold=one)) for one in (0.9, 0.96)]

    assert [[field.dim for field in schema.fields] for schema in cut] == [[1, 0], [1, 1]]


@given(low=THRESHOLDS, high=THRESHOLDS)
def test_a_larger_threshold_never_keeps_less_by_expectation(make_schema, low, high):
    fields = make_schema(["strong", "weak"], dim=2)
    result = make_result(fields, {"strong": (0.6, 0.3, 0.1), "weak": (0.3, 0.3, 0.4)})
    less, more = (widths_at(result, one, "expected") for one in sorted([low, high]))

    assert all(less[name] <= more[name] for name in less)


def test_a_field_whose_likeliest_region_has_no_columns_is_dropped(two):
    result = make_result(two, {"strong": (0.1, 0.8, 0.1), "weak": (0.7, 0.2, 0.1)})
    schema = prune(result, PruneSettings(threshold=0.5))

    assert [field.dim for field in schema.fields] == [1, 0]
    assert [field.spec.name for field in schema.kept] == ["strong"]


def test_dropping_everything_is_refused(two):
    result = make_result(two, {"strong": (0.9, 0.1, 0.0), "weak": (0.8, 0.1, 0.1)})
    with pytest.raises(UsageError, match=r"razor\.threshold=0\.3"):
        prune(result, PruneSettings(threshold=0.3))


def test_the_record_says_how_to_get_the_same_again(two):
    result = make_result(two, {"strong": (0.1, 0.5, 0.4), "weak": (0.2, 0.7, 0.1)})
    schema = prune(result, PruneSettings(threshold=0.6))

    assert schema.search.method == "razor"
    assert schema.search.settings["threshold"] == 0.6
    assert schema.search.parent == two.schema_id
    assert schema.fields[0].probabilities == (0.1, 0.5, 0.4)


@st.composite
def _results(draw):
    weights = draw(st.lists(st.integers(1, 100), min_size=4, max_size=4))
    return tuple(weight / sum(weights) for weight in weights)


@given(low=THRESHOLDS, high=THRESHOLDS, found=_results())
def test_a_higher_threshold_keeps_no_less(low, high, found):
    """Whatever was kept stays kept, so the number of parameters rises with the threshold."""
    low, high = sorted((low, high))

    assert set(kept_regions(found, low)) <= set(kept_regions(found, high))


@given(first=_results(), second=_results(), budget=st.integers(12, 400))
def test_a_budget_is_kept_and_used(first, second, budget, make_schema):
    schema = make_schema(["strong", "weak"], dim=4)
    result = make_result(schema, {"strong": first, "weak": second}, widths=(0, 1, 2, 4))
    try:
        found = prune(result, PruneSettings(budget=budget))
    except UsageError as error:
        assert str(budget) in str(error)  # noqa: PT017 - most draws do fit
        return

    assert 0 < found.n_parameters <= budget
    if found.search.settings["max_width"] is None:
        more = [one.n_parameters for one in curve(result) if one.n_parameters > found.n_parameters]
        assert all(size > budget for size in more)


def test_where_no_threshold_fits_the_budget_widths_are_capped(two):
    result = make_result(two, {"strong": (0.0, 0.2, 0.8), "weak": (0.0, 0.2, 0.8)}, (0, 1, 4))
    schema = prune(result, PruneSettings(budget=150))

    assert [field.dim for field in schema.fields] == [2, 2]
    assert schema.n_parameters == 12 * 2 + 60 * 2


def test_a_budget_that_nothing_fits_says_what_would(two):
    result = make_result(two, {"strong": (0.0, 1.0, 0.0), "weak": (0.0, 1.0, 0.0)})
    with pytest.raises(UsageError, match="72 is the least"):
        prune(result, PruneSettings(budget=71))


def test_a_wide_field_is_capped(searched):
    schema = prune(searched, PruneSettings(threshold=0.9, max_width=3))

    assert max(field.dim for field in schema.fields) == 3


def test_a_field_that_shares_widens_the_table_it_reads(make_schema):
    schema = make_schema(["weak", "history"], dim=2)
    result = make_result(schema, {"weak": (0.1, 0.8, 0.1), "history": (0.1, 0.45, 0.45)})

    assert widths_at(result, 0.5) == {"weak": 2, "history": 2}


def test_a_table_stays_as_long_as_one_field_reads_it(make_schema):
    schema = make_schema(["weak", "history"], dim=2)
    result = make_result(schema, {"weak": (0.8, 0.1, 0.1), "history": (0.1, 0.8, 0.1)})

    assert widths_at(result, 0.5) == {"weak": 1, "history": 1}


def test_one_search_gives_the_whole_curve(searched):
    sizes = [schema.n_parameters for schema in curve(searched)]

    assert sizes == sorted(sizes)
    assert len(set(sizes)) > 3
    assert sizes[-1] <= n_parameters(
        searched.schema_full, dict.fromkeys(searched.probabilities, 30)
    )


def test_a_threshold_with_a_budget_keeps_its_fields_and_narrows_them(two):
    """Both keep two columns, 144 entries; one column of each is 72."""
    result = make_result(two, {"strong": (0.2, 0.4, 0.4), "weak": (0.2, 0.4, 0.4)})
    both = PruneSettings(threshold=0.6, budget=143)
    alone = PruneSettings(threshold=0.6, budget=144)

    assert [field.dim for field in prune(result, both).fields] == [1, 1]
    assert [field.dim for field in prune(result, alone).fields] == [2, 2]


def test_where_no_width_fits_the_threshold_gives_way(two):
    """12 entries hold one column of the smaller field alone."""
    result = make_result(two, {"strong": (0.1, 0.5, 0.4), "weak": (0.45, 0.3, 0.25)})
    schema = prune(result, PruneSettings(threshold=0.6, budget=12))

    assert [field.dim for field in schema.fields] == [1, 0]


def test_probabilities_of_another_number_of_regions_are_refused(two):
    with pytest.raises(ValueError, match="3 probabilities"):
        make_result(two, {"strong": tuple(np.full(4, 0.25)), "weak": (1.0, 0.0, 0.0)})


@pytest.mark.parametrize("rule", ["cumulative", "expected"])
def test_a_budget_where_every_field_is_surely_useless_is_refused(two, rule):
    sure = (1.0, 0.0, 0.0)
    result = make_result(two, {"strong": sure, "weak": sure})

    with pytest.raises(UsageError, match="no field is left"):
        prune(result, PruneSettings(rule=rule, budget=10))
