#!/usr/bin/env bash
# The driver runs in a Pod with the rights of the service account `spark` (driver-rights.yaml); who runs this needs them, too.
# API=https://ADDRESS:PORT, IMAGE=an image of Spark; more arguments go to spark-submit:
# submit-cluster.sh spark-defaults.conf local:///opt/spark/examples/src/main/python/pi.py
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
conf=$1
shift
exec "$SPARK_HOME/bin/spark-submit" \
    --master "k8s://$API" --deploy-mode cluster --properties-file "$conf" \
    --conf "spark.kubernetes.container.image=$IMAGE" \
    --conf "spark.kubernetes.namespace=${NAMESPACE:-default}" \
    --conf spark.kubernetes.authenticate.driver.serviceAccountName=spark \
    "$@"
