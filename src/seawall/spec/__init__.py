"""What the author writes: `seawall.yaml` read, checked and typed. Runs nothing, reads no secret."""
