"""Measures all that RESULTS.md has, and writes it.

    python benchmarks/results.py --data_folder DIR

``DIR`` holds ``ESC-50``, ``UrbanSound8K`` and ``LJSpeech-1.1`` as published. Commands
that are done are not run again, and those that were broken off go on; ``--sections``
picks some of them, and ``--write`` writes RESULTS.md from what is there. Delete the
folder of results where a definition or the weights have changed.
"""

import argparse
import hashlib
import json
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import ruamel.yaml
from sections import SECTIONS

from speechbrain_lmac.evaluation.tables import METHODS, mean_cell

ROOT = Path(__file__).resolve().parents[1]
# columns of the first table, and whether more is better
SHOWN = {"AI": True, "AD": False, "AG": True, "FidIn": True}
SURE = ("AI", "AD")  # of which the first table has the intervals
# of the bootstrap, as in the sections' own tables: no command has others
SETTINGS = ruamel.yaml.YAML().load(ROOT / "hparams" / "evaluate.yaml")
TAKEN = "taken.json"
MINI = ROOT / "speechbrain_lmac" / "pretrained" / "mini"
SHIPPED = {
    name: hashlib.sha256((MINI / f"{name}.safetensors").read_bytes()).hexdigest()
    for name in ("classifier", "decoder")
}
INTRODUCTION = """\
# What has been measured with `mini`

Written by `python benchmarks/results.py --data_folder DIR`, where `DIR` holds `ESC-50`,
`UrbanSound8K` and `LJSpeech-1.1` as published. ESC-50 fold 4 and UrbanSound8K fold 1
are in no training of classifier and decoder, nor is a recording that shares its source
with them; which candidate ships was chosen with figures of both in view. In training
the decoder has heard pairs of clips, and clips in white noise, so that of the
contaminations speech alone is new to it. Two CPU cores, seed 1. Brackets are 95 %
bootstrap intervals over clips. The seconds below a command are of its last call, which
goes on where it had been broken off (the decoders of the ablation, 4.5 to 7 minutes
each, were trained before); some were measured beside other work.

## At a glance: LMAC-ZS / the best of the other explainers

Bold where LMAC-ZS is ahead. AI and AD have their intervals, the sections those of all
figures. In `two_sources` the prompt is the clip's label: Fid-In is the share of clips
whose masked sound is taken for that class. Rows with more clips of a condition that is
there before are without SmoothGrad and Integrated Gradients."""

CONTROLS = """\
LMAC-ZS / the best of the controls but all ones. `control_ideal`, which knows the
sources, is in `two_sources` of 56 and of 400 clips:"""


def made_with(name):
    """What decides about a section's figures: the command, and what ships."""
    shipped = dict(SHIPPED)
    if name in ("ablation", "training_sets"):  # of decoders that they train themselves
        del shipped["decoder"]
    return {"command": SECTIONS[name][1]} | shipped


def taken(folder):
    """What a section took, as it would be made today; None: not measured."""
    file = folder / TAKEN
    told = json.loads(file.read_text()) if file.exists() else {}
    seconds, baselines = told.pop("seconds", None), told.pop("baselines", False)
    if seconds is None or told != made_with(folder.name):
        return None
    known = ", without the explainers that had been measured for another decoder"
    return f"{seconds} s{known if baselines else ''}."


def measure(name, data_folder, output, baselines=None):
    """Runs a section's command unless it is done; returns its exit code.

    ``baselines`` is such an output folder, of another decoder.
    """
    folder = output / name
    if taken(folder) is not None:
        return 0
    words = shlex.split(SECTIONS[name][1])
    words = [word.replace("DIR", str(data_folder)) for word in words]
    launcher = {"python": [], "torchrun": ["-m", "torch.distributed.run"]}[words[0]]
    command = [sys.executable, *launcher, *words[1:], "--output_folder", str(folder)]
    if words[1].startswith("benchmarks/"):
        command[command.index("--output_folder")] = "--output"
    before = baselines and "evaluate.py" in words and baselines / name
    if taken_over := bool(before and before.is_dir()):
        command[-2:-2] = ["--baselines_from", str(before)]
    print(shlex.join(command), flush=True)
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT).returncode
    if not code:
        seconds = round(time.monotonic() - started)
        told = {"seconds": seconds, "baselines": taken_over} | made_with(name)
        (folder / TAKEN).write_text(json.dumps(told))
    return code


