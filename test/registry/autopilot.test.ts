/**
 * The rules of the autopilot's configuration.
 */
import t from 'tap'
import { autopilotConfig, autopilotDefaults, putAutopilot } from '../../src/registry/autopilot.ts'
import type { Decide } from '../../src/store/store.ts'
import { everybody, only, ruled, viewOf } from './rules.ts'

const putting =
  (cas: number | undefined, who = everybody): Decide<boolean> =>
  view =>
    putAutopilot(view, who, { row: autopilotDefaults, cas })

t.test('written once, under its condition, by operators', async t => {
  const written = ['put autopilot config', 'answer true']
  t.strictSame(ruled(viewOf(), putting(undefined)), written)
  t.strictSame(ruled(viewOf(), putting(0)), written)
  t.strictSame(ruled(viewOf(), putting(1)), ['answer false'])
  t.match(ruled(viewOf(), putting(0, only('operator:read')))[0], /^403 .*operator:write/)
  t.match(autopilotConfig(viewOf(), only('operator:write')), { status: 403 })
})
