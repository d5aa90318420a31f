/**
 * The way of a call: who makes it, what it is refused for, what is recorded and explained, and how
 * streams end.
 */
import t from 'tap'
import { Audit } from '../../src/audit/audit.run.ts'
import { OperatingCode, OperatingError, Refusal } from '../../src/base/errors.ts'
import { codecOf } from '../../src/base/io/proto.ts'
import { NO_RATES } from '../../src/base/request-rates.ts'
import { type Authority, openAuthority } from '../../src/base/who.ts'
import { anonymous, type GrpcCall, GrpcFailure, type GrpcOut } from '../../src/grpc/declare.ts'
import { portsOn, settings } from '../audit/support.ts'
import { ROOT } from '../http/acl.ts'
import { type Face, startFace, until } from '../http/harness.ts'
import { bothMethod, manyMethod, oneMethod, writeMethod } from './contracts.ts'
import { type Ended, startGrpc } from './harness.ts'

const as = (token: string) => ({ 'x-consul-token': token })
const key = (text: string) => ({ key: Buffer.from(text) })
const root = { headers: as(ROOT) }

/** A token with these rules. */
async function tokenWith({ client }: Face, rules: string): Promise<{ secret: string; id: string }> {
  const Name = `p${Math.abs(rules.length * 31)}-${rules.replaceAll(/\W/g, '').slice(0, 20)}`
  await client.put('/v1/acl/policy', { Name, Rules: rules }, root)
  const { json } = await client.put('/v1/acl/token', { Policies: [{ Name }] }, root)
  return { secret: json.SecretID, id: json.AccessorID }
}

/** What programs read of a failure: its parts by their names. */
// biome-ignore lint/suspicious/noExplicitAny: tests know what they asked for
async function detailsOf({ metadata }: Ended): Promise<Record<string, any>> {
  const [bytes] = metadata.get('grpc-status-details-bin')
  const status = await codecOf('google/rpc/status.proto', 'google.rpc.Status')
  const { details } = status.decode(bytes as Buffer) as {
    details: { type_url: string; value: Buffer }[]
  }
  const parts = details.map(async ({ type_url: url, value }) => {
    const type = url.slice(url.indexOf('/') + 1)
    const codec = await codecOf('google/rpc/error_details.proto', type)
    return [type.slice('google.rpc.'.length), codec.decode(value)] as const
  })
  return Object.fromEntries(await Promise.all(parts))
}

t.test('a call is by the token of its metadata, and answers carry an id', async t => {
  const face = await startFace(t, { acl: {} })
  const { secret, id } = await tokenWith(face, 'key_prefix "a/" { policy = "read" }')
  const calls: GrpcCall[] = []
  const method = oneMethod({
    run(_request, call) {
      calls.push(call)
      return { count: 1 }
    },
  })
  const { client } = await startGrpc(t, { methods: [method], authority: face.authority })
  const shown = [
    as(secret),
    { 'x-vault-token': secret },
    { authorization: `Bearer ${secret}` },
    { ...as(secret), 'x-vault-token': 'another half’s'.slice(0, 7) },
  ]
  for (const headers of shown) {
    const ended = await client.call(method, key('a/b'), headers)
    t.same([ended.code, ended.answers[0]?.count], ['OK', 1], Object.keys(headers).join())
    t.equal(ended.metadata.get('x-request-id').length, 1)
  }
  t.strictSame(new Set(calls.map(({ who }) => who.accessor)), new Set([id]))
  t.match(calls[0], { remote: '127.0.0.1', leftMs: undefined })
  const facts = calls[0]?.who.request
  t.match(facts, { operation: 'GRPC /etcdserverpb.KV/Range/{name}', name: 'a/b', isRead: true })

  const stranger = await client.call(method, key('a/b'), as('nobody'))
  t.match(stranger, { code: 'UNAUTHENTICATED', text: /ACL not found/ })
  const nobody = await client.call(method, key('a/b'))
  t.match(nobody, {
    code: 'PERMISSION_DENIED',
    text: /anonymous token lacks .*'key:read' on "a\/b"/,
  })
  const two = await client.raw(`/${method.path}`, Buffer.alloc(0), as(`${secret},${ROOT}`))
  t.equal(two.code, 'UNAUTHENTICATED', 'of two tokens none is chosen')
  t.equal(calls.length, shown.length)
})

