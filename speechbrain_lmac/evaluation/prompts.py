"""Whether a mask follows its prompt.

    python -m speechbrain_lmac.evaluation.prompts hparams/evaluate.yaml \\
        --data_folder DIR/ESC-50

Every clip is explained for the prompt that the classifier predicts, for the second
best, and for a wrong one drawn by lot. An explanation of a prompt that does not match
should be small: mask mean and similarity should rise together, over all pairs of clip
and prompt (the paper's scatter of both), and a wrong prompt should keep little.
"""

import sys
from functools import partial

import torch

from speechbrain_lmac.errors import ConfigError
from speechbrain_lmac.evaluation import command
from speechbrain_lmac.evaluation.rendering import Table
from speechbrain_lmac.evaluation.tables import METHODS
from speechbrain_lmac.explainers.base import hear_masked

ROLES = ("predicted", "second", "wrong")
ALIKE = 1e-3  # mask means that differ by less are the same


def choose_prompts(similarity, labels, wrong=1, seed=0):
    """The likeliest prompt, the second, and wrong ones.

    Arguments
    ---------
    similarity : torch.Tensor
        Of clips and prompts [n, P].
    labels : torch.Tensor
        Prompts of the clips' own classes [n].
    wrong : int
        How many wrong prompts at most, all different; none is the label or one of the
        first two, so there are at most P - 3.
    seed : int
        Of the lots.

    Returns
    -------
    torch.Tensor
        Numbers of prompts [n, 2 + wrong]; ConfigError where P is below 4.

    Example
    -------
    >>> similarity = torch.tensor([[0.1, 0.9, 0.2, 0.5]])
    >>> choose_prompts(similarity, torch.tensor([0])).tolist()
    [[1, 3, 2]]
    """
    # more than there are, and multinomial would draw what is not allowed
    wrong = min(wrong, similarity.shape[1] - 3)
    if wrong < 1:
        raise ConfigError(
            f"{similarity.shape[1]} prompts: a wrong one needs at least four"
        )
    best = similarity.topk(2).indices.cpu()
    draw = torch.Generator().manual_seed(seed)
    allowed = torch.ones(similarity.shape).scatter(1, best, 0.0)
    allowed.scatter_(1, labels.cpu().unsqueeze(1), 0.0)
    return torch.cat([best, allowed.multinomial(wrong, generator=draw)], 1)


def pairs(study, chosen):
    """Masks of all clips, by all methods, for each clip's own prompts.

    Arguments
    ---------
    study : Study
        What to explain.
    chosen : torch.Tensor
        Numbers of prompts [n, K].

    Yields
    ------
    tuple
        Numbers of the clips [B], their scene, the method's name, masks [B, K, F, T].
    """
    explainers = {name: make(study.classifier) for name, make in study.makers.items()}
    for rows, scene in study.scenes("explaining"):
        text = study.text[chosen[rows].to(study.text.device)]
        for name, explain in explainers.items():
            yield rows, scene, name, explain(scene, text)


@torch.no_grad()
def measure(study, wrong=1, seed=0):
    """What the masks of right and wrong prompts keep.

    Arguments
    ---------
    study : Study
        What to explain.
    wrong : int
        Wrong prompts for each clip, at most.
    seed : int
        Of their draw.

    Returns
    -------
    pandas.DataFrame
        Columns ``clip, method, prompt`` (one of ``ROLES``), ``sentence, similarity`` of
        clip and prompt, ``after`` masking, ``MM``, and ``energy``, the share of the
        clip's energy that is kept (0 for a silent clip).
    """
    import pandas as pd

    similarity = study.similarities().cpu()
    chosen = choose_prompts(similarity, study.labels, wrong, seed)
    roles = [*ROLES[:2], *[ROLES[2]] * (chosen.shape[1] - 2)]
    parts = []
    for rows, scene, name, masks in pairs(study, chosen):
        x = scene.energies.unsqueeze(1)
        kept = study.masking.keep(masks, x)
        total, left = (study.power(e).sum((-2, -1)) for e in (x, kept))
        energy = left / total.clamp(min=1e-30)
        heard = hear_masked(study.classifier, kept, study.domain)
        after = (heard * study.text[chosen[rows].to(heard.device)]).sum(-1)
        values = {
            "clip": [study.names[i] for i in rows for _ in roles],
            "method": name,
            "prompt": roles * len(rows),
            "sentence": [study.prompts[i] for i in chosen[rows].flatten()],
            "similarity": similarity[rows].gather(1, chosen[rows]).flatten().tolist(),
            "after": after.flatten().tolist(),
            "MM": masks.mean((-2, -1)).flatten().tolist(),
            "energy": energy.flatten().tolist(),
        }
        parts.append(pd.DataFrame(values))
    return pd.concat(parts, ignore_index=True)


