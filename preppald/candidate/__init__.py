"""The candidate at the command line: ``preppald call``.

wav          a WAV file in and out, in pieces
resample     any sample rate to 16 kHz
speech       a WAV file as 20 ms frames, as a browser's recorder would send them
playback     the interviewer's audio, as it would have been heard
transcript   fragments to turns
turntaking   when to listen, when to speak, when to leave: no input, no output, no clock of its own
endings      the endings of a session, and the exit status of each
link         one WebSocket connection to the daemon, and the reasons for having none
hearing      the daemon's messages, for playback, transcript and turn taking
call         the nursery with its named tasks, and the reconnection after a loss
display      the terminal during a call
report       the summary of a call
"""
