/**
 * HTTP and gRPC say the same: generated requests go to two equal stores, by one face each, and
 * every answer and refusal of one is held against that of the other; then both faces read one
 * store.
 */
import fc from 'fast-check'
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { endingOf } from '../../../src/grpc/status.ts'
import { untilBudget } from '../../run/budget.ts'
import { type BothFaces, startBoth } from './harness.ts'

/** What a request came to, the same in both faces: a code with its text, or what was answered. */
type Outcome = { code: string; text: string } | { answer: unknown }

/** One generated request. Sessions are named by the order in which they were made. */
type Step =
  | { do: 'put'; key: string; value: string; flags: string; lock?: Lock; cas?: number }
  | { do: 'delete'; key: string; recurse: boolean; cas?: number }
  | { do: 'session'; ttl: string; behavior: string; node: string; checks?: string[] }
  | { do: 'destroy' | 'renew'; session: number }
  | { do: 'register'; node: string; address: string; id: string; service?: Service; check?: Check }
  | { do: 'deregister'; node: string; serviceId: string; checkId: string }
  | { do: 'txn'; ops: { verb: string; key: string; value: string; index: number }[] }

type Lock = { how: 'acquire' | 'release'; session: number }
type Service = {
  name: string
  id: string
  port: number
  ports: number[]
  address: string
  tags: string[]
  kind: string
}
type Check = { name: string; status: string; serviceId: string }

const key = fc.constantFrom('a', 'a/b', 'a/c', 'b', '', 'x/../y', ' z', 'ü')
const text = fc.constantFrom('', 'one', 'two')
const name = fc.constantFrom('n1', 'n2', 'N1', '')
const optional = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined })
const cas = optional(fc.constantFrom(0, 1, 1_000_000))
const session = fc.nat({ max: 3 })
const service: fc.Arbitrary<Service> = fc.record({
  name: fc.constantFrom('web', 'db', ''),
  id: fc.constantFrom('', 'web1'),
  port: fc.constantFrom(0, 80),
  ports: fc.constantFrom([], [1, 2], [70_000]),
  address: fc.constantFrom('', '10.0.0.9', '0.0.0.0'),
  tags: fc.constantFrom([], ['v1'], ['v1', 'V2']),
  kind: fc.constantFrom('', '', '', 'mesh-gateway'),
})
const check: fc.Arbitrary<Check> = fc.record({
  name: fc.constantFrom('c1', 'c2', ''),
  status: fc.constantFrom('', 'passing', 'warning', 'critical'),
  serviceId: fc.constantFrom('', 'web', 'web1', 'none'),
})
const op = fc.record({
  verb: fc.constantFrom(
    'set',
    'cas',
    'get',
    'get-tree',
    'delete',
    'delete-tree',
    'check-index',
    'no',
  ),
  key,
  value: text,
  index: fc.constantFrom(0, 1),
})

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({
    ...{ do: fc.constant('put' as const), key, value: text, cas },
    flags: fc.constantFrom('0', '42', '18446744073709551615'),
    lock: optional(fc.record({ how: fc.constantFrom('acquire', 'release'), session })),
  }),
  fc.record({ do: fc.constant('delete' as const), key, recurse: fc.boolean(), cas }),
  fc.record({
    do: fc.constant('session' as const),
    ttl: fc.constantFrom('', '24h', '1ms'),
    behavior: fc.constantFrom('', 'release', 'delete'),
    node: fc.constantFrom('', 'n1', 'none'),
    checks: optional(fc.constantFrom([], ['serfHealth'], ['c1'])),
  }),
  fc.record({ do: fc.constantFrom('destroy' as const, 'renew' as const), session }),
  fc.record({
    ...{ do: fc.constant('register' as const), node: name, service: optional(service) },
    address: fc.constantFrom('10.0.0.1', '10.0.0.2', ''),
    id: fc.constantFrom('', '', 'no-uuid', '0F3C7A52-1111-4222-8333-000000000001'),
    check: optional(check),
  }),
  fc.record({
    ...{ do: fc.constant('deregister' as const), node: name },
    serviceId: fc.constantFrom('', 'web', 'web1'),
    checkId: fc.constantFrom('', 'c1'),
  }),
  fc.record({ do: fc.constant('txn' as const), ops: fc.array(op, { maxLength: 4 }) }),
) as fc.Arbitrary<Step>

// --- by HTTP

