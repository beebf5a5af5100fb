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


def plot_movements(periods: Sequence[Movements], file: Path) -> None:
    """Plot what came in, what went out, and what is owed at the end of each period."""
    chart = _chart(pygal.Line, "Points owed", [period.start.isoformat() for period in periods])
    chart.add("at the end", [period.closing for period in periods], fill=True)
    chart.add("came in", [sum(dust for dust in period.moved.values() if dust > 0) for period in periods])
    chart.add("went out", [-sum(dust for dust in period.moved.values() if dust < 0) for period in periods])
    chart.render_to_file(str(file))


def plot_expiring(months: Sequence[ExpiringMonth], file: Path) -> None:
    """Plot the points that expire in each month; points that never expire are left out."""
    dated = [month for month in months if month.month is not None]
    chart = _chart(pygal.StackedBar, "Points that expire, by month", [f"{month.month:%Y-%m}" for month in dated])
    chart.add("free", [month.dust - month.held for month in dated])
    chart.add("held", [month.held for month in dated])
    chart.add("pending", [month.pending for month in dated])
    chart.render_to_file(str(file))


def plot_simulation(months: Sequence[Slice], file: Path) -> None:
    """Plot what orders earn by the present and by the changed rules, by month."""
    chart = _chart(pygal.Bar, "Points earned, by month", [month.name for month in months])
    chart.add("present rules", [month.now for month in months])
    chart.add("changed rules", [month.then for month in months])
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
        formatter=lambda points: f"{points:,.0f}",
        style=_STYLE,
        disable_xml_declaration=False,
    )
