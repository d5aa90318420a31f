/**
 * What servers take in from agents that are none: for whom, in which order, and what others did on
 * an agent's node meanwhile.
 */
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { everybody, openAuthority, type Who } from '../../src/base/who.ts'
import { AgentSync, type SyncRequest } from '../../src/registry/agent-sync.run.ts'
import type { SyncEntry } from '../../src/registry/agent-sync.ts'
import { deregister, register } from '../../src/registry/catalog.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { openMemoryStore } from '../../src/store/memory/engine.ts'
import { isRefusal, type Store } from '../../src/store/store.ts'
import { type CheckRow, checks } from '../../src/store/tables/check.ts'
import { removals } from '../../src/store/tables/local.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { fold, onNode, underNode } from '../../src/store/tables/names.ts'
import { type NodeRow, nodes } from '../../src/store/tables/node.ts'
import { type ServiceRow, services } from '../../src/store/tables/service.ts'
import { type Gate, Writer } from '../../src/store/writer.ts'
import { only } from './rules.ts'

const NODE = 'edge-1'
const AGENT = { nodeId: '7d1c0b5e-2222-4333-8444-555566667777', remote: '192.0.2.7' }

const node: NodeRow = {
  ...{ node: NODE, id: '', address: '192.0.2.7', taggedAddresses: {}, meta: { rack: 'a1' } },
}

const service = (id: string, more: Partial<ServiceRow> = {}): ServiceRow => ({
  ...{ node: NODE, id, name: id, kind: '', tags: [], address: '', taggedAddresses: {}, meta: {} },
  ...{ port: 80, ports: [], socketPath: '', weights: { passing: 1, warning: 1 } },
  ...{ enableTagOverride: false, connectNative: false, agentOwned: true, ...more },
})

const check = (checkId: string, more: Partial<CheckRow> = {}): CheckRow => ({
  ...{ node: NODE, checkId, name: checkId, status: 'passing', notes: '', output: '' },
  ...{ serviceId: '', serviceName: '', serviceTags: [], type: 'ttl', interval: '', timeout: '' },
  ...{ definition: {}, agentOwned: true, ...more },
})

interface World {
  readonly store: Store
  readonly room: AgentSync
}

/** Tokens are the names of services that they may write; `node` may write nodes. */
const byName = (token: string): Who | Refusal =>
  token === 'gone'
    ? new Refusal(403, 'ACL not found')
    : {
        accessor: `acc-${token}`,
        rights: token,
        may: ({ resource, name }) =>
          resource === 'node' ? token === 'node' : token.split(',').includes(name),
      }

function world(t: Test, authenticate = byName, gate?: Gate): World {
  const tables = withSystemTables(registryTables)
  const store = openMemoryStore({ tables, clock: systemClock, random: systemRandom })
  const room = new AgentSync({
    ...{ store, writer: new Writer(store, gate), clock: systemClock, log: silentLog },
    authority: { authenticate },
  })
  room.start()
  t.teardown(async () => {
    await room.stop()
    await store.close()
  })
  return { store, room }
}

const open = (t: Test): World => world(t, openAuthority.authenticate)

const fresh = (row: ServiceRow): SyncEntry => ({ service: row, isFresh: true })
const known = (row: ServiceRow): SyncEntry => ({ service: row, isFresh: false })
const says = (row: CheckRow): SyncEntry => ({ check: row, isFresh: false })

const group = (token: string, ...entries: SyncEntry[]) => ({ token, entries })

async function sync({ room }: World, request: Partial<SyncRequest>) {
  const answer = await room.sync(AGENT, { node, groups: [], whole: undefined, ...request })
  if (isRefusal(answer)) throw new Error(answer.text)
  return answer
}

const kinds = async (w: World, ...entries: SyncEntry[]): Promise<string[]> =>
  (await sync(w, { groups: [group('', ...entries)] })).outcomes.map(({ kind }) => kind)

const rowOf = ({ store }: World, id: string): ServiceRow | undefined =>
  store.view().get(services, onNode(NODE, id))?.row

const byOthers = ({ store }: World, serviceId: string, checkId = ''): Promise<unknown> =>
  store.write(view => deregister(view, everybody, { node: NODE, serviceId, checkId }))

