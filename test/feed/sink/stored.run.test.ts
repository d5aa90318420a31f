/** Sinks that are declared by the API: what is kept, what is shown, who runs them. */
import t, { type Test } from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { silentLog } from '../../../src/base/log.ts'
import { type Access, everybody, type Who } from '../../../src/base/who.ts'
import type { SinkKind } from '../../../src/feed/sink/declare.ts'
import { StoredSinks } from '../../../src/feed/sink/stored.run.ts'
import { put } from '../../../src/store/store.ts'
import { sinkStatuses, sinks } from '../../../src/store/tables/sink.ts'
import { Writer } from '../../../src/store/writer.ts'
import { FakeClock } from '../../fake/clock.ts'
import { openMemory } from '../../http/engines.ts'
import { FakeFeed, FakeTarget, fakeKind } from './fakes.ts'

const random = { uuid: () => '', fraction: () => 0.5, bytes: () => Buffer.alloc(0) }

const readerOnly: Who = {
  accessor: 'reader',
  rights: 'reader',
  may: (wanted: Access) => wanted.resource === 'operator' && wanted.capability === 'read',
}
const nobody: Who = { accessor: 'nobody', rights: 'none', may: () => false }

async function start(t: Test) {
  const store = await openMemory()
  const [clock, feed, target] = [new FakeClock(), new FakeFeed(), new FakeTarget()]
  const kind = fakeKind(target)
  const local: SinkKind = { ...kind, kind: 'writer', isLocal: true }
  const ports = {
    ...{ store, clock, random, log: silentLog, followAs: feed.as, nodeName: 'n1' },
    ...{ writer: new Writer(store), kinds: [kind, local] },
    sealer: {
      seal: (text: string) => Buffer.from(text).toString('hex'),
      open: (sealed: string) => Buffer.from(sealed, 'hex').toString(),
    },
    portsOf: (task: string) => ({
      ...{ task, clock, random },
      addressesOf: async () => [],
      mayReach: () => true,
      run: async () => ({ what: 'fault' as const, text: 'none' }),
      variable: () => undefined,
    }),
  }
  const stored = new StoredSinks(ports)
  const end = new AbortController()
  let done: Promise<void> = Promise.resolve()
  t.teardown(async () => {
    end.abort()
    await done
    await store.close()
  })
  const serve = (): void => {
    done = stored.duty(end.signal, decide => decide)
  }
  const stop = async (): Promise<void> => {
    end.abort()
    await done
  }
  return { store, clock, feed, target, stored, serve, stop }
}

const body = {
  kind: 'fake',
  services: ['web'],
  verify_interval: 0,
  token: 'secret-token',
  settings: { place: 'there', secret: 'secret-word' },
}

t.test('written, shown without secrets, kept when written back as shown, deleted', async t => {
  const { stored, store } = await start(t)
  t.equal(await stored.put(everybody, 'web', body), true)
  const row = store.view().get(sinks, 'web' as never)?.row
  t.notMatch(JSON.stringify({ ...row, sealed: '' }), /secret-/)
  t.match(row?.sealed, /^[0-9a-f]+$/)
  const shown = await stored.get(everybody, 'web')
  if (shown instanceof Refusal) throw new Error(shown.text)
  t.notMatch(JSON.stringify(shown), /secret-/)
  t.match(shown.definition, { token: '(hidden)', settings: { secret: '(hidden)', place: 'there' } })
  const back = { ...body, token: '(hidden)', settings: { place: 'else', secret: '(hidden)' } }
  t.equal(await stored.put(everybody, 'web', back), true)
  t.equal(store.view().get(sinks, 'web' as never)?.row.sealed, row?.sealed)
  t.match(await stored.list(everybody), [{ name: 'web', kind: 'fake', server: '' }])
  t.equal(await stored.delete(everybody, 'web'), true)
  t.match(await stored.delete(everybody, 'web'), { status: 404 })
  t.match(await stored.get(everybody, 'web'), { status: 404, text: 'there is no sink "web"' })
})

t.test(
  'class 34: what needs a program or a file of the machine is refused at the write',
  async t => {
    const { stored, store } = await start(t)
    const refused = await stored.put(everybody, 'web', { ...body, kind: 'writer' })
    t.match(refused, { status: 400, text: /kind: writer writes files or runs programs/ })
    const program = { ...body, settings: { program: ['/bin/sh'] } }
    t.match(await stored.put(everybody, 'web', program), { status: 400, text: /settings.program/ })
    t.same(store.view().prefix(sinks, '' as never), [])
  },
)

