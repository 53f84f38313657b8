"""What a spec means: a pure function to workloads, links, secrets and controls. No addresses."""
