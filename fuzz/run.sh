#!/usr/bin/env bash
# Runs every fuzz target of the repository, one after the other: for the given time each (default 30s), or for
# a count of executions (30000x). CI counts: where the time is over in the middle of an execution, Go's own
# fuzzer now and then reports "context deadline exceeded" as a failure, without an input that fails.
# A crasher stays under the package's testdata/fuzz and fails every later test run.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:-30s}
failed=0 ran=0
while read -r pkg target; do
	echo "== $pkg $target"
	ran=$((ran + 1))
	go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$pkg" || failed=$((failed + 1))
done < <(
	for dir in $(git ls-files '*_test.go' | xargs -r grep -l '^func Fuzz' | xargs -r -n1 dirname | sort -u); do
		grep -ho '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed "s|^func |./$dir |"
	done
)
echo "$((ran - failed)) passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$ran" -gt 0 ]
