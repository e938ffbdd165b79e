from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Speaker(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SPEAKER_UNSPECIFIED: _ClassVar[Speaker]
    USER: _ClassVar[Speaker]
    AI: _ClassVar[Speaker]
SPEAKER_UNSPECIFIED: Speaker
USER: Speaker
AI: Speaker

class Turn(_message.Message):
    __slots__ = ("speaker", "content", "timestamp_ms", "begin_ms", "end_ms", "unheard")
    SPEAKER_FIELD_NUMBER: _ClassVar[int]
    CONTENT_FIELD_NUMBER: _ClassVar[int]
    TIMESTAMP_MS_FIELD_NUMBER: _ClassVar[int]
    BEGIN_MS_FIELD_NUMBER: _ClassVar[int]
    END_MS_FIELD_NUMBER: _ClassVar[int]
    UNHEARD_FIELD_NUMBER: _ClassVar[int]
    speaker: Speaker
    content: str
    timestamp_ms: int
    begin_ms: int
    end_ms: int
    unheard: str
    def __init__(self, speaker: _Optional[_Union[Speaker, str]] = ..., content: _Optional[str] = ..., timestamp_ms: _Optional[int] = ..., begin_ms: _Optional[int] = ..., end_ms: _Optional[int] = ..., unheard: _Optional[str] = ...) -> None: ...

class Missing(_message.Message):
    __slots__ = ("turn", "what")
    TURN_FIELD_NUMBER: _ClassVar[int]
    WHAT_FIELD_NUMBER: _ClassVar[int]
    turn: int
    what: str
    def __init__(self, turn: _Optional[int] = ..., what: _Optional[str] = ...) -> None: ...

class Transcript(_message.Message):
    __slots__ = ("turns", "missing")
    TURNS_FIELD_NUMBER: _ClassVar[int]
    MISSING_FIELD_NUMBER: _ClassVar[int]
    turns: _containers.RepeatedCompositeFieldContainer[Turn]
    missing: _containers.RepeatedCompositeFieldContainer[Missing]
    def __init__(self, turns: _Optional[_Iterable[_Union[Turn, _Mapping]]] = ..., missing: _Optional[_Iterable[_Union[Missing, _Mapping]]] = ...) -> None: ...
