# What hydra-channels may do as a unit: talk to GitHub and the cache (AF_INET, AF_INET6), to PostgreSQL
# and to systemd over D-Bus (AF_UNIX), and write to its own folders. Only builtins: the tests show it
# to systemd-analyze security (test/nix/sandbox.test.ts).
{
  CapabilityBoundingSet = "";
  LockPersonality = true;
  # not MemoryDenyWriteExecute: V8 compiles at run time
  NoNewPrivileges = true;
  PrivateDevices = true;
  PrivateIPC = true;
  PrivateMounts = true;
  PrivateTmp = true;
  # D-Bus, polkit and PostgreSQL go by the real user, whom the kernel tells them also from here
  PrivateUsers = true;
  ProcSubset = "pid";
  ProtectClock = true;
  ProtectControlGroups = true;
  ProtectHome = true;
  ProtectHostname = true;
  ProtectKernelLogs = true;
  ProtectKernelModules = true;
  ProtectKernelTunables = true;
  ProtectProc = "invisible";
  ProtectSystem = "strict";
  RemoveIPC = true;
  RestrictAddressFamilies = [
    "AF_UNIX"
    "AF_INET"
    "AF_INET6"
  ];
  RestrictNamespaces = true;
  RestrictRealtime = true;
  RestrictSUIDSGID = true;
  SystemCallArchitectures = "native";
  # Node asks for more open files than it gets (@resources), and goes on without
  SystemCallErrorNumber = "EPERM";
  SystemCallFilter = [
    "@system-service"
    "~@privileged @resources"
  ];
  # an inline hook, of another user, reads the holds
  UMask = "0022";
}
