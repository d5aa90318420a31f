/** Frames joined by hand are what the library would have written. */
import t from 'tap'
import { codecOf } from '../../src/base/io/proto.ts'
import { feedForm } from '../../src/grpc/feed-form.ts'

t.test('a frame is its message, of whatever size', async t => {
  const codec = await codecOf('gatehouse/v1/feed.proto', 'gatehouse.v1.FollowResponse')
  const form = await feedForm('dc1', { config: (value: string) => value } as never)
  for (const size of [0, 1, 127, 128, 300, 70_000]) {
    const text = 'é'.repeat(size)
    const item = { key: 'k', index: 2 ** 40 + size, value: text } as never
    const head = { revision: 2 ** 33 + size, resume: 'token', isFiltered: size % 2 === 1 }
    const items = [form.item('config', item), form.item('config', item)]
    const frame = codec.decode(form.snapshot('config', items, head)) as Record<string, never>
    const found = { key: 'k', revision: 2 ** 40 + size, json: Buffer.from(text), value: 'json' }
    const { revision, resume, isFiltered: filtered } = head
    t.strictSame(JSON.parse(JSON.stringify(frame)), {
      frame: 'snapshot',
      snapshot: JSON.parse(
        JSON.stringify({ revision, last: true, filtered, resume, items: [found, found] }),
      ),
    })
    t.strictSame(codec.decode(codec.encode(frame)), frame)
  }
  const part = { revision: 1, resume: undefined, isFiltered: false }
  const delta = form.delta('config', [], [form.removal('config', 'gone')], part)
  t.match(codec.decode(delta), { delta: { revision: 1, last: false, deletes: ['gone'] } })
  t.match(codec.decode(form.heartbeat(7, 'x')), { heartbeat: { revision: 7, resume: 'x' } })
  t.match(codec.decode(form.resync('behind')), { resync: { reason: 'behind' } })
})
