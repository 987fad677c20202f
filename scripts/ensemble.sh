#!/usr/bin/env bash
# Runs an ensemble of paddock servers on this machine, in the foreground; Ctrl-C ends all of them.
#
#	ensemble.sh          all servers, each line of their logs behind the number of its server
#	ensemble.sh N        server N alone: to bring back one that was killed, from another terminal
#	ensemble.sh status   what each says of itself
#
# It goes by the environment: SERVERS (3), DATA (./data: a directory ensemble-N for each), CLIENT_PORT (2181 for
# server 1, and so on), QUORUM_PORT (2888), ELECTION_PORT (3888), ADMIN_PORT (8081), BIN (./bin/paddock), EXTRA
# (further lines of zoo.cfg). What is in DATA stays there; all listen on 127.0.0.1 only.
set -u
SERVERS=${SERVERS:-3} DATA=${DATA:-data} BIN=${BIN:-bin/paddock} EXTRA=${EXTRA:-}
CLIENT_PORT=${CLIENT_PORT:-2181} QUORUM_PORT=${QUORUM_PORT:-2888}
ELECTION_PORT=${ELECTION_PORT:-3888} ADMIN_PORT=${ADMIN_PORT:-8081}

if ! [ -x "$BIN" ]; then
	echo "there is no $BIN (make build makes it; BIN names another)" >&2
	exit 1
fi

dir() { printf '%s/ensemble-%s' "$DATA" "$1"; }

# configure writes zoo.cfg and myid of server $1.
configure() {
	mkdir -p "$(dir "$1")" || exit 1
	printf '%s\n' "$1" >"$(dir "$1")/myid"
	{
		printf '%s\n' "# Written by $0 at each start." \
			"dataDir=$(dir "$1")" "clientPort=$((CLIENT_PORT + $1 - 1))" "clientPortAddress=127.0.0.1" \
			"admin.serverPort=$((ADMIN_PORT + $1 - 1))" "tickTime=2000" "initLimit=10" "syncLimit=5"
		for m in $(seq "$SERVERS"); do
			printf '%s\n' "server.$m=127.0.0.1:$((QUORUM_PORT + m - 1)):$((ELECTION_PORT + m - 1))"
		done
		printf '%s\n' "$EXTRA"
	} >"$(dir "$1")/zoo.cfg"
}

alive() { [ -n "$1" ] && kill -0 "$1" 2>/dev/null; }

pid_of() { cat "$(dir "$1")/pid" 2>/dev/null; }

prefix() { while IFS= read -r line; do printf '%s | %s\n' "$1" "$line"; done; }

alone() {
	if alive "$(pid_of "$1")"; then
		echo "server $1 runs already, as process $(pid_of "$1")" >&2
		exit 1
	fi
	configure "$1"
	echo $$ >"$(dir "$1")/pid"
	exec "$BIN" server "$(dir "$1")/zoo.cfg"
}

status() {
	for n in $(seq "$SERVERS"); do
		state=down
		if exec 3<>"/dev/tcp/127.0.0.1/$((CLIENT_PORT + n - 1))"; then
			printf srvr >&3
			state=$(sed -n 's/^Mode: //p; s/^This ZooKeeper.*/up, and looking for a leader/p' <&3)
			exec 3>&-
		fi 2>/dev/null
		printf '%s: %s\n' "$n" "$state"
	done
}

pids=()

stop() {
	trap '' INT TERM
	for pid in "${pids[@]}"; do
		alive "$pid" && kill -TERM "$pid" 2>/dev/null
	done
	wait
	exit "$1"
}

all() {
	for n in $(seq "$SERVERS"); do
		if alive "$(pid_of "$n")"; then
			echo "server $n runs already, as process $(pid_of "$n")" >&2
			exit 1
		fi
	done
	trap 'stop 0' INT TERM
	hosts=
	for n in $(seq "$SERVERS"); do
		configure "$n"
		"$BIN" server "$(dir "$n")/zoo.cfg" > >(trap '' INT; prefix "$n") 2>&1 &
		pids[n]=$!
		echo $! >"$(dir "$n")/pid"
		hosts=$hosts${hosts:+,}127.0.0.1:$((CLIENT_PORT + n - 1))
	done
	cat <<-END

		$SERVERS servers. Connect:      zkCli.sh -server $hosts
		who leads:          $0 status
		kill one:           kill -9 \$(cat $(dir 2)/pid)
		bring it back:      $0 2        (from another terminal, with the same settings)
		end all:            Ctrl-C

	END
	watch
}

# watch says when a server ends, and returns when none is left.
watch() {
	local left=$SERVERS code
	while [ "$left" -gt 0 ]; do
		sleep 1
		for n in $(seq "$SERVERS"); do
			pid=${pids[n]:-}
			if [ -n "$pid" ] && ! alive "$pid"; then
				wait "$pid" 2>/dev/null
				code=$?
				unset "pids[n]"
				left=$((left - 1))
				echo "$n | ended with $code. Bring it back: $0 $n"
			fi
		done
	done
	wait
	exit 1
}

case ${1:-} in
'') all ;;
status) status ;;
[1-9] | [1-9][0-9]) alone "$1" ;;
*)
	sed -n '2,6s/^# \{0,1\}//p' "$0" >&2
	exit 2
	;;
esac
