"""Runs real, unmodified Spark against a shuffle service on this machine.

Everything here uses the standard library only and runs under the system's python3; only the
programs in `jobs/` run inside a virtual environment that holds pyspark.
"""
