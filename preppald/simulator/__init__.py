"""A Gemini Live service and an application's backend to develop against, without a key or a network.

Nothing here imports the daemon's own code, so that the two cannot share a mistake.
"""

from preppald.simulator.backend import BackendSimulator, serve_backend
from preppald.simulator.faults import FLAWS
from preppald.simulator.gemini import GeminiSimulator, Log, serve_gemini
from preppald.simulator.recording import RecordingError
from preppald.simulator.run import BACKEND_ADDRESS, GEMINI_ADDRESS, Running, run_simulator
from preppald.simulator.scenario import (
    Scenario,
    ScenarioError,
    load as load_scenario,
    names as scenario_names,
)

__all__ = [
    "BACKEND_ADDRESS",
    "FLAWS",
    "GEMINI_ADDRESS",
    "BackendSimulator",
    "GeminiSimulator",
    "Log",
    "RecordingError",
    "Running",
    "Scenario",
    "ScenarioError",
    "load_scenario",
    "run_simulator",
    "scenario_names",
    "serve_backend",
    "serve_gemini",
]
