"""Makes, joins and drops columns of 1 to 7 MB; sizes drift from batch to batch; small results stay."""
import numpy as np
import pandas as pd

rng = np.random.default_rng(5)
kept = []
for batch in range(8):
    n = 120_000 + 80_000 * (batch * 7 % 8)
    frame = pd.DataFrame({"k": rng.integers(0, 5000, n), "a": rng.random(n), "b": rng.random(n),
                          "s": rng.integers(0, 300, n).astype(str)})
    groups = frame.groupby("k").agg({"a": "sum", "b": "mean"})
    joined = frame.merge(groups, left_on="k", right_index=True).sort_values("a_x")
    assert len(joined) == n and abs(groups.a.sum() - frame.a.sum()) < 1e-3
    kept += [joined.iloc[:200].copy(), groups.describe()]
    del frame, joined, groups
assert len(kept) == 16
