"""The Terraform provider `slipway`: volumes, Python runtimes and services of one machine, through its agent's socket.

It is started by Terraform several times a command, so it imports as little as it can and depends on nothing but `tf`.
"""

VERSION = "0.1.0"
ADDRESS = "slipway.local/slipway/slipway"
