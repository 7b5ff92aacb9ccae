# Brings this host to the system that the pointer of its channel names (docs/hosts.md). Whatever is wrong, it says so, and the host
# stays as it is. systemd runs it as root; what it has to know is in its environment (host.nix).
set -euo pipefail
cd "$STATE_DIRECTORY"

stay() {
  echo "$1; this host stays as it is" >&2
  exit 1
}
# of a pointer's file a field, empty if it is null
field() { jq --raw-output ".$2 // empty" "$1"; }
is_of_channel() {
  jq --exit-status --slurp --arg repository "$REPOSITORY" --arg branch "$BRANCH" '
    length == 1 and (.[0] | .version == 1 and .branch == $branch and
    (.serial | type == "number" and . == floor and . >= 0 and . < 1e16) and
    (.repository | ascii_downcase) == ($repository | ascii_downcase))' "$1" >/dev/null 2>&1
}
# as NixOS does: what both systems list must be the same
is_inhibited() {
  jq --exit-status --null-input --slurpfile old /run/current-system/switch-inhibitors --slurpfile new "$1/switch-inhibitors" '
    $old[0] as $old | $new[0] | to_entries | any(.key as $key | $old | has($key) and .[$key] != $new[0][$key])' >/dev/null 2>&1
}
may_reboot_now() {
  local now
  now=$(date +%H:%M)
  if [[ -z $REBOOT_FROM ]]; then return; fi
  if [[ $REBOOT_FROM < $REBOOT_UNTIL ]]; then
    [[ $now > $REBOOT_FROM && $now < $REBOOT_UNTIL ]]
  else
    [[ $now > $REBOOT_FROM || $now < $REBOOT_UNTIL ]]
  fi
}

# The pointer of the last success: what failed is tried again. That of another channel says nothing of this one's serials.
last=0 kept='' known=()
if [[ -s pointer.json ]]; then
  jq --exit-status .serial pointer.json >/dev/null 2>&1 || stay "cannot read the last pointer: remove $PWD/pointer.json to accept any serial"
  if is_of_channel pointer.json; then
    last=$(field pointer.json serial)
    kept=$(field pointer.json storePath)
    [[ ! -s etag ]] || known=(--etag-compare etag)
  fi
fi

# The one that the page has now.
truncate --size=0 new.json new-etag
status=$(curl --disable --silent --show-error --proto '=https' --max-time 60 --max-filesize 65536 --retry 3 --retry-max-time 180 \
  "${known[@]}" --etag-save new-etag --output new.json --write-out '%{http_code}' "$POINTER_URL") || stay "cannot fetch $POINTER_URL"
case $status in
  200) (($(stat --format=%s new.json) <= 65536)) || stay "$POINTER_URL answers more than 64 kB, and that is no pointer" ;;
  304) cp pointer.json new.json && cp etag new-etag ;;
  *) stay "$POINTER_URL answers $status, and that is no pointer" ;;
esac
is_of_channel new.json || stay "$POINTER_URL is no pointer of $REPOSITORY $BRANCH"
serial=$(field new.json serial)
((serial >= last)) || stay "the pointer is older (serial $serial) than the last one ($last): $POINTER_URL"
path=$(field new.json storePath)
if [[ -z $path ]]; then
  echo "the pointer names no system: $(jq --ascii-output .why new.json); this host stays as it is"
  exit 0
fi
[[ $path =~ ^/nix/store/[0-9a-df-np-sv-z]{32}-nixos-system-[A-Za-z0-9+._?=-]+$ ]] || stay "the pointer names no system: $(printf %q "$path")"

# The system. One that is for the next boot is not set again.
if [[ $kept == "$path" && $(readlink -f "$profile") == "$path" ]]; then
  echo "nothing to do: this host has $path$(leads_to /run/current-system "$path" || echo ', from its next boot on')"
else
  timeout 6h nix-store --option narinfo-cache-negative-ttl 0 --add-root "$PWD/next" --indirect --realise "$path" >/dev/null ||
    stay "cannot get $path from this host's caches"
  name=$(head -c 256 "$path/etc/hostname" || true)
  [[ $name == "$HOST" ]] || stay "$path is not for $HOST but for $(printf %q "$name")"
  [[ -x $path/bin/switch-to-configuration ]] || stay "$path has no bin/switch-to-configuration"
  how=$OPERATION
  if [[ $ALLOW_REBOOT == 1 ]] && wants_another_kernel "$path"; then
    how=boot
  elif [[ $how == switch ]] && is_inhibited "$path"; then
    echo "$path cannot be switched to: it is for the next boot"
    how=boot
  fi
  # what would stop a switch must be known before the profile is set; a system without this file has no such command
  if [[ $how == switch && -e $path/switch-inhibitors ]]; then
    "$path/bin/switch-to-configuration" check || stay "$path must not be switched to now"
  fi
  nix-env --profile "$profile" --set "$path" || stay "cannot set $profile to $path"
  ended=0
  "$path/bin/switch-to-configuration" "$how" || ended=$?
  case $ended in
    0) ;;
    100) how=boot ;; # it is set, but what runs cannot be replaced
    *)
      echo "switch-to-configuration $how of $path ended with $ended; the next run tries again" >&2
      exit 1
      ;;
  esac
  # /run is empty after a boot
  [[ $how == "$OPERATION" ]] || echo "$path" >"$RUNTIME_DIRECTORY/boot"
  echo "$how of $path has succeeded: $(jq --compact-output --ascii-output '{sha, eval, build}' new.json)"
fi
sync new.json
mv new.json pointer.json
# after the pointer: an older one would be believed if the page said that it has not changed
mv new-etag etag
rm -f next

if [[ $ALLOW_REBOOT == 1 ]] && { wants_another_kernel "$path" || [[ $(cat "$RUNTIME_DIRECTORY/boot" 2>/dev/null) == "$path" ]]; }; then
  if may_reboot_now; then
    shutdown -r +1
  else
    echo "a reboot is due, and waits for $REBOOT_FROM to $REBOOT_UNTIL"
  fi
fi
