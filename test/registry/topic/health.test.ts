/** Which events touch an instance: its own, its node's, and those of checks of either. */
import t from 'tap'
import { registryFields } from '../../../src/registry/fields.ts'
import { healthTopic } from '../../../src/registry/topic/health.ts'
import type { View } from '../../../src/store/ask.ts'
import { del, type Op, put } from '../../../src/store/store.ts'
import { type CheckRow, checks } from '../../../src/store/tables/check.ts'
import { nodes } from '../../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../../src/store/tables/service.ts'
import { isOfRows } from '../../../src/store/topic.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openStore } from '../../store/replica/world.ts'

const node = (name: string, address = '10.0.0.1') =>
  put(nodes, name, { node: name, id: '', address, taggedAddresses: {}, meta: {} })
const service = (on: string, id: string, name: string) =>
  put(services, `${on}\0\0${id}`, {
    ...{ node: on, id, name, kind: '', tags: [], address: '', taggedAddresses: {}, port: 1 },
    ...{ meta: {}, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
    ...{ enableTagOverride: false, connectNative: false, agentOwned: false },
  } satisfies ServiceRow)
const check = (on: string, checkId: string, serviceId: string, serviceName: string) =>
  put(checks, `${on}\0\0${checkId}`, {
    ...{ node: on, checkId, name: checkId, status: 'passing', notes: '', output: '', serviceId },
    ...{ serviceName, serviceTags: [], type: '', interval: '', timeout: '', definition: {} },
    ...{ agentOwned: false },
  } satisfies CheckRow)

t.test('what touches which instance', async t => {
  const store = openStore(new FakeClock())
  t.teardown(() => store.close())
  const { source } = healthTopic(registryFields('dc1'))
  if (!isOfRows(source)) throw new Error('it follows from rows')
  const touched = async (...txn: Op[]): Promise<string[]> => {
    const before = store.view() as View
    const cursor = store.feed(before.revision)
    await store.write(() => ({ txn, answer: undefined }))
    const after = store.view() as View
    const change = await cursor.next(AbortSignal.timeout(1_000))
    if (change === undefined || change === 'resync') throw new Error('nothing changed')
    const subjects = { has: (one: string) => one === 'web', all: () => ['web'], lengths: [3] }
    const keys = change.events.flatMap(event =>
      [...source.touches(event, subjects, { before, after })].map(touch =>
        'key' in touch ? touch.key : 'unknown',
      ),
    )
    return [...new Set(keys)].toSorted()
  }
  await touched(node('a'), node('b/c'))
  t.strictSame(await touched(service('a', 'w1', 'Web')), ['a/w1'])
  t.strictSame(await touched(service('a', 'w2', 'web')), ['a/w2'])
  t.strictSame(await touched(service('b/c', 'w/3', 'web')), ['b%2Fc/w/3'])
  t.strictSame(await touched(service('a', 'd', 'db')), [])
  t.strictSame(await touched(check('a', 'c1', 'w1', 'Web')), ['a/w1'])
  t.strictSame(await touched(check('a', 'c2', 'd', 'db')), [])
  t.strictSame(await touched(check('a', 'c3', '', '')), ['a/w1', 'a/w2'])
  t.strictSame(await touched(node('a', '10.0.0.2')), ['a/w1', 'a/w2'])
  t.strictSame(await touched(check('a', 'c3', 'd', 'db')), ['a/w1', 'a/w2'], 'it was the node’s')
  t.strictSame(await touched(del(checks, 'a\0\0c1')), ['a/w1'])
  t.strictSame(await touched(service('a', 'w1', 'other')), ['a/w1'], 'it went to another name')
  t.strictSame(await touched(del(services, 'a\0\0w2'), del(nodes, 'a')), ['a/w2'])
  const view = store.view() as View
  const keys = [...source.items(view, 'web', () => 0)].map(item => item?.key)
  t.strictSame(keys, ['b%2Fc/w/3'])
  t.ok(
    source.item?.(view, 'web', 'b%2Fc/w/3', () => 0),
    'a key leads to its row',
  )
})
