#!/usr/bin/env bash
# `npm run test:container`: builds the image, runs it hardened, runs both compose profiles, stops, kills and restarts them.
# Needs root and podman, buildah, runc and debootstrap, which it installs on Debian when CI=true; without them it says why
# it is skipped. Base images are built locally (bases.sh) and kept in VESTIBULE_CONTAINERS between runs; `--clean` removes
# them afterwards. Nothing is left running.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

PASSED=0 FAILED=0
skip() { echo "skipped: $1"; echo 'tests: 0 passed, 0 failed, 1 skipped'; exit 0; }
tools_missing() { ! command -v podman >/dev/null || ! command -v runc >/dev/null || ! command -v debootstrap >/dev/null; }

[ "$(id -u)" = 0 ] || skip 'containers are run as root'
if tools_missing && [ "${CI:-}" = true ] && command -v apt-get >/dev/null; then
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    podman buildah runc debootstrap netavark aardvark-dns iptables python3-venv; } >/dev/null 2>&1
fi
tools_missing && skip 'podman, runc or debootstrap is missing (apt-get install podman buildah runc debootstrap netavark aardvark-dns)'

. tests/container/engine.sh
# The OCI format has no health check.
export BUILDAH_FORMAT=docker
WORK=$(mktemp -d "$CONTAINERS_HOME/work.XXXXXX")
COMPOSE=$CONTAINERS_HOME/venv/bin/podman-compose
[ -x "$COMPOSE" ] || { python3 -m venv "$CONTAINERS_HOME/venv" && "$CONTAINERS_HOME/venv/bin/pip" -q install podman-compose==1.6.0; } ||
  skip 'podman-compose cannot be installed'

# Every container, volume and network of this engine, which has no others. One that is being restarted needs another try.
clear_all() {
  local tries=20
  while [ -n "$(podman ps -aq)" ] && [ $tries -gt 0 ]; do
    podman rm -f -v -t 5 -a
    tries=$((tries - 1))
  done
  podman volume prune -f
  podman network prune -f
}

finish() {
  trap - EXIT INT TERM
  clear_all >/dev/null 2>&1
  podman rmi vestibule >/dev/null 2>&1
  podman image prune -f >/dev/null 2>&1
  rm -rf "$WORK"
  [ "${1:-}" != --clean ] || { podman system reset -f >/dev/null 2>&1; rm -rf "$CONTAINERS_HOME"; }
  echo "tests: $PASSED passed, $FAILED failed, 0 skipped"
  [ "$FAILED" = 0 ] && [ "$PASSED" != 0 ]
  exit
}
trap 'finish "${1:-}"' EXIT
trap 'exit 130' INT TERM

# check PROMISE COMMAND…
check() {
  local promise=$1
  shift
  if "$@" >"$WORK/out" 2>&1; then
    PASSED=$((PASSED + 1)); echo "ok      $promise"
  else
    FAILED=$((FAILED + 1)); echo "FAILED  $promise"; tail -n 15 "$WORK/out"
  fi
}

free_port() { node -e 'const s=require("net").createServer().listen(0,"127.0.0.1",()=>{console.log(s.address().port);s.close()})'; }
secret() { node -p 'crypto.randomBytes(32).toString("hex")'; }
hardened() { podman run --rm --read-only --cap-drop=ALL --security-opt=no-new-privileges --tmpfs /tmp "$@"; }

# compose PROFILE ARGUMENTS…: in a folder with this compose file and the .env of the test.
compose() {
  local profile=$1
  shift
  (cd "$WORK/vestibule" && if [ "$profile" = demo ]; then "$COMPOSE" "$@"; else "$COMPOSE" --profile "$profile" "$@" ${1:+$([ "$1" = up ] && echo production)}; fi)
}

# ready PORT: within two minutes.
ready() {
  local tries=240
  until curl -fsS -m 2 "http://127.0.0.1:$1/health/ready"; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { podman ps -a; podman logs --tail 20 vestibule_vestibule_1; return 1; }
    sleep 0.5
  done
}