const wireCheck = (given: Check) => ({
  ...{ Name: given.name, Status: given.status, ServiceID: given.serviceId },
})
const wireService = (given: Service) => ({
  ...{ Service: given.name, ID: given.id, Port: given.port, Address: given.address },
  ...{ Tags: given.tags, Kind: given.kind },
  Ports: given.ports.map((Port, at) => ({ Name: `p${at}`, Port })),
})

async function byHttp(
  { face: { client } }: BothFaces,
  one: Step,
  sessions: string[],
): Promise<Outcome> {
  const send = async (method: string, path: string, body?: unknown): Promise<Outcome> => {
    const { status, text: said } = await client.send(method, path, body as never)
    if (status === 200) return { answer: said === '' ? null : JSON.parse(said) }
    const { code, text: shown } = endingOf(new Refusal(status, said))
    return { code, text: shown }
  }
  const known = (at: number): string => sessions[at] ?? `none-${at}`
  switch (one.do) {
    case 'put': {
      const query = new URLSearchParams({ flags: one.flags })
      if (one.lock !== undefined) query.set(one.lock.how, known(one.lock.session))
      else if (one.cas !== undefined) query.set('cas', String(one.cas))
      return send('PUT', `/v1/kv/${encodeURIComponent(one.key)}?${query}`, one.value)
    }
    case 'delete': {
      const query = new URLSearchParams()
      if (one.recurse) query.set('recurse', '')
      if (one.cas !== undefined) query.set('cas', String(one.cas))
      return send('DELETE', `/v1/kv/${encodeURIComponent(one.key)}?${query}`)
    }
    case 'session': {
      const body = { TTL: one.ttl, Behavior: one.behavior, Node: one.node, LockDelay: '0s' }
      const checks = one.checks === undefined ? {} : { NodeChecks: one.checks }
      const made = await send('PUT', '/v1/session/create', { ...body, ...checks })
      if (!('answer' in made)) return made
      sessions.push((made.answer as { ID: string }).ID)
      return { answer: 'made' }
    }
    case 'destroy': {
      const done = await send('PUT', `/v1/session/destroy/${known(one.session)}`)
      return 'answer' in done ? { answer: 'done' } : done
    }
    case 'renew': {
      const done = await send('PUT', `/v1/session/renew/${known(one.session)}`)
      return 'answer' in done ? { answer: 'done' } : done
    }
    case 'register': {
      const { node, address, id } = one
      const done = await send('PUT', '/v1/catalog/register', {
        ...{ Node: node, Address: address, ID: id },
        ...(one.service === undefined ? {} : { Service: wireService(one.service) }),
        ...(one.check === undefined ? {} : { Check: wireCheck(one.check) }),
      })
      return 'answer' in done ? { answer: 'done' } : done
    }
    case 'deregister': {
      const { node, serviceId, checkId } = one
      const body = { Node: node, ServiceID: serviceId, CheckID: checkId }
      const done = await send('PUT', '/v1/catalog/deregister', body)
      return 'answer' in done ? { answer: 'done' } : done
    }
    case 'txn': {
      const ops = one.ops.map(({ verb, key: Key, value, index }) => ({
        KV: { Verb: verb, Key, Value: Buffer.from(value).toString('base64'), Index: index },
      }))
      const answered = await client.send('PUT', '/v1/txn', ops)
      const { status } = answered
      if (status !== 200 && status !== 409) {
        const { code, text: shown } = endingOf(new Refusal(status, answered.text))
        return { code, text: shown }
      }
      const { json } = answered
      if (status === 409) {
        return { code: 'ABORTED', text: JSON.stringify(json.Errors.map(shownFault)) }
      }
      return { answer: json.Results.map((one_: { KV: WireEntry }) => entryOf(one_.KV)) }
    }
  }
}

interface WireEntry {
  readonly Key: string
  readonly Value: string | null
  readonly Flags: number
  readonly Session?: string
  readonly LockIndex: number
}

const shownFault = ({ OpIndex, What }: { OpIndex: number; What: string }) => [
  `ops[${OpIndex}]`,
  withoutIndexes(What),
]

/** Indexes differ between the two stores. */
const withoutIndexes = (said: string): string => said.replace(/current modify index \d+/, 'index')

const entryOf = ({ Key, Value, Session = '', LockIndex }: WireEntry) => ({
  ...{ key: Key, value: Buffer.from(Value ?? '', 'base64').toString(), lockIndex: LockIndex },
  isHeld: Session !== '',
})

// --- by gRPC

