"""A Gemini Live service and an application's backend to develop against, without a key or a network.

Nothing here imports the daemon's own code, so that the two cannot share a mistake.
"""

from preppald.simulator.gemini import GeminiSimulator, Log, serve_gemini
from preppald.simulator.scenario import (
    Scenario,
    ScenarioError,
    load as load_scenario,
    names as scenario_names,
)

__all__ = [
    "GeminiSimulator",
    "Log",
    "Scenario",
    "ScenarioError",
    "load_scenario",
    "scenario_names",
    "serve_gemini",
]
