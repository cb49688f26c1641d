"""The parts of ``vizsla evaluate``: systems, their lists, the curve, the report."""
