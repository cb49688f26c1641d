"""Clients of the event log; each implements ``vizsla.contracts.events.EventLog``."""
