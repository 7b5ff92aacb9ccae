# Writes what this host runs, for the textfile collector of node_exporter. $1: what was before, `success`, `failure` or `boot`.
set -euo pipefail
# the first of two
cd "${STATE_DIRECTORY%%:*}"
# of system.autoUpgrade there is nothing else that tells
[[ $MODE != flake || $1 != success ]] || touch success
running=$(readlink -f /run/current-system)
due=0
if wants_another_kernel "$profile" || ! leads_to /run/current-system "$profile"; then due=1; fi
sha=$("$running/sw/bin/nixos-version" --configuration-revision 2>/dev/null || true) serial='' stamp=success
if [[ $MODE == store-path ]]; then
  stamp=pointer.json
  serial=$(jq .serial pointer.json 2>/dev/null || true)
  # one system may be that of several commits
  path=$(jq --raw-output .storePath pointer.json 2>/dev/null || true)
  if [[ -n $path ]] && leads_to /run/current-system "$path"; then sha=$(jq --raw-output .sha pointer.json); fi
fi
[[ $sha =~ ^[0-9a-f]{40}$ ]] || sha=''
# of two that run at once each has its own
new=$METRICS_DIRECTORY/.hydra-channels-host.prom.$$
trap 'rm -f "$new"' EXIT
{
  echo "hydra_channels_host_info{repository=\"$REPOSITORY\",branch=\"$BRANCH\",sha=\"$sha\",store_path=\"$running\"} 1"
  echo "hydra_channels_host_reboot_due $due"
  [[ -z $serial ]] || echo "hydra_channels_host_serial $serial"
  [[ ! -e $stamp ]] || echo "hydra_channels_host_last_success_timestamp_seconds $(stat --format=%Y "$stamp")"
} >"$new"
chmod 0644 "$new"
mv "$new" "$METRICS_DIRECTORY/hydra-channels-host.prom"
