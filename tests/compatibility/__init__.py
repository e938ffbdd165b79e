"""Contracts of other versions, and their messages."""

from dataclasses import dataclass
from functools import cache
import importlib.resources
from pathlib import Path
import tempfile
from types import SimpleNamespace
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
import grpc_tools  # type: ignore[import-untyped]
from grpc_tools import protoc

HERE = Path(__file__).parent
# 08314d9: preppald's first; application and blocks: the application's, by their dates in the files; new: this one's.
VERSIONS = {
    "08314d9": HERE / "08314d9",
    "application": HERE / "application",
    "blocks": HERE / "blocks",
    "new": HERE.parents[1] / "proto",
}


@dataclass(frozen=True)
class Contract:
    """``wire``: the messages of interview.proto by name; ``transcripts``: those of transcript.proto."""

    files: descriptor_pb2.FileDescriptorSet
    wire: Any
    transcripts: Any


@cache
def contract(version: str) -> Contract:
    """The messages, compiled from that version's files, in a pool of their own."""
    folder = VERSIONS[version]
    include = importlib.resources.files(grpc_tools) / "_proto"
    with tempfile.NamedTemporaryFile() as out:
        status = protoc.main(
            [
                "protoc",
                f"--proto_path={folder}",
                f"--proto_path={include}",
                f"--descriptor_set_out={out.name}",
                "interview.proto",
                "transcript.proto",
            ]
        )
        assert status == 0, f"protoc refuses {folder}"
        found = descriptor_pb2.FileDescriptorSet.FromString(out.read())
    pool = descriptor_pool.DescriptorPool()
    messages: dict[str, Any] = {}
    for file in found.file:
        described = pool.AddSerializedFile(file.SerializeToString())
        for name, message in described.message_types_by_name.items():
            messages[f"{file.name} {name}"] = message_factory.GetMessageClass(message)

    def of(file: str) -> SimpleNamespace:
        names = {name.partition(" ")[2]: it for name, it in messages.items() if name.startswith(file)}
        return SimpleNamespace(**names)

    return Contract(found, of("interview.proto"), of("transcript.proto"))
