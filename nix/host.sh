# Brings this host to the system that the pointer of its channel names (docs/hosts.md). Whatever is wrong, it says so, and the host
# stays as it is. systemd runs it as root; what it has to know is in its environment (host.nix).
set -euo pipefail
profile=/nix/var/nix/profiles/system
cd "$STATE_DIRECTORY"

stay() {
  echo "$1; this host stays as it is" >&2
  exit 1
}
# of a pointer's file a field, empty if it is null
field() { jq --raw-output ".$2 // empty" "$1"; }
parts() { readlink "$1/initrd" "$1/kernel" "$1/kernel-modules" || true; }
runs_another_kernel() { [[ $(parts /run/booted-system) != "$(parts "$1")" ]]; }
may_reboot_now() {
  local now
  now=$(date +%H:%M)
  if [[ -z $REBOOT_FROM ]]; then return 0; fi
  if [[ $REBOOT_FROM < $REBOOT_UNTIL ]]; then
    [[ $now > $REBOOT_FROM && $now < $REBOOT_UNTIL ]]
  else
    [[ $now > $REBOOT_FROM || $now < $REBOOT_UNTIL ]]
  fi
}

# The pointer. What is kept is that of the last success, so that what failed is tried again.
known=()
[[ ! -s pointer.json || ! -s etag ]] || known=(--etag-compare etag)
rm -f new.json new-etag
status=$(curl --disable --silent --show-error --proto '=https' --max-time 60 --max-filesize 65536 --retry 3 "${known[@]}" \
  --etag-save new-etag --output new.json --write-out '%{http_code}' "$POINTER_URL") || stay "cannot fetch $POINTER_URL"
touch new-etag
case $status in
  200) ;;
  304) { cp pointer.json new.json && cp etag new-etag; } || stay "cannot read the last pointer" ;;
  *) stay "$POINTER_URL answers $status, and that is no pointer" ;;
esac
jq --exit-status --slurp --arg repository "$REPOSITORY" --arg branch "$BRANCH" '
  length == 1 and (.[0] | .version == 1 and .branch == $branch and (.serial | type == "number") and
  (.repository | ascii_downcase) == ($repository | ascii_downcase))' new.json >/dev/null 2>&1 ||
  stay "$POINTER_URL is no pointer of $REPOSITORY $BRANCH"
serial=$(field new.json serial) last=0 kept=''
if [[ -s pointer.json ]]; then
  { last=$(field pointer.json serial) && kept=$(field pointer.json storePath); } 2>/dev/null && [[ $last =~ ^[0-9]{1,16}$ ]] ||
    stay "cannot read the last pointer: remove $PWD/pointer.json to accept any serial"
fi
[[ $serial =~ ^[0-9]{1,16}$ ]] || stay "the pointer's serial is no number: $serial"
((serial >= last)) || stay "the pointer is older (serial $serial) than the last one ($last): $POINTER_URL"
path=$(field new.json storePath)
if [[ -z $path ]]; then
  echo "the pointer names no system: $(jq --ascii-output .why new.json); this host stays as it is"
  exit 0
fi
[[ $path =~ ^/nix/store/[0-9a-df-np-sv-z]{32}-nixos-system-[A-Za-z0-9+._?=-]+$ ]] || stay "the pointer names no system: $(printf %q "$path")"

# The system. An upgrade that waits for a reboot is not done again.
operation=$OPERATION
if [[ $(readlink -f "$profile") == "$path" && ($(readlink -f /run/current-system) == "$path" || $kept == "$path") ]]; then
  echo "nothing to do: this host has $path"
else
  nix-store --option narinfo-cache-negative-ttl 0 --realise "$path" >/dev/null || stay "cannot get $path from this host's caches"
  name=$(head -c 256 "$path/etc/hostname" || true)
  [[ $name == "$HOST" ]] || stay "$path is not for $HOST but for $(printf %q "$name")"
  [[ -x $path/bin/switch-to-configuration ]] || stay "$path has no bin/switch-to-configuration"
  if [[ $ALLOW_REBOOT == 1 ]] && runs_another_kernel "$path"; then
    operation=boot
  elif [[ $operation == switch && -e $path/switch-inhibitors ]] && ! "$path/bin/switch-to-configuration" check; then
    echo "$path cannot be switched to: it is for the next boot"
    operation=boot
  fi
  nix-env --profile "$profile" --set "$path" || stay "cannot set $profile to $path"
  "$path/bin/switch-to-configuration" "$operation" || {
    echo "switch-to-configuration $operation of $path ended with $?; the next run tries again" >&2
    exit 1
  }
  echo "$operation of $path has succeeded: $(jq --compact-output --ascii-output '{sha, eval, build}' new.json)"
fi
sync new.json
mv new.json pointer.json
# after the pointer: an older one would be believed if the page said that it has not changed
mv new-etag etag

if [[ $ALLOW_REBOOT == 1 ]] && { runs_another_kernel "$path" ||
  [[ $OPERATION == switch && $(readlink -f /run/current-system) != "$path" ]]; }; then
  if may_reboot_now; then
    shutdown -r +1
  else
    echo "a reboot is due, and waits for $REBOOT_FROM to $REBOOT_UNTIL"
  fi
fi
