"""`python -m mmsb`: the command `mmsb`."""

from mmsb.cli import main

if __name__ == "__main__":
    main()
