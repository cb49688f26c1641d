"""Tiny datasets, fakes and conformance suites that we publish for tests, ours and yours."""
