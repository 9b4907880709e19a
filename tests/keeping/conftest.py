"""Fixtures shared by the tests of keys, doctor, backup and restore."""
