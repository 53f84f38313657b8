"""Header names. The gateway overwrites the identity ones; nothing an agent sends in them counts."""

AGENT = "x-seawall-agent"
RUN = "x-seawall-run"
TASK = "x-seawall-task"
STEP = "x-seawall-step"  # the step's key, also the idempotency key of a tool call
RESERVATION = "x-seawall-reservation"  # between gateway and keeper; no agent ever sees one
STATUS = "x-seawall-status"  # what a provider answered, as the gateway tells the keeper
SOURCE = "x-seawall-source"  # whether a provider or its gateway answered
LEASE = "authorization"  # "Bearer <lease token>"