t.test('rights', async t => {
  const { stored } = await start(t)
  await stored.put(everybody, 'web', body)
  t.match(await stored.list(readerOnly), [{ name: 'web' }])
  const denied = { status: 403, text: /operator:write/ }
  t.match(await stored.put(readerOnly, 'web', { kind: 'none' }), denied)
  t.match(await stored.planOf(readerOnly, 'web', body), denied)
  t.match(await stored.plan(readerOnly, 'web'), denied)
  t.match(await stored.delete(readerOnly, 'web'), denied)
  t.match(await stored.list(nobody), { status: 403, text: /operator:read/ })
  t.match(await stored.get(nobody, 'web'), { status: 403 })
})

t.test('there is a most', async t => {
  const { stored } = await start(t)
  for (let at = 0; at < 100; at++) await stored.put(everybody, `s${at}`, body)
  t.match(await stored.put(everybody, 'more', body), { status: 400, text: /100 sinks already/ })
  t.equal(await stored.put(everybody, 's7', { ...body, enabled: false }), true)
})

t.test(
  'the server that holds the role runs them, as they come and go, and tells of them',
  async t => {
    const { stored, store, clock, feed, target, serve, stop } = await start(t)
    await stored.put(everybody, 'web', body)
    serve()
    await clock.advance(0)
    t.same(feed.tokens, ['secret-token'])
    feed.service('web', 80)
    await clock.advance(1_000)
    t.equal(target.has, 'web:80')
    await clock.advance(1_000)
    t.match(await stored.get(everybody, 'web'), {
      server: 'n1',
      status: { phase: 'current', summary: /web:80 at there/, counts: { applied: 1 } },
    })
    const { revision } = store.view()
    await clock.advance(60_000)
    t.equal(store.view().revision, revision, 'what is still so is not written again')
    await stored.put(everybody, 'api', { ...body, services: ['api'], token: '' })
    await clock.advance(0)
    t.same([...feed.followed.keys()], ['health/web', 'health/api'])
    await stored.delete(everybody, 'web')
    await clock.advance(2_000)
    t.same([...feed.followed.keys()], ['health/api'])
    t.equal(store.view().get(sinkStatuses, 'web' as never), undefined)
    await stop()
    t.same([feed.followed.size, target.has], [0, 'web:80'], 'the target stays as it is')
  },
)

t.test('a plan on any server: of what is stored, of what would be', async t => {
  const { stored, clock, feed, target } = await start(t)
  await stored.put(everybody, 'web', body)
  const plan = stored.plan(everybody, 'web')
  await clock.advance(0)
  feed.service('web', 80)
  t.match(await plan, { how: 'plan', changes: [' → web:80'], summary: 'web:80 at there' })
  const other = stored.planOf(everybody, 'web', { ...body, services: ['api'] })
  await clock.advance(0)
  feed.service('api', 90)
  t.match(await other, { how: 'plan', changes: [' → api:90'] })
  t.equal(target.has, '')
  const late = stored.plan(everybody, 'web')
  await clock.advance(30_000)
  t.match(await late, { how: 'lost', text: /nothing came of web/ })
  t.same(feed.followed.size, 0)
  t.match(await stored.plan(everybody, 'none'), { status: 404 })
})

t.test('a row that is not right here is shown as that, and does not hold the others', async t => {
  const { stored, store, clock, feed, serve } = await start(t)
  const row = { name: 'old', given: { kind: 'gone', services: ['web'] }, sealed: '' }
  await store.write(() => ({ txn: [put(sinks, 'old' as never, row)], answer: true }))
  const foreign = { ...row, name: 'foreign', given: { kind: 'fake', services: ['f'] }, sealed: '!' }
  await store.write(() => ({ txn: [put(sinks, 'foreign' as never, foreign)], answer: true }))
  await stored.put(everybody, 'web', body)
  serve()
  await clock.advance(0)
  t.same([...feed.followed.keys()], ['health/web'])
  t.match(await stored.get(everybody, 'foreign'), { definition: { problem: /another key/ } })
  t.match(await stored.plan(everybody, 'foreign'), { status: 500, text: /another key/ })
  t.match(await stored.get(everybody, 'old'), { definition: { problem: /kind: must be one of/ } })
})
