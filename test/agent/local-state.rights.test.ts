/**
 * Definitions under ACLs: each is written to the catalog for whoever left its token. Where that one
 * may not, the agent keeps the definition, the catalog stays as it is, and it is tried again.
 */
import t, { type Test } from 'tap'
import type { Config } from '../../src/agent/config.ts'
import type { AgentTokens, TokenKind } from '../../src/agent/publishers.ts'
import { Refusal } from '../../src/base/errors.ts'
import { everybody, type Who } from '../../src/base/who.ts'
import { put as putRow } from '../../src/store/store.ts'
import { policies } from '../../src/store/tables/acl.ts'
import { checks } from '../../src/store/tables/check.ts'
import { localChecks, localServices } from '../../src/store/tables/local.ts'
import { onNode } from '../../src/store/tables/names.ts'
import { nodes } from '../../src/store/tables/node.ts'
import { services } from '../../src/store/tables/service.ts'
import { checkRow, only, serviceRow } from '../registry/rules.ts'
import { entry, given, ids, NODE, row, say, shown, type World, world } from './local-world.ts'

/** Tokens that a test gives out and takes away. */
class Tokens implements AgentTokens {
  readonly own = new Map<TokenKind, string>()
  readonly principals = new Map<string, Who>()

  whoOf(kind: TokenKind): Who | Refusal {
    const token = this.own.get(kind) ?? (kind === 'default' ? undefined : this.own.get('default'))
    return token === undefined ? only() : this.authenticate(token)
  }

  authenticate(token: string): Who | Refusal {
    return this.principals.get(token) ?? new Refusal(403, 'ACL not found')
  }
}

let seals = 0
/** No two seals of a text are equal. */
const sealer = {
  seal: (token: string) => `sealed ${seals++} ${token}`,
  open: (sealed: string) => /^sealed \d+ (.*)$/.exec(sealed)?.[1] ?? '',
}

function start(t: Test, config: Parameters<typeof world>[1] = {}): World & { tokens: Tokens } {
  const tokens = new Tokens()
  return { ...world(t, { tokens, sealer, ...config }), tokens }
}

const file = (body: object) => ({ body, where: 'web.hcl:1' }) as Config['services'][number]
const web = { Name: 'web', Port: 80, Token: 'web-token', Check: { TTL: '1h', Status: 'passing' } }
const { Check: _check, ...bare } = web
const SYNC_MS = 61_000

const kept = ({ store }: World, id: string): string =>
  store.view().get(localServices, onNode(NODE, id))?.row.token ?? 'none'

t.test('a file without the right is kept and tried again, one with it is published', async t => {
  const w = start(t, { config: { services: [file(web), file({ Name: 'db' })] } })
  w.tokens.principals.set('web-token', only('service:write db'))
  await w.agent.start()
  t.same(ids(w).sort(), ['db', 'web'], 'the agent keeps both')
  t.ok(w.store.view().get(nodes, NODE), "the server's own entries are its own affair")
  t.ok(entry(w, 'consul'))
  t.equal(entry(w, 'web'), undefined)
  t.equal(entry(w, 'db'), undefined)
  t.equal(row(w, 'service:web'), undefined, 'nor is there a check of it')
  t.equal(w.warnings.length, 2)
  t.match(w.warnings[0], /held back by ACLs .*"service":"web".*service:write.*web/)
  t.notMatch(w.warnings.join(), /web-token/, 'no secret is told')
  await w.clock.advance(SYNC_MS)
  t.equal(entry(w, 'web'), undefined)
  const told = w.warnings.filter(one => one.includes('"service":"web"'))
  t.equal(told.length, 1, 'what stays as it is is not told again')

  w.tokens.principals.set('web-token', only('service:write web'))
  await w.clock.advance(SYNC_MS)
  t.match(entry(w, 'web'), { name: 'web', port: 80 })
  t.match(row(w, 'service:web'), { serviceName: 'web', status: 'passing' }, 'with its check')
  t.equal(entry(w, 'db'), undefined, 'without a token of its own the default one counts')
  w.tokens.own.set('config_file_service_registration', 'of files')
  w.tokens.principals.set('of files', only('service:write'))
  w.agent.lookOver()
  await w.clock.advance(5_000)
  t.ok(entry(w, 'db'), 'of files, the one for files')
})

