"""Answers the instances of other hosts at the peer port, and carries connections to theirs."""

import trio

from preppald.daemon.environment import Environment, Listeners
from preppald.net.pinned import fingerprint
from preppald.server.accepting import accept
from preppald.server.connection import Server
from preppald.server.elsewhere import Elsewhere
from preppald.server.peer_port import PeerPort
from preppald.shared.ownership import Ownership
from preppald.shared.peers import Peers, dial
from preppald.telemetry.logs import Logger


async def meet(
    environment: Environment,
    ownership: Ownership,
    server: Server,
    listeners: Listeners,
    sessions: trio.Nursery,
    *,
    log: Logger,
) -> Peers:
    """Serve the peer port, and know the others, for as long as there are ``sessions``; return them."""

    def certificate() -> str:
        return "" if server.identity is None else fingerprint(server.identity.chain)

    def taken(interview_id: str) -> bool:
        # One that begins is joined as soon as it has.
        return server.seats.holds(interview_id) or ownership.begins(interview_id)

    membership = ownership.membership
    peers = Peers(
        environment.shared,
        membership,
        log=log,
        certificate=certificate,
        living=server.relays.hang_up_but,
        reach=environment.dial_peer or dial,
    )
    port = PeerPort(
        peers,
        holds=taken,
        take=server.carried,
        identity=lambda: server.identity,
        log=log,
    )
    server.seats.elsewhere = Elsewhere(
        ownership.where,
        peers,
        server.seats.holds,
        tasks=sessions,
        log=log,
    )
    sessions.start_soon(peers.run)
    if listeners:  # a simulation's host may have none
        await sessions.start(accept, port.handle, listeners, sessions, log)
    return peers