t.test('a refusal is explained under its id, and says what programs look for', async t => {
  const face = await startFace(t, { acl: {} })
  const { secret } = await tokenWith(face, 'key_prefix "a/" { policy = "read" }')
  const method = oneMethod({ run: () => ({}) })
  const { client } = await startGrpc(t, { methods: [method], authority: face.authority })
  const ended = await client.call(method, key('b/c'), as(secret))
  t.equal(ended.code, 'PERMISSION_DENIED')
  const [id] = ended.metadata.get('x-request-id')
  t.match(await detailsOf(ended), {
    RequestInfo: { requestId: id },
    ErrorInfo: { reason: 'PERMISSION_DENIED', domain: 'gatehouse' },
  })
  const { json } = await face.client.get(`/v1/acl/explain/${id}`, root)
  t.match(json, {
    Operation: 'GRPC /etcdserverpb.KV/Range/{name}',
    Name: 'b/c',
    Outcome: 'refused',
    Lacking: [{ Resource: 'key', Access: 'read', Segment: 'b/c' }],
  })
})

t.test('what was left out of an answer is told, and explained', async t => {
  const face = await startFace(t, { acl: {} })
  const { secret } = await tokenWith(face, 'key_prefix "a/" { policy = "read" }')
  const method = oneMethod({
    access: () => [],
    run: (_request, { who }) => ({
      count: Number(who.may({ capability: 'read', resource: 'key', name: 'z' })),
    }),
  })
  const { client } = await startGrpc(t, { methods: [method], authority: face.authority })
  const ended = await client.call(method, {}, as(secret))
  t.strictSame(ended.metadata.get('x-consul-results-filtered-by-acls'), ['true'])
  const [id] = ended.metadata.get('x-request-id')
  const { json } = await face.client.get(`/v1/acl/explain/${id}`, root)
  t.equal(json.Outcome, 'filtered')
})

t.test('refusals and faults end calls with their codes', async t => {
  let give: () => object | Refusal = () => ({})
  const method = oneMethod({ access: anonymous, run: () => give() })
  const { client } = await startGrpc(t, { methods: [method] })
  const ended = async (what: () => object | Refusal): Promise<Ended> => {
    give = what
    return client.call(method)
  }
  const thrown =
    (error: unknown): (() => never) =>
    () => {
      throw error
    }
  const codes: [() => object | Refusal, string, RegExp][] = [
    [() => new Refusal(400, 'wrong'), 'INVALID_ARGUMENT', /^wrong$/],
    [() => new Refusal(403, 'ACL not found'), 'UNAUTHENTICATED', /ACL/],
    [() => new Refusal(404, ''), 'NOT_FOUND', /^NOT_FOUND$/],
    [() => new Refusal(409, 'moved'), 'ABORTED', /moved/],
    [() => new Refusal(412, 'not so'), 'FAILED_PRECONDITION', /not so/],
    [() => new Refusal(413, 'large'), 'RESOURCE_EXHAUSTED', /large/],
    [() => new Refusal(429, 'many'), 'RESOURCE_EXHAUSTED', /many/],
    [() => new Refusal(500, 'Must provide node'), 'INVALID_ARGUMENT', /node/],
    [() => new Refusal(501, 'not served yet: x'), 'UNIMPLEMENTED', /not served yet/],
    [() => new Refusal(503, 'later'), 'UNAVAILABLE', /later/],
    [thrown(new Refusal(404, 'gone')), 'NOT_FOUND', /gone/],
    [thrown(new GrpcFailure('DATA_LOSS', 'torn')), 'DATA_LOSS', /torn/],
    [
      thrown(new OperatingError(OperatingCode.unavailable, 'x')),
      'UNAVAILABLE',
      /No cluster leader/,
    ],
    [thrown(new OperatingError(OperatingCode.compacted, 'x')), 'OUT_OF_RANGE', /x/],
    [thrown(new Error('secret inside')), 'INTERNAL', /^internal error$/],
  ]
  for (const [what, code, text] of codes) t.match(await ended(what), { code, text }, code)
  const busy = await ended(() => new Refusal(429, 'many'))
  t.match(await detailsOf(busy), {
    ErrorInfo: { reason: 'RATE_LIMITED' },
    RetryInfo: { retryDelay: { seconds: 1 } },
    QuotaFailure: { violations: [{ subject: 'requests' }] },
  })
  const fields = [{ field: 'key', text: 'is empty' }]
  const bad = await ended(thrown(new GrpcFailure('INVALID_ARGUMENT', 'wrong', { fields })))
  t.match(await detailsOf(bad), {
    BadRequest: { fieldViolations: [{ field: 'key', description: 'is empty' }] },
  })
  const long = await ended(() => new Refusal(400, `${'é'.repeat(5_000)}\ud800`))
  t.equal(long.text, 'é'.repeat(1_024), 'clients bound what they read')
})

