"""A table, in Markdown and in LaTeX."""

from dataclasses import dataclass, field


@dataclass
class Table:
    """Cells as text, whatever they are printed in.

    Arguments
    ---------
    title : str
        One line.
    header : list of str
        Of the columns; the first is that of the methods.
    rows : list of list of str
        As many cells each.
    """

    title: str
    header: list
    rows: list = field(default_factory=list)


def markdown(table):
    """A table in Markdown.

    Arguments
    ---------
    table : Table
        Of any kind.

    Returns
    -------
    str

    Example
    -------
    >>> print(markdown(Table("T", ["method", "AI"], [["LMAC-ZS", "70"]])))
    **T**
    <BLANKLINE>
    | method | AI |
    |---|---|
    | LMAC-ZS | 70 |
    """
    lines = [table.header, *table.rows]
    lines = ["| " + " | ".join(cells) + " |" for cells in lines]
    lines.insert(1, "|" + "---|" * len(table.header))
    return "\n".join([f"**{table.title}**", "", *lines])


def latex(table, context):
    """A table in LaTeX, to be read in by a document that uses graphicx.

    Arguments
    ---------
    table : Table
        Of any kind.
    context : str
        Goes before the title in the caption.

    Returns
    -------
    str
    """
    lines = [r"\begin{table}", r"\centering", r"\footnotesize"]
    lines += [rf"\caption{{{_escape(f'{context}. {table.title}')}.}}"]
    lines += [r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"]
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(table.header) - 1)}}}", r"\hline"]
    lines += [" & ".join(map(_escape, table.header)) + r" \\", r"\hline"]
    lines += [" & ".join(map(_escape, cells)) + r" \\" for cells in table.rows]
    return "\n".join([*lines, r"\hline", r"\end{tabular}}", r"\end{table}"])


def _escape(text):
    for sign in "&%$#_{}":
        text = text.replace(sign, "\\" + sign)
    return text.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$")
