"""pandas: rows by key, everything anew."""

from typing import Any

import pandas as pd

from flows import sums
from peers.case import Place


def grouped(_: Place) -> Any:
    keys, numbers = sums.rows()
    table = pd.DataFrame({"key": keys, "number": numbers})
    return lambda: table.groupby("key")["number"].sum().to_numpy(), lambda: None


sums.accumulated("pandas: groupby, sum", grouped)
