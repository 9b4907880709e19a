"""Entry of the provider; started by the launcher in the filesystem mirror (see install.py), never by hand.

Runs as `python -I -S main.py --site <site-packages>`: without -S, processing every .pth file of the virtual
environment would delay each of Terraform's commands several times.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
if "--site" in sys.argv:
    sys.path.append(sys.argv[sys.argv.index("--site") + 1])

from slipway_provider.provider import SlipwayProvider
from slipway_provider.serve import serve

if __name__ == "__main__":
    serve(SlipwayProvider())
