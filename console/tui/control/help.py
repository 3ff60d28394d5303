"""The help of a view: its keys and commands from the registry, and what the words on it mean."""

from collections.abc import Iterator

from console.tui.control.actions import Action, of
from console.tui.control.keys import Keys
from console.tui.style.look import Cell

TITLES = {
    "fleet": "keys of the fleet", "host": "keys of a host", "table": "keys in rows",
    "events": "keys of the events",
    "requests": "keys of the requests", "request": "keys of a request",
    "app": "keys everywhere", "plot": "keys of the plot", "heat": "keys of the heat map",
    "replay": "keys of the recording",
}  # fmt: skip
FIND = """\
 what is wrong           w goes to the next host that needs a look; WORST says why
 which host went silent  its STATE and age; its overview says since when
 the busiest GPU         :sort gpus down, then Enter and 2: its processes are there,
                         biggest first. H shows all GPUs of the fleet
 a process               Enter on a host, 3, then / and a word; t: its parents
 the newest listener     E, then /listener.new: of all hosts, newest first.
                         Of one host: Enter, 4, then :sort since up (down: the oldest)
 a number over time      P; left and right for another number, up for hours
 what was asked of hosts R; ! on a host asks for an action
 any action by its words ^P
"""
STATES = """\
 LIVE        frames arrive
 CONNECTING  the first attempt is under way
 STALE       connected, but no frame for three periods: what you see is old
 DOWN        no connection; tried again with growing pauses
 REFUSED     the host refused our key twice, or it cannot be used; r tries again
 NEW-KEY     the host showed another key than the pinned one: a person decides;
             r tries once another key is stored
"""
FILTER = """\
 vllm        rows with this word           !vllm    rows without it
 "two words" as they stand                 temp>80  a value; > < >= <= = !=
 ~gpu-[0-9]  a regular expression          name~^g  in one field
 state=down,stale  one of several, or |    @fra     site, zone, group or tag; @gpu-*
 Fields are called as their column: GPU MEM is gpumem. Numbers are written as the
 screen prints them: egress>1.5M  mem>50%  power>300W  age>5m
 Numbers of a host that is DOWN, REFUSED or NEW-KEY are old: no comparison fits them.
 Terms are joined by and. A wrong field name shows the right ones; where no row is
 left, the comparison that none fits is named with the values that there are.
 Enter keeps the filter, Esc ends it; / again: letters replace it, arrows edit it.
"""
COLUMNS = """\
 GPUS        one bar a GPU, how busy it is, and the mean; a cross: GPU lost.
             Sorted by the busiest GPU
 WORST       worst of: GPU lost, Xid, memory errors (ECC), remapping, throttling;
             then a process that took a GPU since this console began; then, for half
             an hour, a login after refused ones, sudo by who came in so, opened
             weights, ten refused logins; then listeners that are not declared.
             Above all of it: an isolation that was lost, a break-glass
 ON GPU      processes that hold a GPU
 LISTEN      listening sockets; UNDECL: those the inventory does not declare
 EGRESS      bytes a second that leave the host, all interfaces
 GUARD       its guard: ready, requests that wait, ISOLATED, how long is left of what is
             applied, lost (what was done is no longer so), alone (a break-glass), doubtful
             (its host's overview says why), unseen, or no guard
 :sort COLUMN [up|down] begins at the first row; s and S keep the cursor on its row.
 Dim numbers of a host that is not LIVE are the last that were seen.
"""
GUARDED = """\
 ! on a host asks for an action; :act ACTION HOST NAME=VALUE reason=WHY needs no form.
 Each host says what it would do; it is signed once its end was on the screen and a
 word was typed: the host's name for what is dangerous, a group and how many for several.
 Another person approves it at their console: R lists what waits, a on its page.
 PENDING     waits for people           APPROVED  waits for its requester to start it
 APPLIED     done, and undone again unless it is confirmed in time
 STANDING    done, until it is released by two people or its time is over
 REVERTED    undone by itself           RELEASED  ended by two people
 unproven    its signatures do not hold by this console's own reckoning: no approval
 lost        what was done is no longer so on the host
 six words   the id of a request to read aloud: both people must have the same
 says        what a host claims; nobody here can check it
"""
WORDS = """\
 DECLARED    whether the inventory names this listener in `listeners`; a dash where
             it names none of the host
 THR         threads of the process           S    its state as ps shows it
 LABEL       its AppArmor profile or SELinux context; ? where it may not be read
 openers     processes that hold a declared weight file open or mapped;
             HOW: fd (open) or map (mapped), WRITES: opened for writing
 SM          share of a GPU's multiprocessors that the process used last
 ECC pending memory protection after the next reset; shown where it differs from now
 limited by  why a GPU does not run faster: power, heat, or nothing to do (idle)
"""


def places_to_look() -> list[tuple[str, str]]:
    """What a person may look for, and where it is."""
    out: list[tuple[str, str]] = []
    for line in FIND.splitlines():
        what, where = line[:25].strip(), line[25:].strip()
        if what:
            out.append((what, where))
        else:
            out[-1] = (out[-1][0], f"{out[-1][1]} {where}")
    return out


def help_lines(places: tuple[str, ...], keys: Keys) -> list[Cell]:
    """Help for a view, from the registry of actions."""
    lines: list[Cell] = []
    if "fleet" in places:
        lines += _page("where to find", FIND)
    for place in places:
        shown = [action for action in of(place) if keys.of(action)]
        if shown:
            lines.append([(f" {TITLES.get(place, place)}", "bold")])
            lines += [_key(action, keys) for action in shown]
            lines.append([])
    lines += list(_commands(places))
    pages = [("filter", FILTER), ("host states", STATES)]
    if "requests" in places or "request" in places:
        pages = [("guarded actions", GUARDED), ("filter", FILTER)][: 1 + ("table" in places)]
    else:
        pages.insert(1, ("columns", COLUMNS) if "fleet" in places else ("words", WORDS))
    for head, text in pages:
        lines += _page(head, text)
    return lines


def _page(head: str, text: str) -> list[Cell]:
    return [[(f" {head}", "bold")], *([(f"  {line}", "")] for line in text.splitlines()), []]


def _key(action: Action, keys: Keys) -> Cell:
    verb = f"  :{action.verb}" if action.verb else ""
    return [(f"   {keys.words(action):16} ", "accent"), (action.words, ""), (verb, "dim")]


def _commands(places: tuple[str, ...]) -> Iterator[Cell]:
    """What takes an argument, or has no key at all."""
    typed = [a for place in places for a in of(place) if a.verb and (a.takes or not a.keys)]
    if not typed:
        return
    yield [(" commands, Tab completes them", "bold")]
    for action in typed:
        how = f":{action.verb} {action.takes}".rstrip()
        if len(how) < 30:
            yield [(f"   {how:30} ", "accent"), (action.words, "")]
        else:
            yield [(f"   {how}", "accent")]
            yield [(f"   {'':30} {action.words}", "")]
    yield []
