#!/usr/bin/env bash
# Makes one client of the suite ready, installing what is missing:
#
#	build.sh CLIENT
#
# and leaves the command to start it, one word a line, in
# .tools/compat/CLIENT.command. Does nothing that is already done.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
tools=${PADDOCK_TOOLS:-$root/.tools}
built=$tools/compat
client=$1

mkdir -p "$built"
exec 9>"$built/.lock"
flock 9

# debian PACKAGE… installs those packages that are not there.
debian() {
	local p need=()
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || need+=("$p")
	done
	[ ${#need[@]} -eq 0 ] && return
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q
	apt-get install -q -y --no-install-recommends "${need[@]}"
}

# fresh STAMP FILE… says whether what STAMP stands for was made of these very files.
fresh() {
	local stamp=$1
	shift
	sum=$(sha256sum "$@" | sha256sum)
	[ "$(cat "$stamp" 2>/dev/null || true)" = "$sum" ]
}

command_is() {
	printf '%s\n' "$@" >"$built/$client.command"
}

java_program() { # java_program DIRECTORY MAIN CLASSPATH
	if ! fresh "$built/$1.stamp" "$here/clients/$1/$2.java" "$root/test/apache/pom.xml"; then
		rm -rf "${built:?}/$1"
		mkdir -p "$built/$1"
		javac -nowarn -encoding UTF-8 -cp "$3" -d "$built/$1" "$here/clients/$1/$2.java"
		echo "$sum" >"$built/$1.stamp"
	fi
	command_is java -Xmx256m -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 -cp "$built/$1:$3" "$2"
}

node_program() { # node_program FILE
	command -v node >/dev/null && command -v npm >/dev/null || debian nodejs npm
	debian gcc g++ make python3
	if ! fresh "$built/node.stamp" "$here/clients/node/package-lock.json"; then
		rm -rf "$built/node"
		mkdir -p "$built/node"
		cp "$here"/clients/node/package*.json "$built/node/"
		# The headers are the machine's own: they are not to be had elsewhere.
		[ -e /usr/include/node/node.h ] && export npm_config_nodedir=/usr
		(cd "$built/node" && npm ci --foreground-scripts --no-audit --no-fund)
		echo "$sum" >"$built/node.stamp"
	fi
	command_is env "NODE_PATH=$built/node/node_modules" node "$here/clients/node/$1"
}

rm -f "$built/$client.command"
case $client in
java)
	classpath=$("$root/test/apache/classpath.sh")
	java_program java Client "$classpath"
	;;
curator)
	classpath=$("$root/test/apache/classpath.sh" curator)
	java_program curator Recipes "$classpath"
	;;
zkcli)
	classpath=$("$root/test/apache/classpath.sh")
	debian python3
	command_is env "CLIENT_CLASSPATH=$classpath" python3 -B -u "$here/clients/zkcli/client.py"
	;;
c)
	debian gcc libc6-dev libzookeeper-mt-dev
	if ! fresh "$built/c.stamp" "$here/clients/c/client.c"; then
		gcc -O1 -Wall -Wextra -DTHREADED -o "$built/c.bin" "$here/clients/c/client.c" -lzookeeper_mt -lpthread
		echo "$sum" >"$built/c.stamp"
	fi
	command_is "$built/c.bin"
	;;
cli_mt)
	debian python3 zookeeper-bin
	command_is python3 -B -u "$here/clients/cli_mt/client.py"
	;;
kazoo)
	debian python3
	if ! fresh "$built/kazoo.stamp" "$here/clients/kazoo/requirements.txt"; then
		rm -rf "$built/kazoo"
		python3 -m venv "$built/kazoo" || { debian python3-venv && python3 -m venv "$built/kazoo"; }
		"$built/kazoo/bin/pip" install -q --disable-pip-version-check --require-hashes \
			-r "$here/clients/kazoo/requirements.txt"
		echo "$sum" >"$built/kazoo.stamp"
	fi
	command_is "$built/kazoo/bin/python" -B -u "$here/clients/kazoo/client.py"
	;;
gozk)
	(cd "$root" && go build -o "$built/gozk.bin" ./test/compat/clients/gozk)
	command_is "$built/gozk.bin"
	;;
node-native) node_program native.js ;;
node-js) node_program javascript.js ;;
*)
	echo "build.sh: no client named $client" >&2
	exit 2
	;;
esac
