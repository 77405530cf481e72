"""The page's colours by role, for light and dark screens: one table for the CSS and for the charts.

The two arms are a blue and a brown that stay apart under every common colour-vision deficiency, in lightness and in
hue; charts add marker and line style, so colour is never the only sign. The light values double as the
placeholders that `charts` turns into CSS variables, so they must be distinct.
"""

LIGHT: dict[str, str] = {
    "page": "#fbfaf7",
    "card": "#ffffff",
    "ink": "#1d2126",
    "muted": "#5c636c",
    "rule": "#dedbd3",
    "bar": "#8b949e",
    "baseline": "#8a6532",
    "eagle3": "#1d5f8a",
    "warn": "#a2372a",
}
DARK: dict[str, str] = {
    "page": "#15181b",
    "card": "#1d2125",
    "ink": "#e8e6e1",
    "muted": "#a3aab2",
    "rule": "#343a40",
    "bar": "#6f7983",
    "baseline": "#d3b07d",
    "eagle3": "#72b7e6",
    "warn": "#f0917f",
}
