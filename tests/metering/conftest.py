from tests.provisioning.conftest import change, dana, lease, pete, workspace

__all__ = ["change", "dana", "lease", "pete", "workspace"]
