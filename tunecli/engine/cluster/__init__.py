"""Trials on several machines: an agent on each node runs jobs, and `ClusterEngine` hands them out.

Nothing in this room knows which cluster it is: a `Transport` starts agents and carries bytes to them and back.
"""
