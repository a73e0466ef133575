#!/bin/sh
# Runs forge, anvil or cast as installed by npm, without the start-up time of npx.
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
tool=${1:?usage: tool.sh forge|anvil|cast [arguments]}
shift
case $(uname -s) in
Linux) os=linux ;;
Darwin) os=darwin ;;
*) echo "tool.sh: no binaries for $(uname -s)" >&2; exit 1 ;;
esac
case $(uname -m) in
x86_64 | amd64) cpu=amd64 ;;
aarch64 | arm64) cpu=arm64 ;;
*) echo "tool.sh: no binaries for $(uname -m)" >&2; exit 1 ;;
esac
binary=$here/node_modules/@foundry-rs/$tool-$os-$cpu/bin/$tool
if [ ! -x "$binary" ]; then
  echo "tool.sh: $tool is not installed; run 'npm ci' in $here" >&2
  exit 1
fi
exec "$binary" "$@"
