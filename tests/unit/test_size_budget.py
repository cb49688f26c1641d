"""The size budget of the product's code; the allow-list may only shrink."""

import ast
import statistics

import networkx as nx

ALLOWED_LONG = set()
"""``module:function`` that may be longer than 80 lines: none, and it stays so."""


def function_lines(source):
    """Lines of every function without its docstring, by ``module:name:line``."""
    for module, tree in source.trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                text = ast.get_docstring(node) is not None
                docstring = node.body[0].end_lineno - node.body[0].lineno + 1 if text else 0
                lines = node.end_lineno - node.lineno + 1 - docstring
                yield f"{module}:{node.name}:{node.lineno}", lines


def test_functions_are_short(source):
    """Median at most 8 lines, at most 2.5 % over 50, none over 80."""
    lengths = dict(function_lines(source))
    over_50 = sorted(name for name, lines in lengths.items() if lines > 50)

    assert statistics.median(lengths.values()) <= 8
    assert len(over_50) <= 0.025 * len(lengths), over_50
    assert {name for name, lines in lengths.items() if lines > 80} <= ALLOWED_LONG


def test_files_are_short(source):
    """Median at most 120 lines, none over 500."""
    lengths = {name: len(path.read_text().splitlines()) for name, path in source.paths.items()}

    assert statistics.median(lengths.values()) <= 120
    assert {name for name, lines in lengths.items() if lines > 500} == set()


def test_no_two_modules_import_each_other(source):
    """The graph of imports has no cycle."""
    graph = nx.DiGraph(
        (module, target)
        for module in source.paths
        for target in source.imports(module, lazy=False)
        if target != module and not module.startswith(f"{target}.")
    )
    cycles = [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]

    assert cycles == []
