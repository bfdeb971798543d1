#!/bin/bash
# Asks for an approval of a version in the topic "deployments" and waits until somebody posts "deploy VERSION approved".
# Ends with 0 when it came, 4 when it did not come in time, 1 when it was rejected, else with parley's own exit code.
set -euo pipefail

version=${1:?usage: wait-for-approval.sh VERSION}
parley=${PARLEY_BIN:-parley}
seconds=${APPROVAL_TIMEOUT:-600}

# The question's cursor is the place to wait after: an answer that comes before `wait` starts is found too.
asked=$("$parley" post --json deployments "deploy $version? Answer: deploy $version approved, or: deploy $version rejected")
cursor=$(sed -nE 's/.*"cursor": *"([^"]+)".*/\1/p' <<<"$asked")

status=0
answer=$("$parley" wait deployments --since "$cursor" --timeout "$seconds" \
  --match "^deploy ${version//./\\.} (approved|rejected)") || status=$?
case $status in
  0) ;;
  4) echo "nobody answered within $seconds s" >&2; exit 4 ;;
  5) echo "the backend is unavailable" >&2; exit 5 ;;
  *) echo "parley wait failed" >&2; exit "$status" ;;
esac

echo "$answer"
[[ $answer == *"approved"* ]]
