"""A real Kubernetes on this machine, real Spark on it, and our daemon installed by its chart.

Standard library only. What has nothing to do with Kubernetes comes from `sparktest`, beside this
package's folder: both folders belong on PYTHONPATH.
"""
