#!/usr/bin/env bash
# Runs the reference server in the foreground:
#
#	run.sh PORT DATADIR [CONFIG-FILE]
#
# The shell becomes the server (exec), so the pid that started this script is
# the server's: kill it by that. It listens on 127.0.0.1 only.
#
# Further zoo.cfg lines come from CONFIG-FILE or from APACHE_CFG (lines
# separated by newlines); they replace the lines of the same key below.
# APACHE_XMX is the heap (default 512m), APACHE_JVM further options of java.
set -euo pipefail
if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	echo "usage: run.sh PORT DATADIR [CONFIG-FILE]" >&2
	exit 2
fi
port=$1 data=$2 extra=${3:-}
here=$(cd "$(dirname "$0")" && pwd)
classpath=$("$here/classpath.sh")

mkdir -p "$data"
data=$(cd "$data" && pwd)
cfg=$data/zoo.cfg
# A later line of the same key wins: the server reads the file as Java properties.
{
	printf '%s\n' \
		"clientPort=$port" \
		"clientPortAddress=127.0.0.1" \
		"dataDir=$data" \
		"tickTime=2000" \
		"initLimit=10" \
		"syncLimit=5" \
		"admin.enableServer=false" \
		"4lw.commands.whitelist=*"
	printf '%s\n' "${APACHE_CFG:-}"
	if [ -n "$extra" ]; then cat "$extra"; fi
} >"$cfg"

# shellcheck disable=SC2086 # APACHE_JVM is a list of options
exec java -Xmx"${APACHE_XMX:-512m}" ${APACHE_JVM:-} \
	-Dzookeeper.jmx.log4j.disable=true \
	-cp "$classpath" org.apache.zookeeper.server.quorum.QuorumPeerMain "$cfg"
