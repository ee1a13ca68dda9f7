"""A deterministic simulation of landings.

The real operator, hook and client land a simulated list in a simulated store. Attempts stop before each call,
and a tape of integers says what happens next: who goes on, who is killed or frozen, which call fails and how.
After each step the invariants are checked. So each history can be played again, and be shrunk.

- ``tape``: the choices. ``attempt``, ``world``, ``options``: who goes on, and what fails.
- ``scenarios``: what is landed and where, and which freedoms a world has beside those of all.
- ``listing``, ``store``, ``local``, ``seams``: the service, an object store, a directory, and the workers.
- ``layout``: which objects are commits. A new layout changes this module, and places that ``corpus`` names.
- ``invariants``, ``claims``, ``leftovers``: what must hold. ``history``: plays, shrinks and prints.
- ``corpus``: what once failed, and what still does.
- ``soak``: plays many; so does ``python -m tests.simulation``.
"""
