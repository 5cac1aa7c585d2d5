# Copyright (C) 2026 the ganeti-virtio-rng authors
# SPDX-License-Identifier: BSD-2-Clause

"""The pictures of what was measured."""

import statistics

import pygal
import pygal.style

# Colours that the colour-blind can tell apart; the ground makes the text
# readable wherever the picture is shown.
_STYLE = pygal.style.Style(
  background="#ffffff", plot_background="#ffffff", foreground="#333333",
  foreground_strong="#111111", foreground_subtle="#666666", opacity="1",
  opacity_hover=".8", transition="0s", font_family="sans-serif",
  colors=("#999999", "#0072b2", "#e69f00"), title_font_size=18,
  legend_font_size=15, label_font_size=14, major_label_font_size=14,
  value_font_size=13, value_colors=("#111111",) * 3)

_OPTIONS = {
  "style": _STYLE, "js": [], "no_prefix": True, "width": 900, "height": 380,
  "explicit_size": True, "legend_at_bottom": True,
  "legend_at_bottom_columns": 3, "truncate_label": -1, "print_values": True,
  "print_values_position": "top", "margin": 16,
  }


def draw(folder, costs, boots):
  """Draws both.

  @type folder: Path
  @type costs: dict
  @param costs: name of a Debian release -> list of L{hook.Cost}
  @type boots: dict
  @param boots: what L{guests.measure} returns

  """
  folder.mkdir(exist_ok=True)
  _draw_guests(boots).render_to_file(str(folder / "guests.svg"))
  _draw_hook(costs).render_to_file(str(folder / "hook.svg"))


def _draw_guests(boots):
  chart = pygal.Bar(
    title="Seconds that a guest's first program waits for randomness",
    formatter=lambda value: "%.2f" % value, min_scale=4, **_OPTIONS)
  chart.x_labels = list(dict.fromkeys(kernel for kernel, _ in boots))
  for value in dict.fromkeys(value for _, value in boots):
    seconds = [[boot.random for boot in boots[kernel, value]]
               for kernel in chart.x_labels]
    chart.add("virtio_rng=%s" % value, list(map(statistics.median, seconds)))
  return chart


def _draw_hook(costs):
  chart = pygal.Bar(
    title="Instructions that the package adds to the start of programs",
    formatter=lambda value: "%.1f %%" % value, min_scale=4, range=(0, 4),
    **_OPTIONS)
  first = next(iter(costs.values()))
  chart.x_labels = [cost.what for cost in first]
  chart.add("limit", [100 * (cost.limit - 1) for cost in first])
  for name, some in costs.items():
    chart.add(name, [100 * (cost.with_it / cost.without - 1)
                     for cost in some])
  return chart