t.test('a token that is gone: the entry stays as it was, the definition too', async t => {
  const w = start(t)
  w.tokens.principals.set('web-token', only('service:write web'))
  await w.agent.start()
  const who = only('service:write web')
  t.equal(await w.agent.registerService(who, given(web)), true)
  t.equal(entry(w, 'web')?.port, 80)
  t.equal(sealer.open(kept(w, 'web')), 'web-token')
  t.not(kept(w, 'web'), 'web-token', 'it does not lie there in clear')
  const { revision } = w.store.view()
  const known = kept(w, 'web')
  t.equal(await w.agent.registerService(who, given(web)), true)
  t.equal(kept(w, 'web'), known)
  t.equal(w.store.view().revision, revision, 'the same again writes nothing')

  w.tokens.principals.delete('web-token')
  await say(w, 'service:web', 'critical', 'ill')
  t.equal(row(w, 'service:web')?.status, 'passing', 'the catalog is not written')
  t.equal(shown(w, 'service:web'), 'critical ill', 'the agent knows better')
  t.match(w.warnings.at(-1), /held back by ACLs .*"check":"service:web".*ACL not found/)
  await w.store.write(() => ({
    txn: [putRow(services, onNode(NODE, 'web'), serviceRow(NODE, 'web', { port: 1 }))],
    answer: undefined,
  }))
  await w.clock.advance(SYNC_MS)
  t.equal(entry(w, 'web')?.port, 1, 'nor put right')
  t.same(ids(w), ['web'])

  w.tokens.principals.set('web-token', only('service:write web'))
  await w.clock.advance(SYNC_MS)
  t.equal(entry(w, 'web')?.port, 80)
  t.match(row(w, 'service:web'), { status: 'critical', output: 'ill' })
  w.tokens.principals.delete('web-token')
  t.equal(await w.agent.deregisterService(everybody, 'web'), true, 'who may can always remove it')
  t.equal(entry(w, 'web'), undefined)
  t.equal(row(w, 'service:web'), undefined)
})

t.test('what the agent does not know on its node goes with its own token', async t => {
  const w = start(t)
  w.tokens.own.set('default', 'default')
  w.tokens.principals.set('default', only('service:write'))
  await w.agent.start()
  const strangers = [
    putRow(services, onNode(NODE, 'stray'), serviceRow(NODE, 'stray')),
    putRow(checks, onNode(NODE, 'odd'), checkRow(NODE, 'odd')),
  ]
  await w.store.write(() => ({ txn: strangers, answer: undefined }))
  await w.clock.advance(SYNC_MS)
  t.ok(entry(w, 'stray'), 'the default token may not')
  t.match(w.warnings.at(-1), /held back by ACLs/)
  w.tokens.own.set('agent', 'agent')
  w.tokens.principals.set('agent', only(`node:write ${NODE}`))
  await w.clock.advance(SYNC_MS)
  t.equal(entry(w, 'stray'), undefined)
  t.equal(row(w, 'odd'), undefined)
})

t.test('checks have their own token, else that of their service, else the default one', async t => {
  const w = start(t)
  w.tokens.principals.set('web-token', only('service:write web'))
  await w.agent.start()
  await w.agent.registerService(everybody, given(bare))
  const adding = async (body: object, token: string): Promise<unknown> => {
    const [check] = given({ Name: 'x', Check: body }).checks
    return w.agent.registerCheck(everybody, { ...check!, token })
  }
  t.equal(await adding({ Name: 'of web', ServiceID: 'web', TTL: '1h' }, ''), true)
  t.equal(await adding({ Name: 'own', ServiceID: 'web', TTL: '1h' }, 'gone'), true)
  t.equal(await adding({ Name: 'node', TTL: '1h' }, ''), true)
  await say(w, 'of web', 'passing')
  t.equal(row(w, 'of web')?.status, 'passing')
  await say(w, 'own', 'passing')
  t.equal(row(w, 'own')?.status, 'critical', 'a token that is gone')
  await say(w, 'node', 'passing')
  t.equal(row(w, 'node')?.status, 'critical', 'nobody has node:write by default')
  w.tokens.own.set('default', 'default')
  w.tokens.principals.set('default', only(`node:write ${NODE}`))
  await w.clock.advance(SYNC_MS)
  t.equal(row(w, 'node')?.status, 'passing')
  t.equal(row(w, 'own')?.status, 'critical')
  const { token } = w.store.view().get(localChecks, onNode(NODE, 'own'))!.row
  t.equal(sealer.open(token), 'gone')
})

t.test('a check or maintenance of a service that is held back stays with the agent', async t => {
  const w = start(t, { config: { services: [file(bare)] } })
  await w.agent.start()
  t.equal(entry(w, 'web'), undefined)
  const who = only('service:write web')
  const request = { serviceId: 'web', enable: true, reason: 'why', token: 'web-token' }
  t.equal(await w.agent.setMaintenance(who, request), true)
  t.equal(row(w, '_service_maintenance:web'), undefined)
  t.match(shown(w, '_service_maintenance:web'), /^critical/)
  w.tokens.principals.set('web-token', who)
  await w.clock.advance(SYNC_MS)
  t.ok(entry(w, 'web'))
  t.equal(row(w, '_service_maintenance:web')?.status, 'critical')
})

t.test('what is held back is tried again once a policy is written, or a token set', async t => {
  const w = start(t, { config: { services: [file(bare)] } })
  await w.agent.start()
  t.equal(entry(w, 'web'), undefined)
  w.tokens.principals.set('web-token', only('service:write web'))
  const row = { id: ID, name: 'p', description: '', rules: '', datacenters: [], builtIn: false }
  await w.store.write(() => ({ txn: [putRow(policies, ID, row as never)], answer: undefined }))
  await w.clock.advance(5_000)
  t.ok(entry(w, 'web'))
  const told = w.told.length
  w.agent.lookOver()
  await w.clock.advance(5_000)
  t.equal(w.told.length, told, 'nothing is looked at where nothing is held back')
})

const ID = '0f3c7a52-1111-4222-8333-444455556666'
