"""The online server: pure decisions in core, transport around them."""