# --- the image -----------------------------------------------------------------------------------------------------

build() { bash tests/container/bases.sh && podman build -t vestibule .; }
names_all() {
  local output status=0
  output=$(hardened vestibule 2>&1) || status=$?
  echo "$status $output"
  [ $status = 1 ] && for name in DATABASE_URL REDIS_URL MASTER_KEY PASSWORD_PEPPER SECRET_KEY SMS_ADAPTER PUBLIC_URL; do
    grep -q "^$name: " <<<"$output" || return 1
  done
}
no_tools() { hardened vestibule sh -c 'for t in npm npx yarn corepack; do command -v $t && exit 1; done; exit 0'; }
only_data() {
  hardened -v /data vestibule sh -c 'test "$(id -u)" = 1000 && touch /data/x && test -z "$(find /app /usr/local -user 1000 -print -quit)"' &&
    podman run --rm vestibule sh -c '! touch /app/x && ! touch /app/node_modules/.cache/compile/x && ! touch /usr/local/bin/x'
}
no_extras() { hardened vestibule sh -c '! ls -d /app/tests /app/.git /app/.env /app/.data /app/node_modules/vitest /app/node_modules/typescript /app/node_modules/node-linux-* 2>/dev/null'; }
no_secret() { ! podman inspect vestibule --format '{{.Config.Env}}' | grep -E '(KEY|SECRET|TOKEN|PASS|PEPPER)[A-Z_]*='; }
cached() {
  local accepted
  accepted=$(hardened -e NODE_ENV=development -e DB_HOST=127.0.0.1 -e DB_PORT=1 -e DB_USER=u -e DB_PASS=p -e DB_NAME=n \
    -e REDIS_URL=redis://127.0.0.1:1 -e DATA_DIR=/tmp/d -e NODE_DEBUG_NATIVE=COMPILE_CACHE vestibule 2>&1 | grep -c 'was accepted')
  echo "accepted: $accepted"
  [ "$accepted" -gt 500 ]
}

check 'the image builds' build
[ "$FAILED" = 0 ] || exit 1
check 'without settings it ends with 1 and names all that production demands' names_all
check 'it holds no package manager' no_tools
check 'it runs as an ordinary user who can write to /data only, and owns no code' only_data
check 'it holds no tests, history, environment file or development packages' no_extras
check 'it carries no secret' no_secret
check 'a start takes its compiled code from the image, on a read-only root' cached

# --- the demo profile ----------------------------------------------------------------------------------------------

mkdir "$WORK/vestibule" && cp compose.yaml "$WORK/vestibule/"
VESTIBULE_PORT=$(free_port) PRODUCTION_PORT=$(free_port)
export VESTIBULE_PORT PRODUCTION_PORT
DEMO=http://127.0.0.1:$VESTIBULE_PORT

sign_up() {
  curl -fsS -m 90 --retry 60 --retry-delay 1 -H 'content-type: application/json' -d '{"phone":"+15555550190"}' "$DEMO/v1/auth/signup/phone"
}
confined() {
  local name status
  [ "$(podman ps --format '{{.Names}}' | grep -c '^vestibule_')" = 3 ] || return 1
  for name in $(podman ps --format '{{.Names}}' | grep '^vestibule_'); do
    status=$(podman exec "$name" cat /proc/1/status)
    echo "$name: $(grep -E 'CapEff|CapBnd|NoNewPrivs|^Uid' <<<"$status" | tr '\n\t' '  ')"
    grep -qE 'CapEff:\s0+$' <<<"$status" && grep -qE 'CapBnd:\s0+$' <<<"$status" && grep -qE 'NoNewPrivs:\s1' <<<"$status" || return 1
    grep -qE '^Uid:\s0' <<<"$status" && return 1
    podman exec "$name" sh -c '! touch /x' || return 1
  done
}
loopback_only() {
  [ "$(podman port vestibule_vestibule_1)" = "8000/tcp -> 127.0.0.1:$VESTIBULE_PORT" ] &&
    [ -z "$(podman port vestibule_postgres_1)$(podman port vestibule_redis_1)" ]
}
no_way_out() { ! podman exec vestibule_redis_1 bash -c 'ip route 2>/dev/null | grep default || awk "\$2 == \"00000000\"" /proc/net/route | grep .'; }
stops_in_order() {
  podman stop -t 20 vestibule_vestibule_1 && [ "$(podman inspect vestibule_vestibule_1 --format '{{.State.ExitCode}}')" = 0 ] &&
    podman start vestibule_vestibule_1 && ready "$VESTIBULE_PORT"
}
survives_kill() {
  local before after
  before=$(podman exec vestibule_postgres_1 psql -U vestibule -Atc 'select count(*) from flows')
  podman kill -s KILL vestibule_vestibule_1 vestibule_postgres_1 vestibule_redis_1
  podman wait vestibule_vestibule_1 vestibule_postgres_1 vestibule_redis_1
  podman start vestibule_postgres_1 vestibule_redis_1 vestibule_vestibule_1
  ready "$VESTIBULE_PORT" || return 1
  after=$(podman exec vestibule_postgres_1 psql -U vestibule -Atc 'select count(*) from flows')
  echo "flows: $before, then $after"
  [ "$before" -gt 0 ] && [ "$before" = "$after" ]
}
counters_kept() {
  podman exec vestibule_redis_1 redis-cli config get appendonly | grep -qx yes &&
    podman exec vestibule_redis_1 redis-cli config get maxmemory-policy | grep -qx noeviction
}

check 'the plain command starts a service, Postgres and Redis' compose demo up -d
check 'the demo becomes ready' ready "$VESTIBULE_PORT"
check 'the demo takes a sign-up' sign_up
check 'the health check of the image agrees' podman healthcheck run vestibule_vestibule_1
check 'no container is root, has a capability or can gain one, or can write to its root' confined
check 'the service listens on loopback only, the stores publish nothing' loopback_only
check 'the stores have no way out' no_way_out
check 'Redis appends its counters to disk and never evicts them' counters_kept
check 'SIGTERM ends the service in order, and it starts again' stops_in_order
check 'killed all at once, everything starts again with what was committed' survives_kill
clear_all >/dev/null 2>&1

# --- the production profile ----------------------------------------------------------------------------------------

refuses() {
  compose production up -d
  podman wait vestibule_production_1
  podman logs vestibule_production_1 2>&1 | grep '^MASTER_KEY: is required in production' || { podman logs vestibule_production_1; return 1; }
  podman logs vestibule_production-postgres_1 2>&1 | grep 'password is not specified'
}
environment() {
  cat <<ENV
POSTGRES_PASSWORD=$(secret)
MASTER_KEY=$(secret)
PASSWORD_PEPPER=$(secret)
SECRET_KEY=$(secret)
PUBLIC_URL=https://auth.example
SMS_ADAPTER=twilio
TWILIO_ACCOUNT_SID=AC00000000000000000000000000000001
TWILIO_AUTH_TOKEN=$(secret)
TWILIO_FROM=+15005550006
SMTP_HOST=127.0.0.1
KYC_ADAPTER=http
KYC_URL=https://kyc.example
KYC_SECRET=$(secret)
KYC_WEBHOOK_SECRET=$(secret)
ENV
}
no_demo() { [ "$(curl -sS -m 5 -o /dev/null -w '%{http_code}' "http://127.0.0.1:$PRODUCTION_PORT/dev/inbox")" = 404 ]; }

check 'production without its secrets names them and ends, and Postgres does not begin without a password' refuses
clear_all >/dev/null 2>&1
environment >"$WORK/vestibule/.env"
check 'production starts with its settings' compose production up -d
check 'production becomes ready' ready "$PRODUCTION_PORT"
check 'production has no demo' no_demo
check 'no production container is root, has a capability or can write to its root' confined
