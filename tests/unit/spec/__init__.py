"""Tests of the spec; a package, so that they share `conftest`."""