t.test('the node, its services, and the checks of both', async t => {
  const w = open(t)
  const web = check('web-1', { serviceId: 'web' })
  const answer = await sync(w, {
    groups: [group('', fresh(service('web', { tags: ['a'] })), says(web), says(check('disk')))],
  })
  t.same(answer, {
    outcomes: Array(3).fill({ kind: 'stands', tags: undefined }),
    ...{ dropped: 0, nodes: 1 },
  })
  const view = w.store.view()
  t.match(view.get(nodes, fold(NODE))?.row, { id: AGENT.nodeId, meta: { rack: 'a1' } })
  t.match(view.get(checks, onNode(NODE, 'serfHealth'))?.row, { status: 'passing' })
  t.match(view.get(checks, onNode(NODE, 'web-1'))?.row, {
    ...{ serviceName: 'web', serviceTags: ['a'], agentOwned: true },
  })
  const { revision } = view
  await sync(w, { groups: [group('', known(service('web', { tags: ['a'] })), says(web))] })
  t.equal(w.store.view().revision, revision, 'what is right costs no write')
  const lone = check('lone', { serviceId: 'nothing' })
  await sync(w, { groups: [group('', says(lone))] })
  t.equal(w.store.view().get(checks, onNode(NODE, 'lone')), undefined, 'it waits for its service')
})

t.test('what others deregistered is removed, until a client registers it again', async t => {
  const w = open(t)
  await kinds(w, fresh(service('web')), fresh(service('db')), says(check('disk')))
  await byOthers(w, 'web')
  await byOthers(w, '', 'disk')
  t.strictSame(await kinds(w, known(service('web')), says(check('disk')), known(service('db'))), [
    ...['removed', 'removed', 'stands'],
  ])
  t.equal(rowOf(w, 'web'), undefined)
  t.strictSame(await kinds(w, { goneService: 'web' }), ['stands'], 'the agent dropped it')
  t.equal(w.store.view().prefix(removals, underNode(NODE)).length, 1)
  t.strictSame(await kinds(w, known(service('web'))), ['stands'], 'nothing is held against it')
  await byOthers(w, 'web')
  t.strictSame(await kinds(w, fresh(service('web'))), ['stands'])
  t.strictSame(await kinds(w, { check: check('disk'), isFresh: true }), ['stands'])
  t.strictSame(w.store.view().prefix(removals, underNode(NODE)), [])
  t.strictSame(await kinds(w, known(service('web')), says(check('disk'))), ['stands', 'stands'])
})

t.test('each definition is judged like a registration, and what checks say by nobody', async t => {
  const judged: string[] = []
  const gate: Gate = {
    admit: (_view, who) => who,
    judge(_view, { request }) {
      if (request === undefined) return undefined
      const { Name, Port } = request.body as { Name?: string; Port?: number }
      judged.push(`${request.operation} ${Name} ${Port} ${request.remote}`)
      return Port === 22 ? new Refusal(403, 'condition "ports" does not hold') : undefined
    },
  }
  const w = world(t, () => only('service:write', 'node:write'), gate)
  const web = service('web')
  const low = service('low', { port: 22 })
  const entries = [fresh(web), fresh(low), says(check('c1', { serviceId: 'web' }))]
  t.strictSame(await kinds(w, ...entries), ['stands', 'refused', 'stands'], 'one by one')
  t.strictSame(judged, [
    'PUT /v1/agent/service/register web 80 192.0.2.7',
    'PUT /v1/agent/service/register low 22 192.0.2.7',
    'PUT /v1/agent/check/register c1 undefined 192.0.2.7',
  ])
  t.equal(rowOf(w, 'low'), undefined)
  judged.splice(0)
  t.strictSame(await kinds(w, known(web), known(low)), ['stands', 'refused'])
  t.strictSame(judged, ['PUT /v1/agent/service/register low 22 192.0.2.7'], 'what stands is not')
  judged.splice(0)
  const ill = says(check('c1', { serviceId: 'web', status: 'critical' }))
  t.strictSame(await kinds(w, ill, known(web)), ['stands', 'stands'])
  t.strictSame(judged, [], 'nor is the state of a check')
})

t.test('a node that others removed comes back with all that is on it', async t => {
  const w = open(t)
  await kinds(w, fresh(service('web')))
  await byOthers(w, 'web')
  await byOthers(w, '')
  t.equal(w.store.view().get(nodes, fold(NODE)), undefined)
  t.strictSame(await kinds(w, known(service('web'))), ['stands'])
})

t.test('all that the agent does not know goes', async t => {
  const w = open(t)
  await kinds(w, fresh(service('web')), says(check('disk')), fresh(service('old')))
  const foreign = service('foreign', { agentOwned: false })
  await w.store.write(view =>
    register(view, everybody, {
      ...{ node, skipNodeUpdate: true, service: foreign, checks: [check('odd')] },
    }),
  )
  await byOthers(w, 'old')
  const whole = { token: '', services: new Set(['web']), checks: new Set(['disk']) }
  t.match(await sync(w, { whole }), { dropped: 3 }, 'the note of a removal counts as well')
  const view = w.store.view()
  const ids = view.prefix(services, underNode(NODE)).map(({ row }) => row.id)
  t.strictSame(ids, ['web'])
  const left = view.prefix(checks, underNode(NODE)).map(({ row }) => row.checkId)
  t.strictSame(left, ['disk', 'serfHealth'])
  t.strictSame(view.prefix(removals, underNode(NODE)), [])
})

