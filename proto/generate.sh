#!/bin/sh
# Regenerates preppald/pb from proto/. CI runs it and fails on a difference.
# Needs grpcio-tools as the dev lock pins it: the generated code checks its runtime.
set -eu
cd "$(dirname "$0")/.."
"${PYTHON:-python3}" -m grpc_tools.protoc --proto_path=proto \
  --python_out=preppald/pb --pyi_out=preppald/pb interview.proto transcript.proto
