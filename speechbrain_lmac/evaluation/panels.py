"""Side by side: clip by method by prompt, as in the paper's qualitative figure.

    python -m speechbrain_lmac.evaluation.panels hparams/evaluate.yaml \\
        --data_folder DIR/ESC-50 --clips 4

An explanation that listens to its prompt is nearly empty for a wrong one.
"""

import sys
import textwrap

from speechbrain_lmac.evaluation import command, prompts
from speechbrain_lmac.evaluation.rendering import Table
from speechbrain_lmac.evaluation.tables import METHODS


def draw(study, seed=0):
    """Spectrograms, and every method's masks for a right and a wrong prompt.

    Arguments
    ---------
    study : Study
        Few clips. The right prompt is the predicted one, the wrong one is drawn.
    seed : int
        Of the draw.

    Returns
    -------
    matplotlib.figure.Figure
        A row for each clip.
    values : pandas.DataFrame
        Columns ``clip, method, prompt, sentence, similarity, MM``.
    """
    import pandas as pd
    from matplotlib.figure import Figure

    similarity = study.similarities().cpu()
    chosen = prompts.choose_prompts(similarity, study.labels, seed=seed)[:, [0, 2]]
    high, wide = len(study.names), 1 + 2 * len(study.makers)
    size = (2.3 * wide, 0.8 + 2.1 * high)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(high, wide, squeeze=False)
    place = {name: 1 + 2 * i for i, name in enumerate(study.makers)}
    look, values = {"origin": "lower", "aspect": "auto"}, []
    for rows, scene, name, masks in prompts.pairs(study, chosen):
        for b, i in enumerate(rows.tolist()):
            if place[name] == 1:
                power = study.power(scene.energies[b]).cpu()
                level = 10 * power.clamp(min=1e-12).log10()
                top = max(float(level.max()), -60.0)  # silence is shown as dark
                sound = {"vmin": top - 80, "vmax": top, "cmap": "magma"}
                axes[i, 0].imshow(level.numpy(), **sound, **look)
                axes[i, 0].set_title(study.names[i], fontsize=8)
            for k, role in enumerate(("right", "wrong")):
                number = int(chosen[i, k])
                axis, near = axes[i, place[name] + k], float(similarity[i, number])
                shown = axis.imshow(
                    masks[b, k].cpu().numpy(), vmin=0, vmax=1, cmap="viridis", **look
                )
                label = METHODS.get(name, name)
                said = textwrap.shorten(study.classes[number], 24, placeholder="…")
                axis.set_title(f"{label}, {role}:\n{said}, {near:.2f}", fontsize=8)
                about = [study.names[i], name, role, study.prompts[number], near]
                values.append([*about, float(masks[b, k].mean())])
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    figure.colorbar(shown, ax=axes, label="mask", shrink=0.6)
    figure.suptitle("Masks for the predicted and for a wrong prompt (similarity)")
    columns = ["clip", "method", "prompt", "sentence", "similarity", "MM"]
    return figure, pd.DataFrame(values, columns=columns)


def _check(asked):
    """The panels, from the command line to the files."""
    study = asked.study()
    figure, values = draw(study, asked.hparams["seed"])
    table = Table("Masks of the figure", list(values.columns))
    for row in values.itertuples(index=False):
        names = [METHODS.get(x, x) for x in row[:4]]
        table.rows.append([*names, *[f"{x:.3f}" for x in row[4:]]])
    notes = [study.counted]
    asked.write("panels", values, [table], {"panels": figure}, notes)


def main(arguments):
    """Command line; by default LMAC-ZS and Grad-CAM++, the paper's, on 4 clips.

    Arguments
    ---------
    arguments : list of str
        As :func:`~speechbrain_lmac.evaluation.command.run` takes them.

    Returns
    -------
    int
        Exit code.
    """
    methods = ["lmac_zs", "gradcam++"]
    return command.run(_check, arguments, methods=methods, clips=4, domains=["stft"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
