#!/bin/sh
# Makes preppald/candidate/answer.wav again: a candidate's answer, 16 kHz mono 16-bit, between 7 and 8 s.
# Needs espeak-ng and sox.
set -eu
cd "$(dirname "$0")/../.."

# -v en-us -s 180: words a minute, unhurried speech. -g 1: 10 ms more between words, as when one thinks.
espeak-ng -v en-us -s 180 -g 1 --stdout \
  -f preppald/candidate/answer.txt |
  # norm -6: loud enough for any voice-activity detection, with headroom. pad: a breath before and after.
  sox -D -t wav - -b 16 -r 16000 -c 1 preppald/candidate/answer.wav norm -6 silence 1 0.05 1% \
    reverse silence 1 0.05 1% reverse pad 0.2 0.3
