"""`python -m processes`: state shared between processes, beside other ways to share it."""

import sys

from peers.main import main
from processes.subject import PROCESSES

if __name__ == "__main__":
    sys.exit(main(PROCESSES))