t.test('tags that others may set stay, unless a client registers its own', async t => {
  const w = open(t)
  const web = service('web', { tags: ['mine'], enableTagOverride: true })
  await kinds(w, fresh(web))
  const theirs = { ...web, id: 'web', tags: ['theirs'] }
  await w.store.write(view =>
    register(view, everybody, { node, skipNodeUpdate: true, service: theirs, checks: [] }),
  )
  const { outcomes } = await sync(w, { groups: [group('', known(web))] })
  t.same(outcomes, [{ kind: 'stands', tags: ['theirs'] }])
  t.strictSame(rowOf(w, 'web')?.tags, ['theirs'])
  await kinds(w, fresh(web))
  t.strictSame(rowOf(w, 'web')?.tags, ['mine'])
})

t.test('the rights of each token, and none for what the agent put there itself', async t => {
  const w = world(t)
  const { outcomes } = await sync(w, {
    groups: [
      group('web', fresh(service('web')), fresh(service('db')), says(check('disk'))),
      group('gone', fresh(service('late'))),
      group('web,db', fresh(service('web', { name: 'db' }))),
      group('db', fresh(service('web'))),
      group('node', says(check('disk'))),
    ],
  })
  t.strictSame(
    outcomes.map(outcome => (outcome.kind === 'refused' ? outcome.status : outcome.kind)),
    ['stands', 403, 403, 403, 'stands', 403, 'stands'],
  )
  t.match(outcomes[1], { text: /lacks permission 'service:write' on \\?"db\\?"/ })
  t.equal(rowOf(w, 'web')?.name, 'db')
  const byAgent = {
    whole: { token: 'nobody', services: new Set<string>(), checks: new Set<string>() },
  }
  const foreign = service('foreign', { agentOwned: false })
  await w.store.write(view =>
    register(view, everybody, { node, skipNodeUpdate: true, service: foreign, checks: [] }),
  )
  t.match(await sync(w, byAgent), { dropped: 2 }, 'web and the check')
  t.ok(rowOf(w, 'foreign'))
  t.match(await sync(w, { whole: { ...byAgent.whole, token: 'node' } }), { dropped: 1 })
  t.notOk(rowOf(w, 'foreign'))
})

t.test('a name that a living node has is not taken', async t => {
  const w = open(t)
  await sync(w, {})
  const other = { nodeId: '00000000-1111-4222-8333-444455556666', remote: '192.0.2.9' }
  const refused = await w.room.sync(other, { node, groups: [], whole: undefined })
  t.match(refused, { text: /reserved by node 7d1c0b5e/ })
  t.equal(await w.room.leave(other, NODE), false, 'nor removed by another')
  t.ok(w.store.view().get(nodes, fold(NODE)))
  t.equal(await w.room.leave(AGENT, NODE), true)
  t.notOk(w.store.view().get(nodes, fold(NODE)))
  t.equal(await w.room.leave(AGENT, NODE), false)
})

t.test('more than one write holds', async t => {
  const w = open(t)
  const entries = Array.from({ length: 250 }, (_, at) => fresh(service(`s${at}`)))
  t.strictSame(new Set(await kinds(w, ...entries)), new Set(['stands']))
  t.equal(w.store.view().prefix(services, underNode(NODE)).length, 250)
})

t.test('an agent hears of what others do on its node, and not of its own doing', async t => {
  const w = open(t)
  let heard = 0
  let next = Promise.withResolvers<void>()
  const end = w.room.listen(NODE.toUpperCase(), () => {
    heard++
    next.resolve()
    next = Promise.withResolvers()
  })
  await kinds(w, fresh(service('web')), says(check('disk')))
  await kinds(w, says(check('disk', { status: 'critical' })))
  const told = async (act: () => Promise<unknown>): Promise<void> => {
    const { promise } = next
    const before = heard
    await act()
    await promise
    t.equal(heard, before + 1)
  }
  await told(() => byOthers(w, 'web'))
  t.equal(heard, 1, 'what went before was its own')
  await told(() =>
    w.store.write(view =>
      register(view, everybody, {
        ...{ node, skipNodeUpdate: true, service: undefined },
        checks: [check('disk', { agentOwned: false, status: 'passing' })],
      }),
    ),
  )
  await told(() => byOthers(w, ''))
  end()
  await kinds(w, fresh(service('web')))
  await byOthers(w, 'web')
  t.equal(heard, 3)
})