t.test('a message that is none is refused before anything is asked', async t => {
  const method = oneMethod({ access: anonymous, run: () => ({}) })
  const { client } = await startGrpc(t, { methods: [method] })
  const { code, text } = await client.raw(`/${method.path}`, Buffer.from([0xff, 0xff, 0x03]))
  t.match([code, text], ['INVALID_ARGUMENT', /not one of this method/])
})

t.test('an answer in its encoded form goes out as it is', async t => {
  const method = oneMethod({ access: anonymous, run: () => Buffer.from([0x20, 7]) })
  const { client } = await startGrpc(t, { methods: [method] })
  t.equal((await client.call(method)).answers[0].count, 7)
})

t.test('records are kept as HTTP keeps them', async t => {
  const face = await startFace(t, { acl: {} })
  const { secret } = await tokenWith(face, 'key "a" { policy = "write" }')
  const poor = await tokenWith(face, 'key "b" { policy = "read" }')
  const audit = new Audit(settings, portsOn(face.store))
  const write = writeMethod({ run: () => ({}) })
  const read = oneMethod({ run: () => ({}) })
  const many = manyMethod({ run: (_request, _call, out) => void out.send({}) })
  const methods = [write, read, many]
  const { client } = await startGrpc(t, { methods, authority: face.authority, audit })
  await client.call(write, {}, as(secret))
  await client.call(read, key('a'), as(secret))
  await client.call(many, {}, as(secret))
  await client.call(read, key('a'), as(poor.secret))
  await client.call(many, {}, as(poor.secret))
  await client.call(read, key('a'), as('nobody'))
  const { records } = await audit.search({} as never, Number.MAX_SAFE_INTEGER, 20)
  const told = records.map(({ text }) => {
    const { operation, outcome, status, path } = JSON.parse(text.toString('utf8'))
    return [operation, path, outcome, status]
  })
  const range = 'GRPC /etcdserverpb.KV/Range/{name}'
  t.strictSame(told.toReversed(), [
    ['GRPC /etcdserverpb.Cluster/MemberAdd', '/etcdserverpb.Cluster/MemberAdd', 'answered', 200],
    [range, '/etcdserverpb.KV/Range/a', 'refused', 403],
    [
      'GRPC /etcdserverpb.Maintenance/Snapshot',
      '/etcdserverpb.Maintenance/Snapshot',
      'refused',
      403,
    ],
    [range, '/etcdserverpb.KV/Range/', 'refused', 401],
  ])
  t.notMatch(JSON.stringify(records.map(({ text }) => text.toString('utf8'))), secret)
})

