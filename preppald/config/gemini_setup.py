"""The setup of a session with Gemini, from the settings and the application's knowledge of the interview."""

from preppald.config.settings import Config
from preppald.core import gemini, languages, models
from preppald.core.context import NOTHING_KNOWN, Context
from preppald.core.vocabulary import vocabulary


def gemini_setup(
    config: Config, instruction: str, context: Context = NOTHING_KNOWN, *, name: str = ""
) -> gemini.Setup:
    """Return the setup of a session with Gemini; ``context``: the application's knowledge of the interview.

    ``name``: the model's, where it is not the preferred one.
    """
    name = name or config.gemini_model
    model = models.model_of(name)
    code = languages.code(context.language) or languages.code(config.language)
    documents = (context.job_description, context.resume)
    return gemini.Setup(
        model=name,
        voice=config.voice,
        instruction=instruction,
        start_sensitivity=config.vad_start,
        end_sensitivity=config.vad_end,
        silence_ms=round(config.vad_silence * 1000),
        prefix_padding_ms=round(config.vad_prefix * 1000),
        thinking=config.thinking,
        language_codes=(code,) if code and model.language_codes else (),
        vocabulary=vocabulary(config.vocabulary, documents) if model.vocabulary else (),
    )
