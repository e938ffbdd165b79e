"""Deterministic simulation: browsers, daemon, Gemini, backend, disk, network and clock in one Trio run, from one seed.

determinism.py  one seed, one run: scheduling, randomness, entropy, time
network.py      links that delay, split, stall, swallow and break, each by its own fate
disk.py         what is written, and what of it survives a kill
application.py  the backend: erratic, and a strict bookkeeper of what it is sent
gemini.py       the simulated Gemini Live, whose every line is said only once
tab.py          a candidate with a browser, who comes back
machine.py      the host: boots the real daemon, kills it, moves its clock
plan.py         what a seed wants to happen
run.py          one seed from plan to verdict
verdict.py      what must hold after every run, whatever happened
fleet           several such hosts with one shared journal
frozen.py       stops a process and lets it go on
seeds.txt       seeds that found a fault once
__main__.py     any number of seeds: ``python -m tests.simulation --seeds 1000``

Rule 1: no thread, no socket, no file, no real clock: with the autojump clock all of these are races.
Rule 2: nothing draws from a generator that another part draws from, so that a change here leaves the rest as it was.
"""
