"""What an operator sees: the metric catalogue, the metrics themselves, and structured logs."""
