# Sourced: an engine with stores and settings of its own, so that nothing on the machine's own engine is touched.
# VESTIBULE_CONTAINERS: where images are kept between runs.
CONTAINERS_HOME=${VESTIBULE_CONTAINERS:-/var/tmp/vestibule-containers}
mkdir -p "$CONTAINERS_HOME"
cat >"$CONTAINERS_HOME/containers.conf" <<CONF
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
network_config_dir = "$CONTAINERS_HOME/networks"
CONF
cat >"$CONTAINERS_HOME/storage.conf" <<CONF
[storage]
driver = "overlay"
graphroot = "$CONTAINERS_HOME/storage"
runroot = "$CONTAINERS_HOME/run"
CONF
export CONTAINERS_CONF=$CONTAINERS_HOME/containers.conf CONTAINERS_STORAGE_CONF=$CONTAINERS_HOME/storage.conf
