#!/bin/sh
# Emits dist, which the package carries and bin/gatehouse runs, unless no source changed since.
# It comes into place by a rename: what runs of the former one finds what it has yet to load.
set -eu
cd "$(dirname "$0")"
[ ! -f dist/.built ] ||
  [ -n "$(find src tsconfig*.json package.json rolldown.config.ts -newer dist/.built -print -quit)" ] ||
  exit 0
new=dist.new.$$
old=dist.old.$$
trap 'rm -rf "$new" "$old"' EXIT
mkdir "$new"
# Before anything is read: what changes meanwhile is newer.
touch "$new/.built"
# It lists what it wrote, a hundred lines for somebody who only wants to start.
rolldown --config rolldown.config.ts --dir "$new" --log-level warn >/dev/null
tsc -p tsconfig.types.json --outDir "$new"
[ ! -d dist ] || mv dist "$old"
mv "$new" dist
