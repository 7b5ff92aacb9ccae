// status in a real terminal. With HYDRA_CHANNELS_TEST_PICTURES=docs the picture in the README is taken anew.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { stripVTControlCharacters } from 'node:util'
import stringWidth from 'string-width'
import { writeStamp } from '../../src/state/last-reconcile.ts'
import { openBrowser, takePicture, withoutBrowser } from '../helpers/browser.ts'
import { type Stage, stageFor } from '../helpers/stage.ts'
import { channel, job } from '../helpers/status.ts'
import { linesOnScreen, renderScreen, runInTerminal, withoutTerminal } from '../helpers/terminal.ts'

const COLUMNS = 100
const skip = withoutTerminal || withoutBrowser('status in a terminal')

const now = Math.floor(Date.now() / 1000)
const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

type Builds = Record<string, number | 'queued'>

/** A commit on main, and its eval some minutes later. */
async function push(
  { repository, hydra, jobset }: Stage,
  { parent, message, ago, builds, error }: Push,
): Promise<string> {
  const sha = await repository.commit({
    ...(parent !== undefined && { parents: [parent] }),
    message,
    date: now - ago,
  })
  await hydra.eval({
    jobset,
    flake: `github:alice/dotfiles/${sha}?narHash=sha256-x`,
    timestamp: now - ago + 5 * MINUTE,
    builds: Object.entries(builds).map(([host, status]) => ({
      job: job(host),
      status: status === 'queued' ? null : status,
    })),
    ...(error !== undefined && { error }),
  })
  return sha
}

interface Push {
  parent?: string
  message: string
  /** seconds */
  ago: number
  builds: Builds
  error?: string
}

/**
 *     main: c1 - c2 - c3 - c4     evals of all of them; router fails from c2 on, mail is broken by c4, web is being built
 */
async function fleet(stage: Stage): Promise<void> {
  const { repository, hydra, config } = stage
  // numbers as a Hydra has that has run for a while
  await hydra.sql`select setval('jobsetevals_id_seq', 989), setval('builds_id_seq', 4100)`
  const good = { router: 0, mail: 0, web: 0, laptop: 0, backup: 0, nas: 0 }
  const c1 = await push(stage, { message: 'flake: update', ago: 10 * DAY, builds: good })
  const failing = { ...good, router: 1 }
  const c2 = await push(stage, {
    ...{ parent: c1, message: 'router: nftables rewrite', ago: 9 * DAY + HOUR },
    builds: failing,
  })
  const c3 = await push(stage, { parent: c2, message: 'flake: update', ago: 2 * DAY, builds: failing })
  const { mail: _, ...withoutMail } = failing
  const c4 = await push(stage, {
    ...{ parent: c3, message: 'mail: rspamd', ago: 70 * MINUTE },
    builds: { ...withoutMail, web: 'queued' },
    error: `in job ‘${job('mail')}’:\nerror:\n error: The option 'services.rspamd.enabled' does not exist.\n`,
  })
  await repository.setBranches({
    main: c4,
    [channel('router')]: c1,
    ...Object.fromEntries(['mail', 'web', 'laptop'].map(host => [channel(host), c3])),
    ...Object.fromEntries(['backup', 'nas'].map(host => [channel(host), c4])),
  })
  const stateDirectory = join(stage.directory, 'state')
  config.stateDirectory = stateDirectory
  config.hydraUrl = 'https://hydra.example.org'
  config.reconcile = { interval: '15min' }
  writeStamp(stateDirectory, { ended: 'ok', counts: {}, failures: {} }, { line: assert.fail })
  await stage.command(
    'hydra-channels',
    ['hold', 'laptop', '--reason', 'its owner is on a journey', '--until', '3d'],
    { env: { HYDRA_CHANNELS_ASKED_BY: 'alice' } },
  )
}

test(`${COLUMNS} columns: no line is wider, trouble is red, and what is fine is green`, { skip }, async t => {
  const stage = await stageFor(t)
  await fleet(stage)
  const output = await runInTerminal('hydra-channels', ['status'], { columns: COLUMNS, env: stage.env })
  const lines = linesOnScreen(output)
  const texts = lines.map(stripVTControlCharacters)
  for (const text of texts) assert.ok(stringWidth(text) <= COLUMNS, text)
  assert.match(texts[0] ?? '', /^CHANNEL +AT +BEHIND +SINCE +REASON$/)
  const reasons = lines.flatMap(line => /\u001b\[(\d+)m(.*)\u001b\[39m$/.exec(line)?.slice(1) ?? [])
  assert.deepEqual(reasons, [
    ...['31', 'evaluation-failed', '31', 'build-failed', '33', 'building', '33', 'held'],
    ...['32', 'up-to-date', '32', 'up-to-date'],
  ])

  const file = join(stage.directory, 'screen.html')
  writeFileSync(file, renderScreen('hydra-channels status', lines))
  const browser = await openBrowser()
  t.after(() => browser.close())
  const shown = await browser.newPage({ viewport: { width: 900, height: 700 }, deviceScaleFactor: 1.25 })
  await shown.goto(pathToFileURL(file).href)
  const { width = 0, height = 0 } = (await shown.locator('pre').boundingBox()) ?? {}
  assert.ok(width > 0 && width <= 900)
  await shown.setViewportSize({ width: Math.ceil(width), height: Math.ceil(height) })
  await takePicture(shown, 'status')
})
