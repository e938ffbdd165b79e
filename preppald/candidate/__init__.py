"""The candidate at the command line: ``preppald call``.

wav          a WAV file in and out, in pieces
resample     any sample rate to 16 kHz
speech       a WAV file as 20 ms frames of what a browser's recorder would send
playback     the interviewer's audio, as it would have been heard
transcript   fragments to turns
turntaking   when to listen, when to speak, when to leave: no input, no output, no clock of its own
endings      how a session can end, and the exit status of each
link         one WebSocket connection to the daemon, and why it could not be made
hearing      what the daemon's messages do to playback, transcript and turn taking
call         the nursery with its named tasks, and the connection made again when it is lost
display      what a person sees meanwhile
report       what the caller is told afterwards
"""
