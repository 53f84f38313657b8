"""What the host and the containers agree on: messages, paths, headers, versions.

Imported by every part; imports none of them.
"""
