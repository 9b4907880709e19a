"""Pages of models: everybody of the team works on them, platform engineers and auditors look."""
