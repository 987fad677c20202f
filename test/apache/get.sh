#!/usr/bin/env bash
# Fetches the reference server (Apache ZooKeeper) and Curator from Maven Central
# into .tools/apache and .tools/curator. The versions are those of pom.xml.
# Does nothing when they are already there, so every script may call it first.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
tools=${PADDOCK_TOOLS:-$(cd "$here/../.." && pwd)/.tools}

mkdir -p "$tools"
exec 9>"$tools/.apache.lock"
flock 9 # several test runs on one machine may start at once

want=$(sha256sum "$here/pom.xml" | cut -d' ' -f1)
if [ "$(cat "$tools/.apache.pom" 2>/dev/null || true)" = "$want" ]; then
	exit 0
fi

need=()
command -v java >/dev/null || need+=(openjdk-17-jdk-headless)
command -v javac >/dev/null || need+=(openjdk-17-jdk-headless)
command -v mvn >/dev/null || need+=(maven)
if [ ${#need[@]} -gt 0 ]; then
	export DEBIAN_FRONTEND=noninteractive
	apt-get update -q >&2
	apt-get install -q -y --no-install-recommends "${need[@]}" >&2
fi

# Into a directory of its own first: a killed run leaves no half set behind.
rm -rf "$tools/.apache.new"
mvn -q -B -ntp -f "$here/pom.xml" -Dtools="$tools/.apache.new" package >&2
rm -rf "$tools/apache" "$tools/curator"
mv "$tools/.apache.new/apache" "$tools/apache"
mv "$tools/.apache.new/curator" "$tools/curator"
rmdir "$tools/.apache.new"
echo "$want" >"$tools/.apache.pom"
