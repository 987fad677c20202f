#!/usr/bin/env bash
# Runs unmodified clients against a server: test/compat/README.md.
#
#	run.sh [--server paddock|apache|COMMAND] [CLIENT…]
#
# Every client gets a server of its own on an empty directory. When it prints
# READY-FOR-RESTART the server is killed (-9) and started again on the same
# directory, and the client is told to go on by a line on its standard input.
# COMMAND is started as COMMAND PORT DATADIR.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${PADDOCK_TOOLS:-$root/.tools}
limit=${COMPAT_LIMIT:-90} # seconds a client may take

server=paddock
if [ "${1:-}" = --server ]; then
	server=$2
	shift 2
fi
clients=("$@")
if [ ${#clients[@]} -eq 0 ]; then
	clients=(java curator zkcli c cli_mt kazoo gozk node-native node-js)
fi

# The server runs as a child of this shell, so that its pid is known.
start_server() {
	local i
	case $server in
	paddock)
		"$root/bin/paddock" server --set "clientPort=$port" --set clientPortAddress=127.0.0.1 \
			--set "dataDir=$dir/data" --set tickTime=2000 --set admin.enableServer=false \
			--set extendedTypesEnabled=true >>"$dir/server.log" 2>&1 &
		;;
	apache)
		APACHE_CFG=extendedTypesEnabled=true APACHE_JVM=-XX:TieredStopAtLevel=1 \
			"$root/test/apache/run.sh" "$port" "$dir/data" >>"$dir/server.log" 2>&1 &
		;;
	*)
		# shellcheck disable=SC2206 # a command and its words
		words=($server)
		"${words[@]}" "$port" "$dir/data" >>"$dir/server.log" 2>&1 &
		;;
	esac
	server_pid=$!
	for ((i = 0; i < 600; i++)); do
		if ask_srvr | grep -q '^Mode: '; then
			return 0
		fi
		if ! kill -0 "$server_pid" 2>/dev/null; then
			server_pid=
			return 1
		fi
		sleep 0.05
	done
	return 1
}

ask_srvr() {
	(
		exec 3<>"/dev/tcp/127.0.0.1/$port" || exit 0
		printf srvr >&3
		timeout 2 cat <&3
	) 2>/dev/null || true
}

stop_server() {
	if [ -n "$server_pid" ]; then
		kill -9 "$server_pid" 2>/dev/null || true
		wait "$server_pid" 2>/dev/null || true
		server_pid=
	fi
}

stop_client() {
	if [ -n "$client_pid" ]; then
		kill "$client_pid" 2>/dev/null || true
		wait "$client_pid" 2>/dev/null || true
		client_pid=
	fi
}

free_port() {
	local p
	while :; do
		# Below the range from which the system picks ports for connections.
		p=$((10000 + RANDOM % 22000))
		if ! (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null; then
			echo "$p"
			return
		fi
	done
}

server_pid= client_pid=
trap 'stop_client; stop_server' EXIT
trap 'exit 130' INT TERM

# run_client runs one client to its end; its output is in $dir/out then.
run_client() {
	local restarted=
	mapfile -t command <"$tools/compat/$client.command"
	if ! start_server; then
		echo "FAIL server: it did not start" >>"$dir/out"
		return
	fi
	mkfifo "$dir/in"
	exec 8<>"$dir/in"
	# timeout makes a process group of the client and whatever it starts.
	timeout -k 5 "$limit" "${command[@]}" "127.0.0.1:$port" <"$dir/in" >>"$dir/out" 2>"$dir/err" 8>&- &
	client_pid=$!
	while kill -0 "$client_pid" 2>/dev/null; do
		if [ -z "$restarted" ] && grep -q '^READY-FOR-RESTART$' "$dir/out"; then
			restarted=yes
			stop_server
			if ! start_server; then
				echo "FAIL server: it did not start again" >>"$dir/out"
				stop_client
				break
			fi
			echo GO >&8
		fi
		sleep 0.05
	done
	if [ -n "$client_pid" ]; then
		local status=0
		wait "$client_pid" || status=$?
		client_pid=
		[ $status -ne 124 ] || echo "FAIL client: not done in $limit s" >>"$dir/out"
	fi
	exec 8>&-
	stop_server
}

# judge counts the client's checks: those of checks.txt, no more and no fewer.
judge() {
	local check ok=0 bad=0
	: >"$dir/bad"
	for check in $(sed -n "s/^$client: //p" "$here/checks.txt"); do
		if grep -qx "ok $check" "$dir/out"; then
			ok=$((ok + 1))
		else
			bad=$((bad + 1))
			grep -m1 "^FAIL $check: " "$dir/out" >>"$dir/bad" || echo "FAIL $check: did not run" >>"$dir/bad"
		fi
	done
	# What went wrong outside the listed checks is a failure too.
	while read -r _ check _; do
		check=${check%:}
		if ! grep -qx "$client: $check" "$here/checks.txt"; then
			bad=$((bad + 1))
			grep "^[A-Za-z]* $check\b" "$dir/out" | sed 's/^ok \(.*\)/FAIL \1: not in checks.txt/' >>"$dir/bad"
		fi
	done < <(grep -E '^(ok|FAIL) ' "$dir/out" || true)
	if [ $bad -eq 0 ] && ! grep -qx DONE "$dir/out"; then
		bad=1
		echo "FAIL client: it ended early" >>"$dir/bad"
	fi
	passed=$((passed + ok)) failed=$((failed + bad))
	if [ $bad -eq 0 ]; then
		printf 'PASS %-12s %d checks, %d s\n' "$client" "$ok" $((SECONDS - began))
		return
	fi
	printf 'FAIL %-12s %d of %d checks, %d s; logs in %s\n' "$client" "$bad" $((ok + bad)) $((SECONDS - began)) "$dir"
	sed 's/^/    /' "$dir/bad"
	for log in err server.log; do
		if [ -s "$dir/$log" ]; then
			echo "    -- last lines of $log"
			tail -n 8 "$dir/$log" | cut -c1-200 | sed 's/^/    /'
		fi
	done
}

if [ "$server" = paddock ] && [ ! -x "$root/bin/paddock" ]; then
	echo "run.sh: bin/paddock is not built: make build" >&2
	exit 2
fi
if [ "$server" = apache ]; then
	"$root/test/apache/get.sh"
fi

passed=0 failed=0
for client in "${clients[@]}"; do
	dir=$tools/compat/run/$client
	rm -rf "$dir"
	mkdir -p "$dir"
	: >"$dir/out"
	port=$(free_port)
	began=$SECONDS
	if "$here/build.sh" "$client" >"$dir/build.log" 2>&1; then
		began=$SECONDS
		run_client
	else
		echo "FAIL build: the client could not be made ready, see $dir/build.log" >>"$dir/out"
	fi
	judge
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
