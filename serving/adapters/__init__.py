"""The outside world: bundles, files, HTTP, metrics and logs behind the core's protocols."""
