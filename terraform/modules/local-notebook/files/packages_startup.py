"""Make packages that were installed from a notebook (``%pip install``) importable.

The Python runtime is shared and read-only, so pip puts packages under ``.packages`` in your files, where they
survive a stop. They come after the runtime's own: what Slipway installed is never replaced by accident.
"""

import os as _os
import site as _site
import sysconfig as _sysconfig

_prefix = _os.environ.get("PIP_PREFIX")
if _prefix:
    _directory = _sysconfig.get_path("purelib", vars={"base": _prefix})
    # pip makes it with the first package; addsitedir only adds what exists.
    _os.makedirs(_directory, exist_ok=True)
    _site.addsitedir(_directory)
    del _directory
del _os, _site, _sysconfig, _prefix
