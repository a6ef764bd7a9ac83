#!/bin/sh
# Runs the whole suite several times beside four busy loops: a test that depends on a quiet machine fails here.
# It must never leave a busy loop behind. Usage: npm run test:steady [-- RUNS [vitest arguments]]
set -u
runs=5
case "${1:-}" in '' | *[!0-9]*) ;; *) runs=$1; shift ;; esac
cd "$(dirname "$0")/.." || exit 1

loops=''
logs=$(mktemp -d)
stop() {
  # Each loop by its own id. The logs of failed runs stay.
  for pid in $loops; do kill "$pid" 2>/dev/null; done
  loops=''
}
trap stop EXIT
trap 'exit 130' HUP INT TERM

parent=$$
for _ in 1 2 3 4; do
  # A loop whose parent was killed the hard way ends within seconds.
  (while kill -0 "$parent" 2>/dev/null; do i=0; while [ "$i" -lt 200000 ]; do i=$((i + 1)); done; done) &
  loops="$loops $!"
done

failed=0
run=1
while [ "$run" -le "$runs" ]; do
  log="$logs/run-$run.log"
  if NO_COLOR=1 npx vitest run "$@" >"$log" 2>&1; then
    echo "run $run of $runs: passed$(grep -E '^ *Tests ' "$log" | tail -1 | sed 's/^ *Tests */, /')"
    rm -f "$log"
  else
    failed=$((failed + 1))
    echo "run $run of $runs: FAILED, output in $log"
    grep -E '^ *FAIL ' "$log" | sort -u
  fi
  run=$((run + 1))
done
rmdir "$logs" 2>/dev/null
echo "$((runs - failed)) of $runs runs passed beside four busy loops"
[ "$failed" -eq 0 ]