def at_a_glance(output, controls=False):
    """LMAC-ZS beside the best of the others, for each set, condition and domain."""
    header = ["set", "condition", "masks on", "clips", *SHOWN]
    rows = [header, ["---"] * len(header)]
    for name in SECTIONS:
        file = output / name / "results.csv"
        if not name.startswith(("esc50", "urbansound8k")) or taken(file.parent) is None:
            continue
        title = SECTIONS[name][0].split(",")[0]
        values = pd.read_csv(file)
        ruled_out = values["method"].str.startswith("control_")
        if controls:
            ruled_out = ~ruled_out & (values["method"] != "lmac_zs")
            ruled_out |= values["method"] == "control_ones"
        values = values[~ruled_out]
        for (condition, domain), part in values.groupby(
            ["condition", "domain"], sort=False
        ):
            if set(part["method"]) == {"lmac_zs"}:  # measured against controls alone
                continue
            cells = [beside(part, metric) for metric in SHOWN]
            clips = str(part["clip"].nunique())
            rows.append([title, condition, domain, clips, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def beside(rows, metric):
    """Ours, bold where it is better than the best of the others, and that one."""
    values = dict(list(rows.groupby("method")[metric]))
    means = pd.Series({name: own.mean() for name, own in values.items()})
    others, more = means.drop("lmac_zs"), SHOWN[metric]
    best = others.idxmax() if more else others.idxmin()
    ours, theirs = means["lmac_zs"], means[best]
    samples, seed = SETTINGS["bootstrap_samples"], SETTINGS["seed"]
    cells = {
        name: mean_cell(values[name], samples, seed).split(" ", 1)
        if metric in SURE
        else [f"{means[name]:.3g}"]
        for name in ("lmac_zs", best)
    }
    if ours > theirs if more else ours < theirs:
        cells["lmac_zs"][0] = f"**{cells['lmac_zs'][0]}**"
    first, second = map(" ".join, cells.values())
    return f"{first} / {second} ({METHODS.get(best, best)})"


def write(output, file):
    """RESULTS.md from the sections that are done."""
    parts = [INTRODUCTION, at_a_glance(output)]
    parts += [CONTROLS, at_a_glance(output, controls=True)]
    for name, (title, command, tables) in SECTIONS.items():
        cost = taken(output / name)
        if cost is None:
            parts += [f"## {title}", "Not measured."]
            continue
        text = (output / name / tables).read_text()
        if text.startswith("# "):  # the section has a title of its own
            text = text.partition("\n")[2]
        text = text.replace("\n## ", "\n### ").replace(f"{output}/", "").strip()
        parts += [f"## {title}", f"```bash\n{command}\n```", cost, text]
    file.write_text("\n\n".join(parts) + "\n")
    print(file)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_folder", type=Path, help="holds the data sets' folders")
    parser.add_argument("--output", type=Path, default=ROOT / "results" / "benchmarks")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=[*SECTIONS])
    parser.add_argument(
        "--baselines", type=Path, help="--output of another decoder: not measured anew"
    )
    parser.add_argument("--write", action="store_true", help="measure nothing")
    options = parser.parse_args()
    if not options.write:
        if not options.data_folder:
            parser.error("--data_folder is needed to measure")
        for name in options.sections:
            code = measure(
                name, options.data_folder.resolve(), options.output, options.baselines
            )
            if code:
                return code
    write(options.output, ROOT / "benchmarks" / "RESULTS.md")
    return 0


if __name__ == "__main__":
    sys.exit(main())
