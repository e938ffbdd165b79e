#!/bin/sh
# Speaks the interviewer's lines with espeak-ng and writes them as 24 kHz mono 16-bit WAV files, one a line.
# Needs espeak-ng and sox. Run it in this directory; the results are committed.
set -eu
cd "$(dirname "$0")"

say() { # NAME TEXT
  # -s 178: words a minute, brisk enough to keep the lines short. -g 0: no gap between words.
  espeak-ng -v en-us+f3 -s 178 -p 42 -w /dev/stdout "$2" |
    sox -t wav --ignore-length - -r 24000 -c 1 -b 16 "$1.wav" \
      silence 1 0.01 0.3% reverse silence 1 0.05 0.3% reverse norm -6
}

grep -v '^#' lines.txt | while IFS='|' read -r name text; do
  say "$name" "$text"
done
