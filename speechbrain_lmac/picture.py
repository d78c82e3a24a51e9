"""How an explanation looks."""

import io
import textwrap
import warnings


def draw(explanation, rows):
    """Spectrogram and mask side by side, a row for each prompt.

    Arguments
    ---------
    explanation : Explanation
        Of a clip.
    rows : sequence of int
        Numbers of the prompts.

    Returns
    -------
    matplotlib.figure.Figure
        With axes in seconds and kHz; it belongs to no window and needs no closing.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 0.4 + 2.8 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), 2, squeeze=False, sharex=True, sharey=True)
    step = -(
        -explanation.magnitude.shape[1] // 2000
    )  # a long clip has more than pixels
    level = explanation.magnitude[:, ::step].clamp(min=1e-9).log10().mul(20)
    top = max(float(level.max()), -60.0)  # silence is shown as dark
    extent = (
        0,
        len(explanation.original) / explanation.sample_rate,
        0,
        explanation.sample_rate / 2000,
    )
    look = {"origin": "lower", "aspect": "auto", "extent": extent}
    for (left, right), row in zip(axes, rows, strict=True):
        shown = left.imshow(
            level.numpy(), vmin=top - 80, vmax=top, cmap="magma", **look
        )
        figure.colorbar(shown, ax=left, label="dB")
        mask = explanation.mask[row, :, ::step].numpy()
        shown = right.imshow(mask, vmin=0, vmax=1, cmap="viridis", **look)
        figure.colorbar(shown, ax=right, label="mask")
        before = float(explanation.similarity.before[row])
        left.set_title(f"the clip, similarity {before:.2f}")
        # a prompt may hold dollar signs, which are no formula
        name = textwrap.shorten(explanation.prompts[row], 48, placeholder="…")
        right.set_title(name, parse_math=False)
        left.set_ylabel("frequency (kHz)")
    for axis in axes[-1]:
        axis.set_xlabel("time (s)")
    return figure


def png(figure):
    """A figure as the bytes of a PNG file.

    Arguments
    ---------
    figure : matplotlib.figure.Figure
        Any.

    Returns
    -------
    bytes
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    file = io.BytesIO()
    FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a script that the font lacks
        figure.savefig(file, format="png", dpi=100)
    return file.getvalue()
