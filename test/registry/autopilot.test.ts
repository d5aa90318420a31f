/**
 * The rules of the autopilot's configuration.
 */
import t from 'tap'
import {
  autopilotConfig,
  autopilotDefaults,
  firstAutopilot,
  putAutopilot,
} from '../../src/registry/autopilot.ts'
import { type Decide, put } from '../../src/store/store.ts'
import { AUTOPILOT_KEY, autopilot } from '../../src/store/tables/autopilot.ts'
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

t.test(
  'what the configuration says is written once, where operators have said nothing',
  async t => {
    const row = { ...autopilotDefaults, minQuorum: 3 }
    const first = firstAutopilot(viewOf(), row)
    t.match(first, { answer: true, txn: [{ row }] })
    const said = viewOf(put(autopilot, AUTOPILOT_KEY, autopilotDefaults))
    t.same(firstAutopilot(said, row).txn, [])
    t.same(firstAutopilot(viewOf(), autopilotDefaults).txn, [])
  },
)
