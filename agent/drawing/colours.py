"""The colours of masks, in the order in which they are given out, and their names."""

Colour = tuple[int, int, int]

# Saturated, and far from each other and from flesh, bone and stain.
COLOURS: tuple[tuple[str, Colour], ...] = (
    ("cyan", (0, 225, 255)),
    ("yellow", (255, 222, 0)),
    ("magenta", (255, 70, 255)),
    ("green", (90, 255, 60)),
    ("orange", (255, 140, 0)),
    ("blue", (80, 150, 255)),
    ("red", (255, 75, 75)),
    ("mint", (120, 255, 200)),
    ("violet", (185, 130, 255)),
    ("white", (255, 255, 255)),
)
BACKGROUND: Colour = (17, 20, 26)
HALO: Colour = (0, 0, 0)
INK: Colour = (10, 12, 16)
PAPER: Colour = (236, 240, 246)
SLATE: Colour = (44, 50, 60)


def colour_of(index: int) -> Colour:
    """Return the colour of the `index`-th mask, panel or crop; after the last the first again."""
    return COLOURS[index % len(COLOURS)][1]


def colour_name(index: int) -> str:
    """Name the colour of the `index`-th mask, panel or crop, for the text beside a drawing."""
    return COLOURS[index % len(COLOURS)][0]
