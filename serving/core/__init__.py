"""Pure decisions of a request: no web framework, no torch, no clock of its own."""
