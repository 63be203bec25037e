"""`python -m peers --rust PROGRAM`: mmsb as a store, beside stores."""

import sys

from peers.main import main
from peers.stores import STORES

if __name__ == "__main__":
    sys.exit(main(STORES))