def correlation(values, kind="pearson"):
    """Correlation of mask mean and similarity over all pairs of clip and prompt.

    Arguments
    ---------
    values : pandas.DataFrame
        Of one method, from :func:`measure`.
    kind : str
        ``pearson`` or ``spearman``.

    Returns
    -------
    float
        0 where all masks have the same mean, but for noise: they do not follow.
    """
    if values["MM"].std() < ALIKE or not values["similarity"].std():
        return 0.0
    return float(values["MM"].corr(values["similarity"], method=kind))


def energy_ratio(values):
    """What masks of wrong prompts keep, as a share of what predicted ones do.

    Arguments
    ---------
    values : pandas.DataFrame
        Of one method, from :func:`measure`.

    Returns
    -------
    float
        Of the means over clips.
    """
    wrong, predicted = (
        values["energy"][values["prompt"] == role].mean()
        for role in (ROLES[2], ROLES[0])
    )
    return float(wrong / max(predicted, 1e-12))


def summaries(values, cell, figure_cell):
    """The prompt test, and how well each method follows its prompt.

    Arguments
    ---------
    values : pandas.DataFrame
        From :func:`measure`.
    cell : callable
        From values to the text of their mean.
    figure_cell : callable
        From a figure of rows, and rows, to its text.

    Returns
    -------
    list of Table
    """
    columns = ["similarity", "MM", "energy", "after"]
    header = ["similarity", "mask mean", "energy kept", "similarity after masking"]
    test = Table("Prompt test", ["method", "prompt", *header])
    header = ["method", "Pearson", "Spearman", "energy kept, wrong / predicted"]
    follow = Table("Mask mean against similarity, over all pairs", header)
    for name, rows in values.groupby("method", sort=False):
        label = METHODS.get(name, name)
        for role in ROLES:
            own = rows[rows["prompt"] == role]
            test.rows.append([label, role, *[cell(own[c]) for c in columns]])
        figures = correlation, partial(correlation, kind="spearman"), energy_ratio
        follow.rows.append([label, *[figure_cell(f, rows) for f in figures]])
    return [follow, test]


def plot(values):
    """Mask mean against similarity: a panel for each method, a colour for each role.

    Arguments
    ---------
    values : pandas.DataFrame
        From :func:`measure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    methods = values["method"].unique()
    wide = min(4, len(methods))
    tall = -(-len(methods) // wide)
    figure = Figure(figsize=(3.4 * wide, 0.8 + 3 * tall), layout="constrained")
    axes = figure.subplots(tall, wide, squeeze=False, sharex=True)
    for axis, name in zip(axes.flat, methods, strict=False):
        own = values[values["method"] == name]
        for role in ROLES:
            some = own[own["prompt"] == role]
            axis.scatter(some["similarity"], some["MM"], s=8, alpha=0.6, label=role)
        axis.set_title(f"{METHODS.get(name, name)}, r = {correlation(own):.2f}")
        axis.set(ylim=(-0.03, 1.03), xlabel="similarity", ylabel="mask mean")
    for axis in axes.flat[len(methods) :]:
        axis.axis("off")
    handles = axes[0, 0].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=3, title="prompt")
    figure.suptitle("Mask mean against similarity of clip and prompt")
    return figure


def _check(asked):
    """The prompt test, from the command line to the files."""
    study = asked.study()
    values = measure(study, seed=asked.hparams["seed"])
    notes = [f"Brackets: 95 % bootstrap intervals over clips. {study.counted}"]
    tables = summaries(values, asked.cell, asked.figure_cell)
    asked.write("prompts", values, tables, {"prompts": plot(values)}, notes)


def main(arguments):
    """Command line; by default all explainers on 40 clips.

    Arguments
    ---------
    arguments : list of str
        As :func:`~speechbrain_lmac.evaluation.command.run` takes them.

    Returns
    -------
    int
        Exit code.
    """
    methods = list(METHODS)
    return command.run(_check, arguments, methods=methods, clips=40, domains=["stft"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
