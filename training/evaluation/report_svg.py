"""Plots of a report as inline SVG; their colours come from the page's style, light or dark."""

from collections.abc import Sequence
from html import escape

from training.evaluation.figures import Curve, Figure
from training.evaluation.resampling import Estimate

_ROW = 26
_LABEL = 310
_PLOT = 440
_VALUE = 150


def intervals(figures: Sequence[Figure], labels: Sequence[str]) -> str:
    """Each figure as a point with its interval between 0 and 1; the baseline's hollow, below it."""
    height = _ROW * len(figures) + 30
    body = [_scale(height)]
    for number, (figure, label) in enumerate(zip(figures, labels, strict=True)):
        y = _ROW * number + 24
        body.append(f'<text class="label" x="{_LABEL - 10}" y="{y + 4}">{escape(label)}</text>')
        if figure.baseline:
            body.append(_point(figure.baseline, y + 5, "base"))
        body.append(_point(figure.estimate, y - (3 if figure.baseline else 0), "own"))
        body.append(
            f'<text class="number" x="{_LABEL + _PLOT + 14}" y="{y + 4}">{_said(figure)}</text>'
        )
    title = "Figures with 95 % intervals"
    return _svg(_LABEL + _PLOT + _VALUE, height, title, "".join(body))


def confusion(matrix: Sequence[Sequence[int]], names: Sequence[str]) -> str:
    """A heat map: rows are classes, columns what their photos were taken for."""
    cell = max(8, min(22, 760 // len(names)))
    left = top = 150
    size = cell * len(names)
    body = []
    for row, counts in enumerate(matrix):
        y = top + cell * row
        total = max(1, sum(counts))
        body.append(
            f'<text class="label small" x="{left - 6}" y="{y + cell * 0.75:.1f}">'
            f"{escape(names[row])}</text>"
        )
        x = left + cell * row
        body.append(
            f'<text class="small" transform="translate({x + cell * 0.75:.1f} {top - 6}) '
            f'rotate(-90)">{escape(names[row])}</text>'
        )
        body += [
            f'<rect class="{"right" if row == column else "wrong"}" x="{left + cell * column}" '
            f'y="{y}" width="{cell - 1}" height="{cell - 1}" '
            f'fill-opacity="{0.12 + 0.88 * count / total:.2f}">'
            f"<title>{escape(names[row])} taken for {escape(names[column])}: "
            f"{count} of {total}</title></rect>"
            for column, count in enumerate(counts)
            if count
        ]
    frame = f'<rect class="frame" x="{left}" y="{top}" width="{size}" height="{size}"/>'
    return _svg(left + size + 4, top + size + 4, "Confusion matrix", frame + "".join(body))


def reliability(curve: Curve) -> str:
    """Confidence against the share that is right; on the diagonal, confidences hold."""
    side, margin = 184, 36
    points = [(margin + side * b.share, 10 + side * (1 - b.right), b) for b in curve.bins]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y, _ in points)
    ticks = "".join(
        f'<text class="small middle" x="{margin + side * v:.0f}" y="{side + 26}">{v:g}</text>'
        f'<text class="small end" x="{margin - 6}" y="{14 + side * (1 - v):.0f}">{v:g}</text>'
        for v in (0, 0.5, 1)
    )
    dots = "".join(
        f'<circle class="own" cx="{x:.1f}" cy="{y:.1f}" r="4"><title>confidence {b.share:.3f}, '
        f"right {b.right:.3f}, {b.count} results</title></circle>"
        for x, y, b in points
    )
    body = (
        f'<rect class="frame" x="{margin}" y="10" width="{side}" height="{side}"/>'
        f'<line class="diagonal" x1="{margin}" y1="{10 + side}" x2="{margin + side}" y2="10"/>'
        f'<polyline class="line" points="{line}"/>{dots}{ticks}'
        f'<text class="small middle" x="{margin + side / 2}" y="{side + 42}">confidence</text>'
    )
    return _svg(margin + side + 14, side + 50, f"Reliability: {curve.kind}", body)


def bar(share: float) -> str:
    """A share as a small bar for a table's cell."""
    return (
        '<svg class="bar" viewBox="0 0 100 10" width="90" height="10" aria-hidden="true">'
        '<rect class="track" width="100" height="10" rx="2"/>'
        f'<rect class="own" width="{100 * share:.1f}" height="10" rx="2"/></svg>'
    )


def _scale(height: int) -> str:
    lines = []
    for tenth in range(0, 11, 2):
        x = _LABEL + _PLOT * tenth / 10
        lines.append(
            f'<line class="grid" x1="{x:.0f}" x2="{x:.0f}" y1="12" y2="{height - 16}"/>'
            f'<text class="small middle" x="{x:.0f}" y="{height - 3}">{tenth / 10:g}</text>'
        )
    return "".join(lines)


def _point(estimate: Estimate, y: float, kind: str) -> str:
    low, value, high = (_LABEL + _PLOT * v for v in (estimate.low, estimate.value, estimate.high))
    return (
        f'<line class="{kind}" x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}"/>'
        f'<circle class="{kind}" cx="{value:.1f}" cy="{y}" r="4.5"/>'
    )


def _said(figure: Figure) -> str:
    said = f"{figure.estimate.value:.3f}"
    if figure.difference:
        said += f" ({figure.difference.value:+.3f})"
    return said


def _svg(width: float, height: float, title: str, body: str) -> str:
    return (
        f'<svg viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>{body}</svg>'
    )
