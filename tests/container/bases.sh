#!/usr/bin/env bash
# Makes the three images that Dockerfile and compose.yaml name, from Debian's packages and this machine's Node, where no
# registry of images can be reached. They stand in for the official ones: same names, users, folders and commands.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tests/container/engine.sh

have() { podman image exists "$1"; }

# debian RELEASE: a smallest Debian as an image of that name.
debian() {
  have "localhost/debian:$1" && return
  local root
  root=$(mktemp -d "$CONTAINERS_HOME/debian.XXXXXX")
  debootstrap --variant=minbase --include=ca-certificates "$1" "$root" http://deb.debian.org/debian >"$CONTAINERS_HOME/debootstrap-$1.log" 2>&1 ||
    { tail -n 20 "$CONTAINERS_HOME/debootstrap-$1.log"; rm -rf "$root"; return 1; }
  rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  tar -C "$root" -c --exclude='./dev/*' --exclude='./proc/*' . | podman import - "localhost/debian:$1" >/dev/null
  rm -rf "$root"
}

# base NAME RELEASE [CONTEXT]: builds tests/container/images/NAME.Containerfile.
base() {
  have "localhost/$1" && return
  debian "$2"
  podman build --network host --quiet -t "localhost/$1" -f "tests/container/images/${1%%:*}.Containerfile" \
    "${3:-tests/container/images}" >/dev/null
  echo "built $1"
}

base postgres:17 trixie
base redis:7 bookworm
if ! have localhost/node:24-slim; then
  node=$(mktemp -d "$CONTAINERS_HOME/node.XXXXXX")
  cp node_modules/node-linux-*/bin/node "$node/"
  cp -RL "$(npm root -g)/npm" "$node/npm"
  cp -L /etc/ssl/certs/ca-certificates.crt "$node/"
  base node:24-slim bookworm "$node" || { rm -rf "$node"; exit 1; }
  rm -rf "$node"
fi
