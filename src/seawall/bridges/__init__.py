"""Our process beside each tool: grants by who asks, time and output limits, MCP on both sides.

Imports only wire and errors; the libraries it needs are imported by the modules that use them.
"""
