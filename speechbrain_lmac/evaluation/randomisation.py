"""Cascading randomisation: a map must change when the classifier forgets.

    python -m speechbrain_lmac.evaluation.randomisation hparams/evaluate.yaml \\
        --data_folder DIR/ESC-50

The audio encoder's blocks are drawn anew one by one, from the top (J. Adebayo et al.,
"Sanity checks for saliency maps", 2018; the paper's randomisation test). After each,
the clips are heard again, every method explains the same prompt, and its map is
compared with the one before by structural similarity. A method whose maps stay shows
the clip and not what the classifier makes of it.
"""

import copy
import sys

import torch

from speechbrain_lmac.evaluation import command, settings, ssim
from speechbrain_lmac.evaluation.rendering import Table
from speechbrain_lmac.evaluation.tables import METHODS

_STATISTICS = ("running_mean", "running_var")


@torch.no_grad()
def randomise(module, generator):
    """Draws all that a module has learned anew, in place.

    Norms lose their gains, shifts and running statistics too: left alone, they would
    keep much of what was learned.

    Arguments
    ---------
    module : torch.nn.Module
        On any device; weights get the spread of He's initialisation, gains and
        variances are uniform in [0.5, 1.5], the rest is normal of spread 0.1.
    generator : torch.Generator
        Of the CPU.

    Example
    -------
    >>> layer = torch.nn.BatchNorm1d(4)
    >>> randomise(layer, torch.Generator().manual_seed(0))
    >>> bool((layer.running_mean == 0).any() or (layer.weight == 1).any())
    False
    """
    for part in module.modules():
        # other buffers are no weights: HTSAT keeps the masks of its windows as one
        counted = [x for x in part.named_buffers(recurse=False) if x[0] in _STATISTICS]
        for name, tensor in [*part.named_parameters(recurse=False), *counted]:
            if tensor.dim() > 1:
                spread = (2 * len(tensor) / tensor.numel()) ** 0.5
                drawn = spread * torch.randn(tensor.shape, generator=generator)
            elif name in ("weight", "running_var"):
                drawn = 0.5 + torch.rand(tensor.shape, generator=generator)
            else:
                drawn = 0.1 * torch.randn(tensor.shape, generator=generator)
            tensor.copy_(drawn)


def cascade(classifier, seed=0):
    """A classifier that forgets more and more.

    Arguments
    ---------
    classifier : ZeroShotClassifier
        Left as it is: the cascade works on a copy.
    seed : int
        Of the draws.

    Yields
    ------
    name : str
        ``trained`` at first, then the block that was randomised last.
    copied : ZeroShotClassifier
        The copy, the same one each time.
    """
    copied = copy.deepcopy(classifier)
    generator = torch.Generator().manual_seed(seed)
    blocks = copied.audio_blocks()
    yield "trained", copied
    for name, block in blocks:
        randomise(block, generator)
        yield name, copied


def measure(study, seed=0):
    """Similarity of the maps of every clip after every step.

    Every map is for the prompt that the trained classifier predicts.

    Arguments
    ---------
    study : Study
        Its classifier must name its ``audio_blocks``.
    seed : int
        Of the draws.

    Returns
    -------
    values : pandas.DataFrame
        Columns ``clip, method, step, block, SSIM`` (0 where the map vanished), ``plain
        SSIM, vanished, MM``; step 0 is the trained classifier.
    strip : dict
        Of the clip that the classifier is surest of: ``clip``, its name, ``blocks``,
        and ``maps`` [steps, F, T] by method.
    """
    import pandas as pd

    similarity = study.similarities()
    predicted = study.text[similarity.argmax(1)].unsqueeze(1)
    shares = torch.softmax(study.classifier.temperature * similarity, 1)
    sure = int(shares.amax(1).argmax())
    parts, before, strip = [], {}, {name: [] for name in study.makers}
    blocks = []
    for step, (block, classifier) in enumerate(cascade(study.classifier, seed)):
        blocks.append(block)
        explainers = {name: make(classifier) for name, make in study.makers.items()}
        for rows, scene in study.scenes(f"{step}: {block}", classifier):
            for name, explain in explainers.items():
                maps = explain(scene, predicted[rows]).squeeze(1).float()
                first = before.setdefault((name, int(rows[0])), maps)
                values = {
                    "clip": [study.names[i] for i in rows],
                    "method": name,
                    "step": step,
                    "block": block,
                    "SSIM": ssim.map_similarity(first, maps).tolist(),
                    "plain SSIM": ssim.structural_similarity(first, maps).tolist(),
                    "vanished": ssim.vanished(first, maps).int().tolist(),
                    "MM": maps.mean((1, 2)).tolist(),
                }
                parts.append(pd.DataFrame(values))
                strip[name] += [
                    one.cpu() for i, one in zip(rows, maps, strict=True) if i == sure
                ]
    strip = {name: torch.stack(maps) for name, maps in strip.items()}
    strip = {"clip": study.names[sure], "blocks": blocks, "maps": strip}
    return pd.concat(parts, ignore_index=True), strip


