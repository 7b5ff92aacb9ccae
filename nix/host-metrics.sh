# Writes what this host runs, for the textfile collector of node_exporter. $1: what was before, `success`, `failure` or `boot`.
set -euo pipefail
# the first of two
cd "${STATE_DIRECTORY%%:*}"
# of system.autoUpgrade there is nothing else that tells
[[ $MODE != flake || $1 != success ]] || touch success
running=$(readlink -f /run/current-system)
parts() { readlink "$1/initrd" "$1/kernel" "$1/kernel-modules" || true; }
due=0
[[ $(parts /run/booted-system) == "$(parts /nix/var/nix/profiles/system)" ]] || due=1
[[ $(readlink -f /nix/var/nix/profiles/system) == "$running" ]] || due=1
sha=$("$running/sw/bin/nixos-version" --configuration-revision 2>/dev/null || true) serial='' stamp=success
if [[ $MODE == store-path ]]; then
  stamp=pointer.json
  serial=$(jq .serial pointer.json 2>/dev/null || true)
  # one system may be that of several commits
  sha=$(jq --raw-output --arg path "$running" --arg sha "$sha" 'if .storePath == $path then .sha else $sha end' \
    pointer.json 2>/dev/null || echo "$sha")
fi
[[ $sha =~ ^[0-9a-f]{40}$ ]] || sha=''
{
  echo "hydra_channels_host_info{repository=\"$REPOSITORY\",branch=\"$BRANCH\",sha=\"$sha\",store_path=\"$running\"} 1"
  echo "hydra_channels_host_reboot_due $due"
  [[ -z $serial ]] || echo "hydra_channels_host_serial $serial"
  [[ ! -e $stamp ]] || echo "hydra_channels_host_last_success_timestamp_seconds $(stat --format=%Y "$stamp")"
} >"$METRICS_DIRECTORY/.hydra-channels-host.prom"
chmod 0644 "$METRICS_DIRECTORY/.hydra-channels-host.prom"
mv "$METRICS_DIRECTORY/.hydra-channels-host.prom" "$METRICS_DIRECTORY/hydra-channels-host.prom"