const STATUS: Readonly<Record<string, string>> = {
  ...{ '': 'HEALTH_STATUS_UNSPECIFIED', passing: 'HEALTH_STATUS_PASSING' },
  ...{ warning: 'HEALTH_STATUS_WARNING', critical: 'HEALTH_STATUS_CRITICAL' },
}
const messageCheck = ({ name: given, status, serviceId }: Check) => ({
  ...{ name: given, status: STATUS[status], serviceId },
})
const messageService = ({ ports, ...given }: Service) => ({
  ...given,
  ports: ports.map((port, at) => ({ name: `p${at}`, port })),
})
/** None ends meanwhile, however long the test takes. */
const TTL: Readonly<Record<string, object | null>> = {
  ...{ '': null, '24h': { seconds: 86_400 }, '1ms': { nanos: 1_000_000 } },
}
const BEHAVIOR: Readonly<Record<string, string>> = {
  '': 'SESSION_BEHAVIOR_UNSPECIFIED',
  release: 'SESSION_BEHAVIOR_RELEASE',
  delete: 'SESSION_BEHAVIOR_DELETE',
}

async function byGrpc(both: BothFaces, one: Step, sessions: string[]): Promise<Outcome> {
  const send = async (
    method: string,
    request: object,
    // biome-ignore lint/suspicious/noExplicitAny: as the answer is
    read: (answer: any) => unknown = () => 'done',
  ): Promise<Outcome> => {
    const { code, text: said, answers, metadata } = await both.call(method, request)
    if (code === 'OK') return { answer: read(answers[0]) }
    if (code !== 'ABORTED') return { code, text: said }
    return {
      code,
      text: JSON.stringify(faultsIn(metadata.get('grpc-status-details-bin')[0] as Buffer)),
    }
  }
  const known = (at: number): string => sessions[at] ?? `none-${at}`
  switch (one.do) {
    case 'put': {
      const { key: given, value, flags, lock } = one
      const condition =
        lock !== undefined
          ? { [lock.how]: known(lock.session) }
          : one.cas === undefined
            ? {}
            : { cas: one.cas }
      const request = { key: given, value: Buffer.from(value), flags, ...condition }
      return send('KV/Put', request, ({ done }) => done)
    }
    case 'delete': {
      const { key: given, recurse } = one
      const request = { key: given, recurse, ...(one.cas === undefined ? {} : { cas: one.cas }) }
      return send('KV/Delete', request, ({ done }) => done)
    }
    case 'session':
      return send(
        'Sessions/Create',
        {
          ...{ ttl: TTL[one.ttl], behavior: BEHAVIOR[one.behavior], node: one.node },
          lockDelay: { seconds: 0 },
          ...(one.checks === undefined ? {} : { nodeChecks: { ids: one.checks } }),
        },
        ({ id }) => {
          sessions.push(id)
          return 'made'
        },
      )
    case 'destroy':
      return send('Sessions/Destroy', { id: known(one.session) })
    case 'renew':
      return send('Sessions/Renew', { id: known(one.session) })
    case 'register':
      return send('Registry/Register', {
        node: { name: one.node, address: one.address, id: one.id },
        ...(one.service === undefined ? {} : { service: messageService(one.service) }),
        checks: one.check === undefined ? [] : [messageCheck(one.check)],
      })
    case 'deregister': {
      const { node, serviceId, checkId } = one
      return send('Registry/Deregister', { node, serviceId, checkId })
    }
    case 'txn': {
      const ops = one.ops.map(({ value, ...rest }) => ({
        kv: { ...rest, value: Buffer.from(value) },
      }))
      return send('KV/Txn', { ops }, ({ results }) =>
        results.map(({ kv }: { kv: MessageEntry }) => ({
          ...{ key: kv.key, value: kv.value.toString(), lockIndex: kv.lockIndex },
          isHeld: kv.session !== '',
        })),
      )
    }
  }
}

interface MessageEntry {
  readonly key: string
  readonly value: Buffer
  readonly session: string
  readonly lockIndex: number
}

/** The fields that a status says are wrong: `ops[n]` and a text stand behind each other. */
function faultsIn(details: Buffer): [string, string][] {
  const faults: [string, string][] = []
  for (let at = details.indexOf('ops['); at !== -1; at = details.indexOf('ops[', at + 1)) {
    const sizeBytes = details[at - 1]!
    const behind = at + sizeBytes
    // A string field: its tag, its size (up to two bytes of it), its bytes.
    const first = details[behind + 1]!
    const isLong = first > 127
    const textBytes = isLong ? (first & 127) + details[behind + 2]! * 128 : first
    const start = behind + (isLong ? 3 : 2)
    const said = details.subarray(start, start + textBytes).toString()
    faults.push([details.subarray(at, behind).toString(), withoutIndexes(said)])
  }
  return faults
}

