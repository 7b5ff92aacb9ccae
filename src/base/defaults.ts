// What a command uses if the configuration says nothing, or before it is read.
export const DEFAULT_CONFIG_FILE = '/etc/hydra-channels/config.json'