def summary(values, cell):
    """Means over clips: a row for each method and step.

    Arguments
    ---------
    values : pandas.DataFrame
        From :func:`measure`.
    cell : callable
        From values to the text of their mean.

    Returns
    -------
    Table
    """
    header = ["method", "randomised down to", "SSIM", "vanished", "plain SSIM", "MM"]
    table = Table("Maps after randomising the audio encoder from the top", header)
    order = values.groupby(["method", "step"], sort=False)
    for name in values["method"].unique():
        for step, block in enumerate(values["block"].unique()):
            rows = order.get_group((name, step))
            gone = f"{100 * rows['vanished'].mean():.0f} %"
            cells = [cell(rows["SSIM"]), gone, cell(rows["plain SSIM"])]
            table.rows.append(
                [METHODS.get(name, name), block, *cells, cell(rows["MM"])]
            )
    return table


def plot_curve(values):
    """SSIM over the randomised blocks, with the quartiles of the clips.

    Arguments
    ---------
    values : pandas.DataFrame
        From :func:`measure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.5, 4.2), layout="constrained")
    axis = figure.subplots()
    for name, rows in values.groupby("method", sort=False):
        steps = rows.groupby("step")["SSIM"]
        (line,) = axis.plot(steps.mean(), marker="o", label=METHODS.get(name, name))
        low, high = steps.quantile(0.25), steps.quantile(0.75)
        axis.fill_between(low.index, low, high, color=line.get_color(), alpha=0.12)
    axis.set_xticks(values["step"].unique(), values["block"].unique())
    axis.set(ylim=(-0.05, 1.05), xlabel="randomised from the top down to")
    axis.set_ylabel("SSIM, mean and quartiles")
    axis.set_title("Maps before and after randomising the audio encoder")
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small")
    return figure


def plot_strip(strip):
    """The maps of one clip: a row for each method, a column for each step.

    Arguments
    ---------
    strip : dict
        From :func:`measure`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.figure import Figure

    blocks, maps = strip["blocks"], strip["maps"]
    size = (1.0 + 1.6 * len(blocks), 0.8 + 1.5 * len(maps))
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(len(maps), len(blocks), squeeze=False)
    look = {"origin": "lower", "aspect": "auto", "vmin": 0, "vmax": 1}
    for row, (name, steps) in zip(axes, maps.items(), strict=True):
        row[0].set_ylabel(METHODS.get(name, name))
        for axis, one in zip(row, steps, strict=True):
            shown = axis.imshow(one.numpy(), cmap="viridis", **look)
            axis.set(xticks=[], yticks=[])
    for axis, block in zip(axes[0], blocks, strict=True):
        axis.set_title(block)
    figure.colorbar(shown, ax=axes, label="mask")
    figure.suptitle(f"Clip {strip['clip']}: maps, randomised from the top down to ...")
    return figure


def _check(asked):
    """Cascading randomisation, from the command line to the files."""
    settings.check_scale(asked.hparams)
    study = asked.study()
    values, strip = measure(study, asked.hparams["seed"])
    drawn = {
        "randomisation": plot_curve(values),
        "randomisation_strip": plot_strip(strip),
    }
    notes = [
        "SSIM of maps with those of the trained classifier; 0 for a map that vanished "
        f"(less than {ssim.VANISHED} of the other's mean), which plain SSIM takes for "
        "similar to a sparse one.",
        study.counted,
    ]
    table = summary(values, asked.cell)
    asked.write("randomisation", values, [table], drawn, notes)


def main(arguments):
    """Command line; by default LMAC-ZS and the CAM family on 40 clips.

    Arguments
    ---------
    arguments : list of str
        As :func:`~speechbrain_lmac.evaluation.command.run` takes them.

    Returns
    -------
    int
        Exit code.
    """
    methods = ["lmac_zs", "gradcam", "gradcam++", "scorecam", "gscorecam"]
    return command.run(_check, arguments, methods=methods, clips=40, domains=["stft"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