t.test('a record that cannot be kept stands before the answer', async t => {
  const unaudited = new OperatingError(OperatingCode.unaudited, 'the journal is full')
  const audit = { answered: () => Promise.reject(unaudited) }
  const one = oneMethod({ run: () => ({ count: 1 }) })
  const many = manyMethod({ run: (_request, _call, out) => void out.send({}) })
  const { client } = await startGrpc(t, { methods: [one, many], audit })
  for (const method of [one, many]) {
    const { code, text, answers } = await client.call(method)
    t.match([code, text, answers], ['UNAVAILABLE', /journal is full/, []])
  }
})

t.test('streams send what they have, and end', async t => {
  const many = manyMethod({
    async run(_request, _call, out) {
      for (let i = 0; i < 3; i++) {
        out.send({ remainingBytes: i })
        await out.drained()
      }
      return i3()
    },
  })
  const i3 = (): Refusal | undefined => refusal
  let refusal: Refusal | undefined
  const { client } = await startGrpc(t, { methods: [many] })
  const well = await client.call(many)
  t.same([well.code, well.answers.map(each => each.remainingBytes)], ['OK', [0, 1, 2]])
  refusal = new Refusal(404, 'gone meanwhile')
  const not = await client.call(many)
  t.same([not.code, not.answers.length], ['NOT_FOUND', 3])
})

t.test('messages of a stream are taken one after the other', async t => {
  let busy = 0
  let most = 0
  const both = bothMethod({
    open: (_call, out) => ({
      async onMessage({ ID }) {
        most = Math.max(most, ++busy)
        await new Promise(resolve => setImmediate(resolve))
        busy--
        if (ID === 99) throw new GrpcFailure('OUT_OF_RANGE', 'too far')
        out.send({ ID })
      },
      onEnd: () => out.end(),
    }),
  })
  const { client } = await startGrpc(t, { methods: [both] })
  const stream = await client.open(both)
  for (let ID = 1; ID <= 20; ID++) stream.send({ ID })
  stream.call.end()
  const { code, answers } = await stream.ended
  t.same([code, answers.length, most], ['OK', 20, 1])
  const failing = await client.open(both)
  failing.send({ ID: 1 })
  failing.send({ ID: 99 })
  t.match(await failing.ended, { code: 'OUT_OF_RANGE', text: 'too far' })
})

t.test('a stream that is refused at its opening, also late', async t => {
  for (const isLate of [false, true]) {
    const refusal = new Refusal(412, 'not now')
    const both = bothMethod({ open: () => (isLate ? Promise.resolve(refusal) : refusal) })
    const { client } = await startGrpc(t, { methods: [both] })
    const stream = await client.open(both)
    stream.send({ ID: 1 })
    t.match(await stream.ended, { code: 'FAILED_PRECONDITION', text: 'not now' })
  }
})

t.test('who leaves is noticed', async t => {
  const seen: string[] = []
  const both = bothMethod({
    open: ({ signal }) => ({
      onMessage: () => {
        seen.push('message')
        signal.addEventListener('abort', () => seen.push('left'))
      },
      onEnd: () => void seen.push('end'),
    }),
  })
  const { client, face } = await startGrpc(t, { methods: [both] })
  const stream = await client.open(both)
  stream.send({ ID: 1 })
  await until(() => seen.length === 1)
  stream.call.cancel()
  await until(() => face.streams === 0)
  t.strictSame(seen.toSorted(), ['end', 'left', 'message'], 'each is told once')
})

t.test('who leaves while his token is looked for begins nothing', async t => {
  const begun: string[] = []
  const many = manyMethod({ run: () => void begun.push('many') })
  const both = bothMethod({
    open() {
      begun.push('both')
      return { onMessage: () => {}, onEnd: () => {} }
    },
  })
  const known = Promise.withResolvers<void>()
  let asked = 0
  let watches = 0
  const authority: Authority = {
    ...openAuthority,
    ready: () => (++asked > 2 ? undefined : known.promise),
    watch() {
      watches++
      return () => watches--
    },
  }
  const { client, face } = await startGrpc(t, { methods: [many, both], authority })
  const streams = [await client.open(many), await client.open(both)]
  streams[0]!.call.end({})
  await until(() => asked === 2)
  for (const { call } of streams) call.cancel()
  await until(() => face.streams === 0)
  known.resolve()
  await new Promise(setImmediate)
  t.strictSame(begun, [])
  t.equal(watches, 0)
})

