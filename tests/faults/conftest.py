"""One portal for all the tests of a module; `SLIPWAY_E2E_*` is not heeded, because these tests kill what they find."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import port_free
from tests.faults.portal_under_fault import PortalUnderFault


@pytest.fixture(scope="module")
def broken() -> Iterator[PortalUnderFault]:
    """A whole portal of this module's own, with nothing on it but the demo."""
    data = Path(tempfile.mkdtemp(prefix="slipway-fault-")) / "data"
    data.mkdir(mode=0o700)
    portal = PortalUnderFault(data, port_free())
    yield portal
    portal.close()
