"""The error tree: each class with its status, and able to travel between processes."""

import copy

import pytest

from vizsla import errors
from vizsla.errors import FieldProblem, InvalidRequestError, VizslaError

CLASSES = [
    value
    for name in errors.__all__
    if isinstance(value := getattr(errors, name), type) and issubclass(value, VizslaError)
]


@pytest.mark.parametrize("kind", CLASSES)
def test_statuses_make_sense(kind):
    """An HTTP error status, an exit status that is not success, a slug for the problem type."""
    assert 400 <= kind.status < 600
    assert 1 <= kind.exit_code <= 5
    assert kind.slug == kind.slug.lower().replace("_", "-")


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_being_taken_apart_and_put_together(kind):
    """As it happens on the way from a worker process."""
    error = kind("what is wrong")
    twin = copy.deepcopy(error)

    assert type(twin) is kind
    assert str(twin) == str(error) == "what is wrong"


def test_field_problems_travel_too():
    """A refused request still says which fields after the journey."""
    problems = (FieldProblem("/k", "must be at least 1"),)
    twin = copy.deepcopy(InvalidRequestError("1 field is wrong", problems))

    assert twin.problems == problems
    assert str(twin) == "1 field is wrong"


def test_the_drawn_tree_is_the_real_one():
    """The picture at the top of the module names every class, and only those."""
    drawn = {word for word in errors.__doc__.split() if word.endswith("Error")}

    assert drawn == {kind.__name__ for kind in CLASSES}
