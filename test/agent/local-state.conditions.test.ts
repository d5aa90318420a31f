/**
 * Conditions on what configuration files define: they are judged as a registration is, at the start
 * and at a reload. What is refused is kept, left out of the catalog, and tried again.
 */
import t, { type Test } from 'tap'
import type { Config } from '../../src/agent/config.ts'
import type { AgentTokens } from '../../src/agent/publishers.ts'
import { conditionGate } from '../../src/identity/condition/gate.ts'
import { put } from '../../src/store/store.ts'
import { type ConditionRow, conditions } from '../../src/store/tables/acl-condition.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { services } from '../../src/store/tables/service.ts'
import { openGate } from '../../src/store/writer.ts'
import { only } from '../registry/rules.ts'
import { config, entry, given, ids, NODE, row, type World, world } from './local-world.ts'

const may = only('service:write', 'node:write')
const tokens: AgentTokens = { whoOf: () => may, authenticate: () => may }
const facts = { accessor: 'a1', policies: [], roles: [], authMethod: '', metadata: {} }
const gate = conditionGate(openGate, () => facts)
const SYNC_MS = 61_000

const PORTS =
  'request.operation == "PUT /v1/agent/service/register" ? request.body.Port >= 1024 : true'
const condition = (more: Partial<ConditionRow> = {}): ConditionRow => ({
  ...{ name: 'ports', description: '', expression: PORTS, level: 'hard-mandatory', enabled: true },
  operations: [{ resource: 'service', name: undefined, prefix: undefined }],
  ...more,
})

const file = (body: object) => ({ body, where: 'web.hcl:1' }) as Config['services'][number]
const web = { Name: 'web', Port: 80, Check: { TTL: '1h', Status: 'passing' } }
const api = { Name: 'api', Port: 8_080 }

const start = (t: Test, files: readonly object[]): World =>
  world(t, { tokens, gate, config: { services: files.map(file) } })

const govern = ({ store }: World, one: ConditionRow): Promise<unknown> =>
  store.write(() => ({ txn: [put(conditions, one.name, one)], answer: true }))

t.test('a definition that a condition refuses is left out, by itself, and told of', async t => {
  const w = start(t, [web, api])
  await govern(w, condition())
  await w.agent.start()
  t.equal(entry(w, 'web'), undefined)
  t.equal(row(w, 'service:web'), undefined, 'nor is there a check of it')
  t.equal(entry(w, 'api')?.port, 8_080, 'the other one stands')
  t.same(ids(w).sort(), ['api', 'web'], 'the agent keeps both')
  t.equal(w.warnings.length, 1)
  t.match(w.warnings[0], /held back by ACLs .*"service":"web".*condition .*ports.* does not hold/)
  await w.clock.advance(SYNC_MS)
  t.equal(entry(w, 'web'), undefined, 'looking over the entries does not pass it by')
  t.equal(w.warnings.filter(one => one.includes('"service":"web"')).length, 1, 'it is told once')

  await govern(w, condition({ enabled: false }))
  await w.clock.advance(5_000)
  t.equal(entry(w, 'web')?.port, 80, 'the condition changed: it is tried again at once')
  t.match(row(w, 'service:web'), { serviceName: 'web', status: 'passing' })
})

t.test('at a reload the catalog keeps what it had; an equal definition is not judged', async t => {
  const w = start(t, [{ ...web, Port: 8_000 }])
  await govern(w, condition())
  await w.agent.start()
  t.equal(entry(w, 'web')?.port, 8_000)
  await w.agent.configure({ ...config, services: [file(web), file(api)] })
  t.equal(entry(w, 'web')?.port, 8_000, 'as it was')
  t.ok(entry(w, 'api'))
  t.match(w.warnings.join(), /"service":"web".*does not hold/)
  await w.agent.configure({ ...config, services: [file({ ...web, Port: 9_000 }), file(api)] })
  t.equal(entry(w, 'web')?.port, 9_000)
  await govern(w, condition({ expression: 'false' }))
  const told = w.warnings.length
  await w.agent.configure({ ...config, services: [file({ ...web, Port: 9_000 }), file(api)] })
  t.equal(w.warnings.length, told)
  t.ok(entry(w, 'web'))
})

t.test('an advisory is told and lets it pass; checks of the node are judged as such', async t => {
  const disk = { where: 'web.hcl:9', body: { Name: 'disk', TTL: '1h', Notes: 'spins' } }
  const w = world(t, { tokens, gate, config: { services: [file(web)], checks: [disk] } })
  await govern(w, condition({ level: 'advisory' }))
  await govern(w, {
    ...condition({ name: 'notes', expression: 'request.body.Notes == "" ' }),
    operations: [{ resource: 'node', name: undefined, prefix: undefined }],
  })
  await w.agent.start()
  t.equal(entry(w, 'web')?.port, 80)
  t.match(w.warnings[0], /conditions do not hold for a definition .*"web".*"ports"/)
  t.equal(row(w, 'disk'), undefined)
  t.match(w.warnings[1], /"check":"disk".*condition .*notes/)
})

t.test(
  'what a client registered was judged then: putting it right is not judged again',
  async t => {
    const w = start(t, [])
    await w.agent.start()
    t.equal(await w.agent.registerService(may, given(web)), true)
    await govern(w, condition({ expression: 'false' }))
    const other = { ...entry(w, 'web')!, port: 1, agentOwned: false }
    const over = put(services, onNode(NODE, 'web'), other)
    await w.store.write(() => ({ txn: [over], answer: true }))
    t.equal(entry(w, 'web')?.port, 1)
    await w.clock.advance(SYNC_MS)
    t.equal(entry(w, 'web')?.port, 80)
  },
)
