// `cache` in the configuration.
import * as z from 'zod/mini'
import { seconds, url } from '../base/config-fields.ts'

const cacheUnit = z
  .string('a template unit such as copy-cache@.service')
  .check(z.regex(/^[A-Za-z0-9:_.\\-]+@\.service$/, 'a template unit such as copy-cache@.service'))

export const cacheSchema = z.strictObject(
  {
    unit: z.optional(cacheUnit),
    timeoutSeconds: z._default(seconds, 3600),
    parallel: z._default(z.int('a whole number').check(z.minimum(1, 'at least 1')), 4),
    url: z.optional(url),
  },
  'an object',
)

export type CacheConfig = z.output<typeof cacheSchema>

/** Whether there is anything to copy with, or to look at. */
export function isCacheConfigured(config: CacheConfig | undefined): config is CacheConfig {
  return config?.unit !== undefined || config?.url !== undefined
}
