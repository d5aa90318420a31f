/** Keys and values: their form, pages, conditions, and what is never repeated. */
import t from 'tap'
import { GatehouseError } from '../../src/client/errors.ts'
import { Kv } from '../../src/client/kv.ts'
import { FakeServers } from './link-fake.ts'

const wire = (key: string) => ({
  key,
  value: Buffer.from('v'),
  flags: '18446744073709551615',
  session: '',
  lockIndex: 0,
  createIndex: 3,
  modifyIndex: 4,
})

function open() {
  const fake = new FakeServers()
  return { fake, kv: new Kv(fake.to(['a:1', 'b:1'])) }
}

t.test('an entry, or none', async t => {
  const { fake, kv } = open()
  fake.handle = ({ request }) => ({ entry: request.key === 'a' ? wire('a') : null })
  const entry = await kv.get('a')
  t.equal(entry?.flags, 2n ** 64n - 1n)
  t.equal(entry?.value.toString(), 'v')
  t.equal(await kv.get('b'), undefined)
})

t.test('all pages of a list', async t => {
  const { fake, kv } = open()
  fake.handle = ({ request }) =>
    request.pageToken === ''
      ? { entries: [wire('p/a')], nextPageToken: 'more' }
      : { entries: [wire('p/b')], nextPageToken: '' }
  t.same(
    (await kv.list('p/')).map(({ key }) => key),
    ['p/a', 'p/b'],
  )
  t.equal(fake.seen[1]?.request.pageToken, 'more')
})

t.test('writes give the new index, and say when a condition did not hold', async t => {
  const { fake, kv } = open()
  fake.handle = ({ request }) => ({ done: request.cas !== 9, modifyIndex: 12, lockIndex: 0 })
  t.equal(await kv.put('a', 'x', { flags: 5n }), 12)
  t.match(fake.seen[0]?.request, { key: 'a', value: Buffer.from('x'), flags: '5' })
  t.notOk('cas' in fake.seen[0]!.request)
  t.equal(await kv.cas('a', Buffer.from('y'), 4), 12)
  t.equal(await kv.cas('a', 'z', 9), undefined)
  t.equal(await kv.delete('a', { cas: 9 }), false)
  t.equal(await kv.delete('a'), true)
})

t.test('a write whose end is not known is not repeated', async t => {
  const { fake, kv } = open()
  fake.handle = () => {
    throw new GatehouseError('UNAVAILABLE', 'cut', { mayHaveHappened: true })
  }
  await t.rejects(kv.put('a', 'x'), { code: 'UNAVAILABLE', mayHaveHappened: true })
  await fake.clock.advance(1_000)
  await t.rejects(kv.delete('a'), { code: 'UNAVAILABLE', mayHaveHappened: true })
  t.equal(fake.seen.length, 2)
})
