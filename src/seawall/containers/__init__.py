"""The main program of each kind of container; brings together the parts that run in it."""
