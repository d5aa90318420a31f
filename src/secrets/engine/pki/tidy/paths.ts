/**
 * Tidying: asked for, looked at, cancelled, and done again and again (Vault's PKI API).
 *
 * Owns the paths. The work is the duty's. Pure.
 */

import { Refusal } from '../../../../base/errors.ts'
import type { RowEnd } from '../../../deadline.ts'
import { type Call, type Outcome, type PathSpec, path } from '../../../declare.ts'
import { areaOf, type MountRow, mountsOf } from '../../../mount/mount.ts'
import * as shape from '../../../shape.ts'
import type { Draft } from '../../../storage.ts'
import { beginTidy, isRunning, putRun, runOf, statusShape, statusShown } from './run.ts'
import {
  AUTO_KIND,
  type AutoSettings,
  autoFields,
  autoSettingsOf,
  autoShown,
  hasOperations,
  NONE,
  putAutoSettings,
  readSettings,
  settingsParts,
  tidyFields,
} from './settings.ts'

const autoShape = shape.object({
  ...settingsParts(part => part),
  enabled: shape.bool,
  interval_duration: shape.int,
  maintain_stored_certificate_counts: shape.bool,
  publish_stored_certificate_count_metrics: shape.bool,
})

export const tidyPaths: readonly PathSpec[] = [
  path({
    pattern: 'tidy',
    help: {
      synopsis: 'Forgets what is over.',
      description: 'One server does it by and by; tidy-status tells how far it came.',
    },
    fields: tidyFields,
    access: 'authorized',
    operations: {
      update: { summary: 'Begins.', run: begin, examples: [{ tidy_cert_store: true }] },
    },
  }),
  path({
    pattern: 'tidy-status',
    help: { synopsis: 'How far the newest tidy came.', description: 'And what it did.' },
    fields: {},
    access: 'authorized',
    operations: { read: { summary: 'Tells it.', answer: statusShape, run: status } },
  }),
  path({
    pattern: 'tidy-cancel',
    help: { synopsis: 'Ends a tidy early.', description: 'What was forgotten stays forgotten.' },
    fields: {},
    access: 'authorized',
    operations: { update: { summary: 'Cancels it.', answer: statusShape, run: cancel } },
  }),
  path({
    pattern: 'config/auto-tidy',
    help: { synopsis: 'What is tidied again and again.', description: 'And how often.' },
    fields: autoFields,
    access: 'authorized',
    operations: {
      read: {
        summary: 'Reads the settings.',
        answer: autoShape,
        run: ({ storage }) => ({ data: autoShown(autoSettingsOf(storage)) }),
      },
      update: {
        summary: 'Changes the settings that are said.',
        answer: autoShape,
        run: change,
        examples: [{ enabled: true, tidy_cert_store: true }],
      },
    },
  }),
]

const ACCEPTED = 202

function begin(call: Call<typeof tidyFields>): Outcome {
  const { storage, draft, mount, fields } = call
  const settings = readSettings(fields, name => call.given(name as never))
  if (settings instanceof Refusal) return settings
  if (!hasOperations(settings)) {
    return { status: ACCEPTED, warnings: [`Manual tidy requested but ${NONE_WERE_SET}`] }
  }
  const hasBegun = beginTidy(draft, storage, mount, settings, false)
  return hasBegun
    ? { status: ACCEPTED, warnings: [STARTED] }
    : { warnings: ['Tidy operation already in progress.'] }
}

const NONE_WERE_SET = NONE.replace('requested', 'set')
const STARTED =
  "Tidy operation successfully started. Any information from the operation will be printed to Vault's server logs."

function status({ storage, mount }: Pick<Call, 'storage' | 'mount'>): Outcome {
  return { data: statusShown(storage, mount, autoSettingsOf(storage).countsStored) }
}

function cancel({ storage, mount }: Call): Outcome {
  const run = runOf(storage)
  if (run === undefined || !isRunning(run)) {
    return { warnings: ['Tidy operation cannot be cancelled as none is currently running.'] }
  }
  putRun(storage, { ...run, state: 'Cancelling' })
  return status({ storage, mount })
}

function change(call: Call<typeof autoFields>): Outcome {
  const { storage, fields, now } = call
  const settings = readSettings(fields, name => call.given(name), autoSettingsOf(storage))
  if (settings instanceof Refusal) return settings
  putAutoSettings(storage, settings, nextMs(settings, runOf(storage)?.startedMs, now))
  return { data: autoShown(settings) }
}

/** When the next one is due: an interval after the last one began. */
const nextMs = ({ intervalMs }: AutoSettings, lastMs: number | undefined, nowMs: number): number =>
  Math.max(nowMs, (lastMs ?? nowMs) + intervalMs)

/** What has an automatic tidy begin. */
export const autoTidyEnd: RowEnd = {
  kind: AUTO_KIND,
  end(draft, place) {
    const storage = draft.area(place.namespaceId, place.area)
    const mount = mountOfArea(draft, place)
    const settings = autoSettingsOf(storage)
    if (mount !== undefined) beginTidy(draft, storage, mount, settings, true)
    putAutoSettings(storage, settings, draft.now + settings.intervalMs)
  },
}

const mountOfArea = (
  draft: Draft,
  { namespaceId, area }: { readonly namespaceId: string; readonly area: string },
): MountRow | undefined =>
  mountsOf(draft, { id: namespaceId }, 'secret').find(mount => areaOf(mount) === area)
