// `cache` in the configuration.
import * as z from 'zod/mini'
import { httpUrl, isSecure, seconds, text } from '../base/config-fields.ts'

const cacheUnit = z
  .string('a template unit such as copy-cache@.service')
  .check(z.regex(/^[A-Za-z0-9:_.\\-]+@\.service$/, 'a template unit such as copy-cache@.service'))

const HTTPS =
  'an https URL (http only on this machine). For http elsewhere, set cache.allowHttp to true: whoever is on the way can then forge what the cache answers, and “seen” proves less'

export const cacheSchema = z
  .strictObject(
    {
      unit: z.optional(cacheUnit),
      timeoutSeconds: z._default(seconds, 3600),
      parallel: z._default(z.int('a whole number').check(z.minimum(1, 'at least 1')), 4),
      url: z.optional(httpUrl),
      allowHttp: z.optional(z.boolean('true or false')),
      netrcFile: z.optional(text('the path of a netrc file')),
    },
    'an object',
  )
  .check(({ value: { url, allowHttp }, issues }) => {
    // an invalid URL has been reported, and cannot be read here
    if (issues.length > 0 || url === undefined || allowHttp || isSecure(new URL(url))) return
    issues.push({ code: 'custom', path: ['url'], input: url, message: HTTPS })
  })

export type CacheConfig = z.output<typeof cacheSchema>

/** Whether there is anything to copy with, or to look at. */
export function isCacheConfigured(config: CacheConfig | undefined): config is CacheConfig {
  return config?.unit !== undefined || config?.url !== undefined
}
