// What holds where the configuration says nothing, and what is needed before that is checked.
export const DEFAULT_CONFIG_FILE = '/etc/hydra-channels/config.json'
export const DEFAULT_API_URL = 'https://api.github.com'
