"""The floor: the states of the dialogue, and every way from one to the next.

Gemini keeps no order between a reply's audio, its text, and the text of what it heard, so every row between
CONNECTING and OVER takes every event of the dialogue.
"""

import enum

from preppald.core.events import (
    AtWork,
    AudioSpoken,
    Event,
    InterviewOver,
    ReplyGenerated,
    ReplyInterrupted,
    SpeechBegan,
    SpeechEnded,
    TextAnswered,
    TextHeard,
    TextSpoken,
    TurnCompleted,
    UpstreamLost,
    UpstreamReady,
    UpstreamResumed,
    UtteranceCompleted,
    WaitingForInput,
)


class State(enum.Enum):
    """The holders of the floor."""

    CONNECTING = "no Gemini is there to talk to"
    LISTENING = "the candidate's: thinking, or speaking"
    AWAITED = "the interviewer's, who has not begun: the candidate finished, or a prompt was sent"
    SPEAKING = "the interviewer's: the reply is being generated"
    THINKING = "the interviewer's, who has said something and goes on without being spoken to"
    PLAYING = "the interviewer's: all is generated, some is still to be heard"
    CUT = "the candidate's, who spoke over the interviewer; the cut turn is not closed yet"
    OVER = "nobody's any more"


_S = State
TRANSITIONS: dict[State, dict[type[Event], State]] = {
    _S.CONNECTING: {
        UpstreamReady: _S.AWAITED,
        UpstreamResumed: _S.LISTENING,
        UpstreamLost: _S.CONNECTING,
        # Kept until Gemini is there.
        TextAnswered: _S.CONNECTING,
        InterviewOver: _S.OVER,
    },
    _S.LISTENING: {
        AudioSpoken: _S.SPEAKING,
        # Sound takes the floor, text does not: text that nobody hears is nobody's turn.
        TextSpoken: _S.LISTENING,
        # Without voice activity events this is all that says "the candidate has said something".
        TextHeard: _S.AWAITED,
        SpeechBegan: _S.LISTENING,
        SpeechEnded: _S.AWAITED,
        ReplyInterrupted: _S.LISTENING,
        ReplyGenerated: _S.LISTENING,
        UtteranceCompleted: _S.LISTENING,
        TurnCompleted: _S.LISTENING,
        AtWork: _S.LISTENING,
        WaitingForInput: _S.LISTENING,
        UpstreamLost: _S.CONNECTING,
        TextAnswered: _S.AWAITED,
        InterviewOver: _S.OVER,
    },
    _S.AWAITED: {
        AudioSpoken: _S.SPEAKING,
        TextSpoken: _S.AWAITED,
        TextHeard: _S.AWAITED,
        SpeechBegan: _S.LISTENING,
        SpeechEnded: _S.AWAITED,
        ReplyInterrupted: _S.LISTENING,
        # A reply without content is no answer: the answer is still awaited.
        ReplyGenerated: _S.AWAITED,
        UtteranceCompleted: _S.AWAITED,
        TurnCompleted: _S.AWAITED,
        AtWork: _S.AWAITED,
        # Gemini heard the candidate, and chose to hear more.
        WaitingForInput: _S.LISTENING,
        UpstreamLost: _S.CONNECTING,
        TextAnswered: _S.AWAITED,
        InterviewOver: _S.OVER,
    },
    _S.SPEAKING: {
        AudioSpoken: _S.SPEAKING,
        TextSpoken: _S.SPEAKING,
        TextHeard: _S.SPEAKING,
        SpeechBegan: _S.SPEAKING,
        SpeechEnded: _S.SPEAKING,
        ReplyInterrupted: _S.CUT,
        ReplyGenerated: _S.PLAYING,
        UtteranceCompleted: _S.THINKING,
        TurnCompleted: _S.LISTENING,
        AtWork: _S.SPEAKING,
        WaitingForInput: _S.SPEAKING,
        UpstreamLost: _S.CONNECTING,
        TextAnswered: _S.AWAITED,
        InterviewOver: _S.OVER,
    },
    _S.THINKING: {
        AudioSpoken: _S.SPEAKING,
        TextSpoken: _S.THINKING,
        # Gemini heard this before it began to think.
        TextHeard: _S.THINKING,
        SpeechBegan: _S.LISTENING,
        SpeechEnded: _S.AWAITED,
        ReplyInterrupted: _S.LISTENING,
        ReplyGenerated: _S.THINKING,
        UtteranceCompleted: _S.THINKING,
        # Gemini thought better of its pause.
        TurnCompleted: _S.LISTENING,
        AtWork: _S.THINKING,
        WaitingForInput: _S.LISTENING,
        UpstreamLost: _S.CONNECTING,
        TextAnswered: _S.AWAITED,
        InterviewOver: _S.OVER,
    },
    _S.PLAYING: {
        AudioSpoken: _S.PLAYING,
        TextSpoken: _S.PLAYING,
        TextHeard: _S.PLAYING,
        SpeechBegan: _S.PLAYING,
        SpeechEnded: _S.AWAITED,
        ReplyInterrupted: _S.CUT,
        ReplyGenerated: _S.PLAYING,
        UtteranceCompleted: _S.THINKING,
        TurnCompleted: _S.LISTENING,
        AtWork: _S.PLAYING,
        WaitingForInput: _S.PLAYING,
        UpstreamLost: _S.CONNECTING,
        TextAnswered: _S.AWAITED,
        InterviewOver: _S.OVER,
    },
    _S.CUT: {
        # Audio is never mistaken for stale: a lost turnComplete must not silence the next reply.
        AudioSpoken: _S.SPEAKING,
        # Text runs behind audio: this is the rest of the cut turn.
        TextSpoken: _S.CUT,
        TextHeard: _S.AWAITED,
        SpeechBegan: _S.CUT,
        SpeechEnded: _S.AWAITED,
        ReplyInterrupted: _S.CUT,
        ReplyGenerated: _S.CUT,
        UtteranceCompleted: _S.LISTENING,
        TurnCompleted: _S.LISTENING,
        AtWork: _S.CUT,
        WaitingForInput: _S.CUT,
        UpstreamLost: _S.CONNECTING,
        TextAnswered: _S.AWAITED,
        InterviewOver: _S.OVER,
    },
    _S.OVER: {},
}
