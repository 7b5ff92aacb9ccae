# Before host.sh and host-metrics.sh: whether this host has to boot to run a system.
profile=/nix/var/nix/profiles/system
parts() { readlink "$1/initrd" "$1/kernel" "$1/kernel-modules" || true; }
# whether a link leads to a system, or to one of its specialisations
leads_to() {
  local each
  for each in "$2" "$2"/specialisation/*; do
    if [[ $(readlink -f "$1") == "$(readlink -f "$each")" ]]; then return; fi
  done
  return 1
}
wants_another_kernel() { ! leads_to /run/booted-system "$1" && [[ $(parts /run/booted-system) != "$(parts "$1")" ]]; }
