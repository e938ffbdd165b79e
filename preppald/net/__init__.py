"""Everything that goes against Trio's grain for speed: framing, streams, WebSockets, ticks, polls."""
