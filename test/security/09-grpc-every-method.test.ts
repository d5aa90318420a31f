/**
 * Every method of gRPC, those too that come later: without a token, with one that is nobody's, and
 * with tokens that may only read. A whole server answers; requests hold something in every field.
 */
import t, { type Test } from 'tap'
import { loadConfig, settleNodeId } from '../../src/agent/config-load.ts'
import { startAgent } from '../../src/agent/lifecycle.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { loadDefinitions } from '../../src/base/io/proto.ts'
import { silentLog } from '../../src/base/log.ts'
import { anonymous, decidedInside, type GrpcMethod } from '../../src/grpc/declare.ts'
import { everyMethod } from '../grpc/every-method.ts'
import { type Ended, GrpcTestClient, type Headers } from '../grpc/harness.ts'
import { ROOT } from '../http/acl.ts'
import { everythingFor } from '../http/principals.ts'

/** Nobody but root may see it anywhere. */
const CANARY = 'c4nary-of-grpc'

async function start(t: Test) {
  const text =
    'ports { http = 0, dns = 0, server = -1 }\n' +
    'acl { enabled = true, default_policy = "deny", tokens { initial_management = ' +
    `"${ROOT}" } }\n`
  const load = () =>
    loadConfig([
      { name: 'dev', value: true },
      { name: 'hcl', value: text },
    ])
  const loaded = await load()
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  const config = await settleNodeId(loaded.config, systemRandom)
  const running = await startAgent(config, { log: silentLog, load, leave: () => {} })
  t.teardown(() => running.stop())
  const portOf = (face: string) => running.addresses.find(one => one.face === face)!.port
  const http = async (method: string, url: string, body: object | string) => {
    const answer = await fetch(`http://127.0.0.1:${portOf('http')}${url}`, {
      method,
      headers: { 'x-consul-token': ROOT, connection: 'close' },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
    return { text: await answer.text() }
  }
  await http('PUT', '/v1/kv/a', CANARY)
  await http('PUT', '/v1/kv/a/b', CANARY)
  const Service = { Service: 'a', ID: 'a', Meta: { told: CANARY } }
  await http('PUT', '/v1/catalog/register', { Node: 'a', Address: '10.0.0.1', Service })
  await http('PUT', '/v1/acl/policy', { Name: 'reads', Rules: everythingFor('read') })
  const made = await http('PUT', '/v1/acl/token', { Policies: [{ Name: 'reads' }] })
  const reader = JSON.parse(made.text).SecretID as string
  const client = new GrpcTestClient(t, `127.0.0.1:${portOf('grpc')}`)
  return { client, reader }
}

interface Field {
  readonly name: string
  readonly label: string
  readonly type: string
  readonly typeName: string
}

type Types = Record<string, { type?: { field: readonly Field[] } }>

/** A message with something in every field, as deep as there is something to say. */
function filled(types: Types, typeName: string, depth = 0): object {
  const own = types[typeName]?.type?.field ?? []
  const scope = typeName.slice(0, typeName.lastIndexOf('.'))
  const one = (field: Field): unknown => {
    if (field.type === 'TYPE_MESSAGE') {
      const inner = Object.hasOwn(types, field.typeName)
        ? field.typeName
        : `${scope}.${field.typeName}`
      return depth > 2 ? undefined : filled(types, inner, depth + 1)
    }
    if (field.type === 'TYPE_BYTES') return Buffer.from('a')
    if (field.name === 'namespace') return undefined
    if (field.type === 'TYPE_STRING') return 'a'
    return field.type === 'TYPE_BOOL' ? false : undefined
  }
  return Object.fromEntries(
    own.flatMap(field => {
      const name = field.name.replaceAll(/_([a-z0-9])/g, (_, letter) => letter.toUpperCase())
      const value = one(field)
      if (value === undefined) return []
      return [[name, field.label === 'LABEL_REPEATED' ? [value] : value]]
    }),
  )
}

/** Streams may go on for ever. All calls are made at once: a slow machine answers them all. */
const STREAM_DEADLINE_MS = 1_500
const UNARY_DEADLINE_MS = 30_000

/** What calls of every method come to, the empty request and a filled one of each. */
async function outcomes(
  client: GrpcTestClient,
  headers: Headers,
): Promise<(Ended & { readonly method: GrpcMethod })[]> {
  const methods = everyMethod()
  const types = (await loadDefinitions(
    [...new Set(methods.map(({ protoFile }) => protoFile))],
    'own',
  )) as unknown as Types
  return Promise.all(
    methods.flatMap(method => {
      const [service = '', name = ''] = method.path.split('/')
      const definition = (
        types[service] as Record<string, { requestType: { type: { name: string } } }>
      )[name]!
      const inPackage = service.slice(0, service.lastIndexOf('.'))
      const request = `${inPackage}.${definition.requestType.type.name}`
      return [{}, filled(types, request)].map(async message => {
        const deadlineMs = method.form === 'unary' ? UNARY_DEADLINE_MS : STREAM_DEADLINE_MS
        const options = { deadline: Date.now() + deadlineMs }
        return { method, ...(await client.call(method, message, headers, options)) }
      })
    }),
  )
}

const namesOf = (ended: readonly { readonly method: GrpcMethod }[]): readonly string[] =>
  [...new Set(ended.map(({ method }) => method.path))].sort()

/** Whether a call got in: it was answered, or would be if it waited on. */
const isIn = ({ code, answers }: Ended): boolean => code === 'OK' || answers.length > 0

t.test('every method asks for the token that it is by', async t => {
  const { client, reader } = await start(t)

  t.comment('without a token')
  const nobody = await outcomes(client, {})
  const open = nobody.filter(({ method }) => method.access === anonymous)
  for (const name of namesOf(open)) t.comment(`everybody may ${name}`)
  t.notMatch(JSON.stringify(nobody.map(({ answers }) => answers)), CANARY)
  t.notOk(
    Buffer.from(JSON.stringify(nobody.map(({ answers }) => answers))).includes(
      Buffer.from(CANARY).toString('base64'),
    ),
  )
  const written = nobody.filter(ended => ended.method.effect === 'writes' && isIn(ended))
  t.strictSame(
    namesOf(written.filter(({ method }) => method.access !== anonymous)),
    OF_READERS,
    'nothing is written',
  )
  for (const { method, metadata, code } of nobody) {
    if (code === 'DEADLINE_EXCEEDED' || code === 'CANCELLED') continue
    t.equal(metadata.get('x-request-id').length <= 1, true, method.path)
  }

  t.comment('with a token that is nobody’s')
  const stranger = await outcomes(client, {
    'x-consul-token': 'bbbbbbbb-0000-4000-8000-000000000002',
    'x-vault-token': 'hvs.nobodys',
  })
  for (const { method, code, text } of stranger) {
    if (method.access === anonymous || BY_PART.includes(method.path)) continue
    const wanted =
      method.access === decidedInside
        ? /^(UNAUTHENTICATED|PERMISSION_DENIED|INVALID_ARGUMENT|NOT_FOUND|UNIMPLEMENTED)$/
        : /^UNAUTHENTICATED$/
    t.match(code, wanted, `${method.path}: ${text}`)
  }
  t.notMatch(JSON.stringify(stranger.map(({ answers }) => answers)), CANARY)

  t.comment('with a token of the registry that may read everything')
  const reading = await outcomes(client, { 'x-consul-token': reader })
  const done = reading.filter(
    ended => ended.method.effect === 'writes' && ended.method.access !== anonymous && isIn(ended),
  )
  t.strictSame(namesOf(done), OF_READERS, 'what changes something is refused')
  const served = reading.filter(({ method }) => method.effect === 'reads').filter(isIn)
  t.ok(served.length > 5, `${served.length} reads are answered`)
  const broken = [...nobody, ...stranger, ...reading].filter(({ code }) => code === 'INTERNAL')
  t.strictSame(namesOf(broken), [], 'no call finds a fault of ours')
})

/** Answers tell of each part whether it was refused, or a stream is looked at first. */
const BY_PART = ['gatehouse.v1.Secrets/ReadMany', 'gatehouse.v1.Transit/DecryptStream']

/** What answers although it changes nothing: no operations, a session that is not there. */
const OF_READERS: readonly string[] = ['gatehouse.v1.KV/Txn', 'gatehouse.v1.Sessions/Destroy']
