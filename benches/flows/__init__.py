"""What follows from others, and is kept: mmsb beside libraries for that, in one run."""
