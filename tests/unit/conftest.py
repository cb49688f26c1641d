"""Fixtures of the tests about the shape of the code."""

import ast
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("vizsla", "feature_store", "training", "graph_index", "serving", "edge", "loadtest")


class ProductSource:
    """The product's own source, parsed once, by dotted module name."""

    @cached_property
    def paths(self):
        """Every module's path."""
        found = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
        return {_dotted(path): path for path in found}

    @cached_property
    def trees(self):
        """Every module's syntax tree."""
        return {name: ast.parse(path.read_text("utf-8")) for name, path in self.paths.items()}

    def imports(self, module, *, lazy):
        """Modules of the product that a module imports; ``lazy`` counts those in functions too."""
        nodes = ast.walk(self.trees[module]) if lazy else _run_at_import(self.trees[module])
        found = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found.update(names & self.paths.keys() or {node.module})
        return found & self.paths.keys()

    def defined(self, module):
        """Names that a module defines or imports at its top level."""
        return {name for node in self.trees[module].body for name in _bound(node)}


def _dotted(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _run_at_import(node):
    """Nodes that run when the module is imported: not functions, not type checking."""
    for child in ast.iter_child_nodes(node):
        hidden = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checking = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
        if not hidden and not checking:
            yield child
            yield from _run_at_import(child)


def _bound(node):
    """Names that a top-level statement defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Import | ast.ImportFrom):
        yield from (alias.asname or alias.name for alias in node.names)
    elif isinstance(node, ast.Assign):
        yield from (
            name.id
            for target in node.targets
            for name in ast.walk(target)
            if isinstance(name, ast.Name)
        )
    elif isinstance(node, ast.AnnAssign):
        yield node.target.id
    elif isinstance(node, ast.If | ast.Try):
        yield from (name for child in ast.iter_child_nodes(node) for name in _bound(child))


@pytest.fixture(scope="session")
def source():
    """The product's own source."""
    return ProductSource()
