"""What is written when all clips are measured."""

import pandas as pd

from speechbrain_lmac import atomic
from speechbrain_lmac.evaluation import tables
from speechbrain_lmac.metrics import METRICS

FIRST = [*"clip method domain condition true predicted p o q".split(), *METRICS]


def write(folder, records, hparams):
    """Writes ``results.csv``, ``table.md``, ``table.tex`` and the figures.

    Arguments
    ---------
    folder : Path
        The results folder.
    records : list of dict
        Of the journal, one for each clip, in the order of the clips.
    hparams : dict
        The loaded yaml.

    Returns
    -------
    None
    """
    rows = pd.DataFrame([row for r in records for row in r.get("rows", [])])
    rows = rows[[*FIRST, *(c for c in rows.columns if c not in FIRST)]]
    atomic.write(folder / "results.csv", rows.to_csv(index=False))
    unreadable = [r["unreadable"] for r in records if "unreadable" in r]
    atomic.write(folder / "table.md", tables.markdown(rows, unreadable, hparams))
    print(f"{folder / 'table.md'}")
