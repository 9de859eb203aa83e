"""All stories on the real node by name. Each takes a `Stage` and makes claims."""

from .allocation import allocation_client_mode, allocation_cluster_mode, allocation_spark_3
from .ends import driver_killed, executor_out_of_memory, two_applications
from .interruptions import api_server_down, daemon_killed, kubelet_restart, upgrade_under_load
from .placement import node_selector, two_services, uninstall
from .readme import readme
from .sidecar import sidecar

ALL = {
    "allocation_client_mode": allocation_client_mode,
    "allocation_cluster_mode": allocation_cluster_mode,
    "allocation_spark_3": allocation_spark_3,
    "two_applications": two_applications,
    "driver_killed": driver_killed,
    "executor_out_of_memory": executor_out_of_memory,
    "daemon_killed": daemon_killed,
    "kubelet_restart": kubelet_restart,
    "api_server_down": api_server_down,
    "upgrade_under_load": upgrade_under_load,
    "node_selector": node_selector,
    "two_services": two_services,
    "uninstall": uninstall,
    "sidecar": sidecar,
    "readme": readme,
}
