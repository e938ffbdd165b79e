"""What holds for every test: Hypothesis measures no time, because a busy machine has no bearing on what is right.

A shell that starts the suite in the background has Ctrl-C ignored, and programs inherit that; here none does.
"""

import signal

import hypothesis

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
signal.signal(signal.SIGINT, signal.default_int_handler)
