"""How long a lease and a reservation last without a sign of life, in seconds."""

from __future__ import annotations

HEARTBEAT_SECONDS = 5.0

# A holder that is not seen for this long is taken for dead: a dozen missed heartbeats.
LEASE_SECONDS = 60.0

# The same of one who works on a slice; it gives up by itself some time before, so that what it has
# under way is done when another one begins.
CLAIM_SECONDS = 30.0
OWN_CLAIM_SECONDS = 20.0

# A reservation waits in Dagster's queue; a sensor renews it as long as its run is there.
RESERVED_SECONDS = 300.0

# Longer than asking for a run may take: until then nobody takes a reservation without one for lost.
SUBMISSION_SECONDS = 60.0
