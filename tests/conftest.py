"""What holds for every test: Hypothesis measures no time, because a busy machine has no bearing on what is right."""

import hypothesis

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
