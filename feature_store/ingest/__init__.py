"""From the event log into features."""