t.test('a deadline is told, and ends a call', async t => {
  let left: number | undefined
  let isGone = false
  const method = oneMethod({
    access: anonymous,
    run(_request, call) {
      left = call.leftMs
      call.signal.addEventListener('abort', () => {
        isGone = true
      })
      return new Promise(() => {})
    },
  })
  const { client } = await startGrpc(t, { methods: [method] })
  const { code } = await client.call(method, {}, {}, { deadline: Date.now() + 100 })
  t.equal(code, 'DEADLINE_EXCEEDED')
  t.ok(left !== undefined && left <= 100)
  await until(() => isGone)
})

t.test('streams end when the token of theirs is revoked, or its rights change', async t => {
  const face = await startFace(t, { acl: {} })
  const revoked = await tokenWith(face, 'key "a" { policy = "read" }')
  const changed = await tokenWith(face, 'key "a" { policy = "write" }')
  const outs: GrpcOut<object>[] = []
  const many = manyMethod({
    run: (_request, { signal }, out) => {
      outs.push(out)
      return new Promise(resolve => signal.addEventListener('abort', () => resolve()))
    },
  })
  const { client } = await startGrpc(t, { methods: [many], authority: face.authority })
  const open = async (token: string) => {
    const stream = await client.open(many, as(token))
    stream.call.end({})
    return stream
  }
  const first = await open(revoked.secret)
  const second = await open(changed.secret)
  const other = await open(ROOT)
  await until(() => outs.length === 3)
  await face.client.raw('DELETE', `/v1/acl/token/${revoked.id}`, '', { headers: as(ROOT) })
  t.match(await first.ended, { code: 'UNAUTHENTICATED', text: /ACL not found/ })
  await face.client.put(`/v1/acl/token/${changed.id}`, { Policies: [], Description: 'less' }, root)
  t.match(await second.ended, { code: 'PERMISSION_DENIED', text: /rights of the token changed/ })
  for (const out of outs) out.send({})
  await until(() => other.answers.length === 1)
  other.call.cancel()
})

t.test('rates of requests hold for calls, apart for reads and writes', async t => {
  const rates = { ...NO_RATES, mode: 'enforcing' as const, readPerSecond: 0.1, writePerSecond: 0.1 }
  const read = oneMethod({ access: anonymous, run: () => ({}) })
  const write = writeMethod({ access: anonymous, run: () => ({}) })
  const { client } = await startGrpc(t, { methods: [read, write], rates })
  const codes: string[] = []
  for (const method of [read, read, write, write]) codes.push((await client.call(method)).code)
  t.strictSame(codes, ['OK', 'RESOURCE_EXHAUSTED', 'OK', 'UNAVAILABLE'])
  const unknown = await client.raw('/no.Such/Thing', Buffer.alloc(0))
  t.equal(unknown.code, 'RESOURCE_EXHAUSTED', 'what is not there counts too')
  const health = { protoFile: 'grpc/health.proto', path: 'grpc.health.v1.Health/Check' } as const
  t.equal((await client.call(health)).code, 'OK')
})

t.test('a stop ends streams and lets calls finish', async t => {
  const held: (() => void)[] = []
  const one = oneMethod({
    run: () => new Promise<object>(resolve => held.push(() => resolve({ count: 5 }))),
  })
  const many = manyMethod({
    run: (_request, { signal }) =>
      new Promise(resolve => signal.addEventListener('abort', () => resolve())),
  })
  const { client, face } = await startGrpc(t, { methods: [one, many], authority: openAuthority })
  const call = client.call(one)
  const stream = client.call(many)
  await until(() => held.length === 1 && face.streams === 1)
  const closed = face.close()
  t.match(await stream, { code: 'UNAVAILABLE', text: 'the server is stopping' })
  held[0]?.()
  t.match((await call).answers, [{ count: 5 }])
  await closed
})
