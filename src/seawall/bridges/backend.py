"""What a bridge stands in front of. The protocol lives in `wire`, so that memory can be one too."""

from seawall.wire.tools import Backend, Caller, CallOutcome, FunctionInfo

__all__ = ["Backend", "CallOutcome", "Caller", "FunctionInfo"]
