"""Reports as SVG charts for any browser, without external resources."""

from collections.abc import Sequence
from pathlib import Path

import pygal
from pygal.style import CleanStyle

from bridge.reports.expiring import ExpiringMonth
from bridge.reports.movements import Movements
from bridge.simulation.compare import Slice

# More labels would overlap.
_LABELS = 16
_STYLE = CleanStyle(guide_stroke_color="#ddd", major_guide_stroke_color="#bbb", opacity=".5")


def plot_movements(found: Sequence[Movements], file: Path) -> None:
    """Plot what came in, what went out, and what is owed at the end of each period."""
    chart = _chart(pygal.Line, "Dust in circulation", [each.start.isoformat() for each in found])
    chart.add("at the end", [each.closing for each in found], fill=True)
    chart.add("came in", [sum(dust for dust in each.moved.values() if dust > 0) for each in found])
    chart.add("went out", [-sum(dust for dust in each.moved.values() if dust < 0) for each in found])
    chart.render_to_file(str(file))


def plot_expiring(found: Sequence[ExpiringMonth], file: Path) -> None:
    """Plot the points that expire in each month; points that never expire are left out."""
    dated = [each for each in found if each.month is not None]
    chart = _chart(pygal.StackedBar, "Dust that expires, by month", [f"{each.month:%Y-%m}" for each in dated])
    chart.add("free", [each.dust - each.held for each in dated])
    chart.add("held", [each.held for each in dated])
    chart.add("pending", [each.pending for each in dated])
    chart.render_to_file(str(file))


def plot_simulation(months: Sequence[Slice], file: Path) -> None:
    """Plot what orders earn by the present and by the changed rules, by month."""
    chart = _chart(pygal.Bar, "Dust earned, by month", [each.name for each in months])
    chart.add("present rules", [each.now for each in months])
    chart.add("changed rules", [each.then for each in months])
    chart.render_to_file(str(file))


def _chart(kind: type[pygal.Graph], title: str, labels: Sequence[str]) -> pygal.Graph:
    return kind(
        # Pygal's tooltips would load a script from its own site.
        js=[],
        title=title,
        x_labels=labels,
        x_labels_major_every=max(1, len(labels) // _LABELS),
        show_minor_x_labels=False,
        x_label_rotation=40,
        show_dots=False,
        legend_at_bottom=True,
        formatter=lambda dust: f"{dust:,.0f}",
        style=_STYLE,
        disable_xml_declaration=False,
    )
