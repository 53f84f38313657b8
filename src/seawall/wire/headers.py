"""Header names. The gateway overwrites the identity ones; nothing an agent sends in them counts."""

AGENT = "x-seawall-agent"
RUN = "x-seawall-run"
TASK = "x-seawall-task"
STEP = "x-seawall-step"  # the step's key, also the idempotency key of a tool call
LEASE = "authorization"  # "Bearer <lease token>"
