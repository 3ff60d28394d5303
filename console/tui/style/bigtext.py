"""Letters five lines high, for a board that is read from across a room."""

from collections.abc import Sequence

from console.tui.style.look import Cell

HEIGHT = 5
GAP = 1
_GLYPHS = {
    "A": ".##. #..# #### #..# #..#",
    "B": "###. #..# ###. #..# ###.",
    "C": ".### #... #... #... .###",
    "D": "###. #..# #..# #..# ###.",
    "E": "#### #... ###. #... ####",
    "F": "#### #... ###. #... #...",
    "G": ".### #... #.## #..# .###",
    "H": "#..# #..# #### #..# #..#",
    "I": "### .#. .#. .#. ###",
    "J": "..## ...# ...# #..# .##.",
    "K": "#..# #.#. ##.. #.#. #..#",
    "L": "#... #... #... #... ####",
    "M": "#...# ##.## #.#.# #...# #...#",
    "N": "#...# ##..# #.#.# #..## #...#",
    "O": ".##. #..# #..# #..# .##.",
    "P": "###. #..# ###. #... #...",
    "Q": ".##. #..# #..# #.#. .#.#",
    "R": "###. #..# ###. #.#. #..#",
    "S": ".### #... .##. ...# ###.",
    "T": "##### ..#.. ..#.. ..#.. ..#..",
    "U": "#..# #..# #..# #..# .##.",
    "V": "#...# #...# #...# .#.#. ..#..",
    "W": "#...# #...# #.#.# ##.## #...#",
    "X": "#...# .#.#. ..#.. .#.#. #...#",
    "Y": "#...# .#.#. ..#.. ..#.. ..#..",
    "Z": "#### ...# .##. #... ####",
    "0": ".##. #..# #..# #..# .##.",
    "1": ".#. ##. .#. .#. ###",
    "2": "###. ...# .##. #... ####",
    "3": "###. ...# .##. ...# ###.",
    "4": "#..# #..# #### ...# ...#",
    "5": "#### #... ###. ...# ###.",
    "6": ".##. #... ###. #..# .##.",
    "7": "#### ...# ..#. .#.. .#..",
    "8": ".##. #..# .##. #..# .##.",
    "9": ".##. #..# .### ...# .##.",
    " ": ".. .. .. .. ..",
    ".": ". . . . #",
    ",": ".. .. .. .# #.",
    ":": ". # . # .",
    "-": "... ... ### ... ...",
    "_": "... ... ... ... ###",
    "+": "... .#. ### .#. ...",
    "/": "...# ..#. .#.. #... #...",
    "%": "#..# ...# .##. #... #..#",
    "!": "# # # . #",
    "?": "###. ...# .##. .... .#..",
    "(": ".# #. #. #. .#",
    ")": "#. .# .# .# #.",
    "=": "... ### ... ### ...",
    "*": "... #.# .#. #.# ...",
    "#": ".#.#. ##### .#.#. ##### .#.#.",
}
_ROWS = {sign: tuple(rows.split()) for sign, rows in _GLYPHS.items()}
_UNKNOWN = _ROWS["?"]


def width(text: str) -> int:
    """Cells that ``text`` takes."""
    return sum(len(_ROWS.get(sign, _UNKNOWN)[0]) + GAP for sign in text.upper()) - (
        GAP if text else 0
    )


def big(text: str, *, plain: bool = False) -> list[str]:
    """Five lines that show ``text`` in capitals; a sign that the font lacks is a question mark.

    With ``plain`` in ASCII.
    """
    on = "#" if plain else "█"
    rows = [_ROWS.get(sign, _UNKNOWN) for sign in text.upper()]
    return [
        (" " * GAP).join(row[y].replace("#", on).replace(".", " ") for row in rows)
        for y in range(HEIGHT)
    ]


def fitting(text: str, room: int) -> str:
    """As much of ``text`` as fits into ``room`` cells, cut between words where it can be."""
    if width(text) <= room:
        return text
    words = text.split(" ")
    while len(words) > 1:
        words.pop()
        if width(" ".join(words)) <= room:
            return " ".join(words)
    cut = text
    while cut and width(cut) > room:
        cut = cut[:-1]
    return cut


def block(
    parts: Sequence[tuple[str, str]], room: int, *, plain: bool, indent: int = 2
) -> list[Cell]:
    """Texts and their styles beside each other, two signs apart, as five lines within ``room``.

    What does not fit any more is left out, the first is cut.
    """
    lines: list[list[tuple[str, str]]] = [[(" " * indent, "")] for _ in range(HEIGHT)]
    left = room - indent
    for number, (text, style) in enumerate(parts):
        text = fitting(text, left) if number == 0 else text if width(text) <= left else ""
        if not text:
            break
        for line, row in zip(lines, big(text, plain=plain), strict=True):
            line.append((row, style))
            line.append((" " * 4, ""))
        left -= width(text) + 4
    return list(lines)
