#!/usr/bin/env bash
# Breaks paddock for as long as it is told to, with seeds that nobody has seen:
#
#	soak.sh DURATION      as 90s, 20m or 8h; the round that runs at its end is finished
#
# Each round is a piece of each kind of test: the simulators, real ensembles (of ours, then with Apache's servers
# among them), kill -9 of one server, and the fuzzers. A failure ends it; what it printed says how to repeat it.
# The last line is what was done. It is appended to docs/reliability-ledger.csv, which the repository keeps.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PATH:/usr/local/go/bin

case ${1:-} in
*[0-9]s) limit=${1%s} ;;
*[0-9]m) limit=$((${1%m} * 60)) ;;
*[0-9]h) limit=$((${1%h} * 3600)) ;;
*)
	echo "usage: soak.sh DURATION (90s, 20m, 8h)" >&2
	exit 2
	;;
esac

logs=$(mktemp -d)
began=$(date +%s)
rounds=0 seeds=0 quorum_seeds=0 faults_s=0 kills=0
kinds=(GGG GGGGG GGG JGG JJG)

# run NAME COMMAND…: its output goes to a file, and is shown where it fails; of a success only the summary is.
run() {
	local name=$1 log=$logs/$1
	shift
	if ! "$@" >"$log" 2>&1; then
		tail -60 "$log"
		echo "SOAK failed in round $((rounds + 1)): $name: $* (all of it: $log)" >&2
		exit 1
	fi
	grep -E 'acknowledged|virtual|seeds|cycles|^ok' "$log" | tail -2 | cut -c1-200 || true
}

make build >"$logs/build"
test/apache/get.sh >>"$logs/build"
export PADDOCK_BIN=$PWD/bin/paddock
while [ $(($(date +%s) - began)) -lt "$limit" ]; do
	first=$((RANDOM * 32768 + RANDOM + 1000000))
	kind=${kinds[$((rounds % ${#kinds[@]}))]}
	echo "--- round $((rounds + 1)): seeds from $first, $kind"
	run sim env PADDOCK_SIM_FIRST=$first PADDOCK_SIM_SEEDS=100 go test -count=1 -v -run TestSeeds -timeout 60m ./sim
	run quorum env PADDOCK_SIM_FIRST=$first PADDOCK_SIM_SEEDS=2000 go test -count=1 -v -run TestSeeds -timeout 60m ./sim/quorum
	run faults env PADDOCK_ENSEMBLE_SEED=$first PADDOCK_ENSEMBLE_KINDS="$kind" PADDOCK_ENSEMBLE_FOR=2m \
		go test -count=1 -v -run 'TestFaults|TestCuts' -timeout 60m ./test/ensemble
	run kill env PADDOCK_KILL_CYCLES=20 go test -count=1 -v -timeout 20m ./test/kill
	run fuzz fuzz/run.sh 5000x
	rounds=$((rounds + 1)) seeds=$((seeds + 100)) quorum_seeds=$((quorum_seeds + 2000))
	faults_s=$((faults_s + 120)) kills=$((kills + 20))
done

line="$(date -u +%F),$(git rev-parse --short HEAD),$(($(date +%s) - began)),$rounds,$seeds,$quorum_seeds,$faults_s,$kills,0"
echo "SOAK date,commit,seconds,rounds,sim_seeds,quorum_seeds,ensemble_fault_seconds,kills,failures: $line"
echo "$line" >>docs/reliability-ledger.csv
rm -r "$logs"