// --- the same

/** Names sessions by their order, as the two stores give them ids of their own. */
const anonymised = (outcome: Outcome, sessions: readonly string[]): Outcome => {
  const all = sessions.reduce(
    (shown, id, at) => shown.replaceAll(id, `session-${at}`),
    JSON.stringify(outcome),
  )
  return JSON.parse(all)
}

t.test('generated requests come to the same by either face', async t => {
  const seed = Number.parseInt(process.env.SEED ?? String(Date.now() % 1e9), 10)
  const scripts = fc.sample(fc.array(step, { minLength: 20, maxLength: 40 }), {
    seed,
    numRuns: 400,
  })
  const [http, grpc] = [await startBoth(t), await startBoth(t)]
  const all: [string[], string[]] = [[], []]
  await untilBudget('requests by two faces', scripts.length, async index => {
    const ids: [string[], string[]] = [[], []]
    for (const [at, one] of scripts[index]!.entries()) {
      const came = await Promise.all([byHttp(http, one, ids[0]), byGrpc(grpc, one, ids[1])])
      const [left, right] = came.map((outcome, face) =>
        anonymised(outcome, [...all[face]!, ...ids[face]!]),
      )
      if (JSON.stringify(left) === JSON.stringify(right)) continue
      t.strictSame(right, left, `seed ${seed}, script ${index}, step ${at}: ${JSON.stringify(one)}`)
      return
    }
    for (const face of [0, 1] as const) all[face].push(...ids[face])
    await readAlike(http)
    await readAlike(grpc)
  })
  t.pass('all of them')
})

/** Both faces read one store: rows, indexes and the index of the answer. */
async function readAlike({ face: { client }, ask }: BothFaces): Promise<void> {
  const tree = await client.get('/v1/kv/?recurse')
  const { entries, state } = await ask('KV/List')
  const wire = tree.status === 404 ? [] : tree.json
  t.strictSame(
    entries.map((one: MessageEntry & { createIndex: number; modifyIndex: number }) => ({
      ...{ key: one.key, value: one.value.toString('base64'), session: one.session },
      ...{ lockIndex: one.lockIndex, create: one.createIndex, modify: one.modifyIndex },
    })),
    wire.map((one: WireEntry & { CreateIndex: number; ModifyIndex: number }) => ({
      ...{ key: one.Key, value: one.Value ?? '', session: one.Session ?? '' },
      ...{ lockIndex: one.LockIndex, create: one.CreateIndex, modify: one.ModifyIndex },
    })),
  )
  t.equal(state.index, tree.index)
  for (const service_ of ['web', 'db', 'consul']) {
    const health = await client.get(`/v1/health/service/${service_}`)
    const found = await ask('Registry/ListInstances', { service: service_ })
    t.equal(found.state.index, health.index)
    t.strictSame(
      // biome-ignore lint/suspicious/noExplicitAny: as the messages are
      found.instances.map((one: any) => [
        ...[one.node.name, one.node.id, one.node.address, one.service.id, one.service.port],
        ...[one.service.tags, one.service.modifyIndex, one.node.modifyIndex],
        // biome-ignore lint/suspicious/noExplicitAny: as the messages are
        one.checks.map((each: any) => [each.checkId, STATUS_NAME[each.status], each.modifyIndex]),
      ]),
      // biome-ignore lint/suspicious/noExplicitAny: as the answers are
      health.json.map((one: any) => [
        ...[one.Node.Node, one.Node.ID, one.Node.Address, one.Service.ID, one.Service.Port],
        ...[one.Service.Tags, one.Service.ModifyIndex, one.Node.ModifyIndex],
        // biome-ignore lint/suspicious/noExplicitAny: as the answers are
        one.Checks.map((each: any) => [each.CheckID, each.Status, each.ModifyIndex]),
      ]),
    )
  }
  const sessions = (await client.get('/v1/session/list')).json
  const listed = (await ask('Sessions/List')).sessions
  t.strictSame(
    listed.map((one: { id: string; modifyIndex: number }) => [one.id, one.modifyIndex]),
    sessions.map((one: { ID: string; ModifyIndex: number }) => [one.ID, one.ModifyIndex]),
  )
}

const STATUS_NAME = Object.fromEntries(Object.entries(STATUS).map(([short, long]) => [long, short]))
