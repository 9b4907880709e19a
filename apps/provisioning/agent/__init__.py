"""The agent of one machine: the only process that starts Terraform. See `daemon.py` for its loop."""
