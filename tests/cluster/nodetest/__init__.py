"""A real Kubernetes on this machine, and real Spark on it: what `make test-cluster` runs.

Needs root (network namespaces, cgroups, containers). Everything here uses the standard library
only; `clustertest` builds the programs, `sparktest` reads event logs and waits.
"""
