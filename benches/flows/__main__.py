"""`python -m flows --rust COMMAND`: propagation and products, beside libraries for them."""

import sys

from flows.subject import FLOWS
from peers.main import main

if __name__ == "__main__":
    sys.exit(main(FLOWS))
