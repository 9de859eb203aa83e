#!/usr/bin/env bash
# PID 1 of a node, in network, mount, UTS and PID namespaces of its own; started by machine.py.
# Every well-known directory of a kubelet and of containerd is the node's own, so that several nodes
# fit on one machine and hostPath volumes below /data differ from node to node.
# From the environment: NODE, NODE_IP, NODE_DIR, POD_CIDR, KUBE, PKI, CGROUP.
set -euo pipefail
hostname "$NODE"
mount --make-rshared /
for dir in /var/lib/kubelet /var/lib/containerd /run/containerd /var/lib/cni /etc/cni/net.d \
    /var/log/pods /var/log/containers /run/netns /data /var/lib/shuffle-daemon; do
    mkdir -p "$dir" "$NODE_DIR$dir"
    mount --bind "$NODE_DIR$dir" "$dir"
done
# User 185 must get to hostPath directories.
chmod 755 "$NODE_DIR" "$NODE_DIR/data"
mkdir -p "$NODE_DIR/etc"
printf '127.0.0.1 localhost\n%s %s\n' "$NODE_IP" "$NODE" >"$NODE_DIR/etc/hosts"
: >"$NODE_DIR/etc/resolv.conf"
mount --bind "$NODE_DIR/etc/hosts" /etc/hosts
mount --bind "$NODE_DIR/etc/resolv.conf" "$(readlink -f /etc/resolv.conf)"

cat >/etc/cni/net.d/10-pods.conflist <<JSON
{"cniVersion": "1.0.0", "name": "pods", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$POD_CIDR"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
JSON

# restrict_oom_score_adj: a machine without CAP_SYS_RESOURCE cannot lower the score, and no sandbox would start.
cat >"$NODE_DIR/containerd.toml" <<TOML
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    discard_unpacked_layers = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
TOML

# Images are imported and cannot be pulled again, so the kubelet must not collect them, however full the disk is.
cat >"$NODE_DIR/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $NODE_IP
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $PKI/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $PKI/$NODE.crt
tlsPrivateKeyFile: $PKI/$NODE.key
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
failCgroupV1: false
failSwapOn: false
clusterDomain: cluster.local
resolvConf: /etc/resolv.conf
makeIPTablesUtilChains: false
evictionHard: {memory.available: 100Mi, nodefs.available: 0%, nodefs.inodesFree: 0%, imagefs.available: 0%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 2s
YAML

# keep NAME CMD...: runs it again whenever it ends; its process id is in NODE_DIR/NAME.pid.
keep() {
    local name=$1
    shift
    while :; do
        "$@" >>"$NODE_DIR/$name.log" 2>&1 &
        echo $! >"$NODE_DIR/$name.pid"
        wait $! || true
        echo "$name ended" >>"$NODE_DIR/$name.log"
    done
}

containerd --config "$NODE_DIR/containerd.toml" >"$NODE_DIR/containerd.log" 2>&1 &
until [ -S /run/containerd/containerd.sock ]; do sleep 0.1; done
# Its sysctls of conntrack are read-only outside of the first network namespace.
keep kube-proxy "$KUBE" kube-proxy --kubeconfig "$PKI/proxy.conf" --hostname-override "$NODE" \
    --proxy-mode nftables --cluster-cidr 10.245.0.0/16 --conntrack-max-per-core 0 \
    --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0 &
keep kubelet "$KUBE" kubelet --config "$NODE_DIR/kubelet.yaml" --kubeconfig "$PKI/$NODE.conf" \
    --hostname-override "$NODE" --node-ip "$NODE_IP" &
# PID 1 collects orphans, containerd's shims among them, and ends when it is killed.
while :; do wait -n || true; done
