#!/usr/bin/env bash
# The driver runs here, at an address that executors reach. API=https://ADDRESS:PORT, IMAGE=an image of Spark,
# DRIVER=address of this host; more arguments go to spark-submit: submit-client.sh spark-defaults.conf job.py
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
conf=$1
shift
exec "$SPARK_HOME/bin/spark-submit" \
    --master "k8s://$API" --deploy-mode client --properties-file "$conf" \
    --conf "spark.kubernetes.container.image=$IMAGE" \
    --conf "spark.kubernetes.namespace=${NAMESPACE:-default}" \
    --conf "spark.driver.host=$DRIVER" \
    "$@"
