"""Every table of names agrees with its folder, in both directions."""

import ast


def registries(source):
    """Every module-level ``NAME = Registry(kind, {...})``: its module, name, kind and lines."""
    for module, tree in source.trees.items():
        for node in tree.body:
            call = getattr(node, "value", None)
            if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Registry":
                yield module, *map(ast.literal_eval, call.args)


def test_every_line_resolves(source):
    """What is registered is defined in the module that the line names."""
    found = list(registries(source))

    assert found
    for module, kind, lines in found:
        assert kind, module
        for name, target in lines.items():
            place, _, attribute = target.partition(":")
            assert attribute in source.defined(place), f"{kind} {name!r} of {module}"


def test_every_file_is_registered_or_used(source):
    """A file beside registered ones that nothing imports is one that somebody forgot to register."""
    used = {
        target
        for module in source.paths
        for target in source.imports(module, lazy=True) | _named(source.trees[module])
    }
    for module, kind, lines in registries(source):
        for package in {target.partition(":")[0].rpartition(".")[0] for target in lines.values()}:
            beside = {name for name in source.paths if name.rpartition(".")[0] == package}
            forgotten = set() if module in beside else beside - used
            assert forgotten == set(), f"no {kind} in {module}, and nothing imports them"


def _named(tree):
    """Modules named in the text of ``"module:attribute"`` strings: lines of registries."""
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return {text.partition(":")[0] for text in strings if isinstance(text, str) and ":" in text}
