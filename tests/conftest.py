"""Settings shared by all tests: how hard Hypothesis tries."""

import os

from hypothesis import settings

# `campaign` is for the long searches of `make campaign`; the seed of a failure is printed in both.
settings.register_profile("quick", max_examples=50, deadline=None, print_blob=True)
settings.register_profile("campaign", max_examples=5_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("MMSB_TEST_PROFILE", "quick"))
