"""Measurements of the portal against the bare tools it is made of. `python -m bench --help`."""
