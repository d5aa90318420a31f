/**
 * Bytes on the HTTP port: damaged requests of every kind against a face that listens. Each is
 * answered or cut off, none meets a fault of ours, and an honest client is served all the while.
 */
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import { type LiveLog, silentLog } from '../../src/base/log.ts'
import type { Draw } from '../fake/random.ts'
import { declaredPaths } from '../http/declared.ts'
import { type Face, NODE, startFace } from '../http/harness.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, mutatedJson, type Stock, stockOf } from './mutate.ts'

const BURST = 16
/** Who waits for more of a request, or for a change, is left after so long. */
const PATIENCE_MS = 40
/** A new face now and then: what was written must not make the next requests slow. */
const BURSTS_A_FACE = 500
/** In front of the answer to which a client may leave; its connection is closed behind it. */
const LAST = 'GET /v1/status/leader HTTP/1.1\r\nConnection: close\r\n\r\n'

/** Bodies that register: their checks are TTLs, since others would be run. */
const bodies: Readonly<Record<string, readonly object[]>> = {
  '/v1/agent/service/register': [
    { Name: 'web', ID: 'w', Port: 80, Tags: ['a'], Check: { TTL: '10s', Status: 'passing' } },
    { name: 'db', meta: { a: 'b' }, weights: { Passing: 1, Warning: 0 }, checks: [{ ttl: '1h' }] },
  ],
  '/v1/agent/check/register': [{ ID: 'c', Name: 'c', TTL: '10s', ServiceID: '', Notes: 'n' }],
  '/v1/agent/check/update/{check}': [{ Status: 'warning', Output: 'so so' }],
  '/v1/catalog/register': [
    {
      Node: 'n1',
      Address: '10.0.0.1',
      NodeMeta: { a: 'b' },
      Service: { ID: 's', Service: 'web', Port: 1, TaggedAddresses: { lan: { Address: 'a' } } },
      Checks: [{ CheckID: 'c', Name: 'c', Status: 'passing', ServiceID: 's' }],
    },
    { Node: NODE, Address: '127.0.0.1', SkipNodeUpdate: true, Check: { Name: 'x' } },
  ],
  '/v1/catalog/deregister': [{ Node: 'n1', ServiceID: 's' }, { Node: 'n1' }],
  '/v1/session/create': [{ TTL: '10s', LockDelay: '1s', Behavior: 'delete', Checks: [] }, {}],
}

const parts = ['', 'web', 'a/b', 'n1', NODE, 'w', 'c', 'service:w', 'any', '%2f', '%ff', '..']
const queries = ['', '?index=1&wait=1s', '?stale&pretty', '?recurse', '?keys&separator=/', '?cas=0']
  .concat('?flags=9&acquire=x', '?enable=true&reason=a', '?passing&tag=a', '?raw', '?dc=dc2')
  .concat('?consistent', '?node-meta=a:b', '?hash=1&wait=10ms', '?token=t', '?format=text')
const headers = ['Host: x', 'Accept-Encoding: gzip', 'X-Consul-Token: t', 'Expect: 100-continue']
  .concat('Cache-Control: max-age=1', 'Connection: close', 'Transfer-Encoding: chunked')
  .concat('X-Consul-Namespace: a', 'Upgrade: h2c', 'Content-Type: text/plain', 'Accept: text/plain')

const operations = declaredPaths.flatMap(({ path, operations }) =>
  Object.keys(operations).map(method => ({ path, method })),
)

/** A request as any client would send it. */
function request(draw: Draw): string {
  const { path, method } = draw.pick(operations)
  const given = draw.pick(bodies[path] ?? [{ Name: 'x' }])
  const isChanged = draw.chance(60) && Object.keys(given).length > 0
  const json = JSON.stringify(given)
  const body = method === 'GET' ? '' : isChanged ? mutatedJson(draw, json) : json
  const url = path.replace(/\{.*$/, draw.pick(parts)) + draw.pick(queries)
  const lines = [`${method} ${url} HTTP/1.1`, `Content-Length: ${Buffer.byteLength(body)}`]
  if (draw.chance(40)) lines.push(draw.pick(headers))
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}

const tokens = [
  '\r\n',
  '\r\n\r\n',
  '\n',
  ' ',
  '\0',
  ' HTTP/1.0',
  ' HTTP/1.1',
  'GET ',
  'PRI * HTTP/2.0',
]
  .concat(
    'OPTIONS ',
    'HEAD ',
    '%',
    '?',
    '&',
    '0\r\n\r\n',
    '5\r\nhello\r\n',
    ': ',
    '/',
    '..',
    '{',
    '"',
  )
  .concat(...headers.map(line => `${line}\r\n`), 'Content-Length: 99999999999\r\n', '\x16\x03\x01')
const stock: Stock = stockOf([LAST, 'PUT /v1/kv/a HTTP/1.1\r\nContent-Length: 1\r\n\r\nv'], tokens)

/** The connections of one case: each has bytes in one to three pieces. */
type Burst = readonly (readonly Buffer[])[]

const make = (draw: Draw): Burst => Array.from({ length: BURST }, () => connection(draw))

function connection(draw: Draw): Buffer[] {
  const honest = Buffer.from(request(draw))
  const isDamaged = draw.chance(60)
  const bytes = isDamaged ? mutated(draw, { ...stock, inputs: [honest, ...stock.inputs] }) : honest
  const cut = draw.below(bytes.length + 1)
  return [bytes.subarray(0, cut), bytes.subarray(cut), Buffer.from(LAST)]
}

const show = (burst: Burst): string =>
  burst.map(pieces => JSON.stringify(Buffer.concat(pieces).toString('latin1'))).join('\n')

t.test('any bytes', async t => {
  const faults: string[] = []
  let served = await startFaceFor(t, faults)
  let bursts = 0
  const statuses = new Map<string, number>()
  const run = async (burst: Burst): Promise<void> => {
    const texts = await Promise.all(burst.map(pieces => exchange(served, pieces)))
    for (const text of texts) {
      for (const status of statusesOf(text)) statuses.set(status, (statuses.get(status) ?? 0) + 1)
    }
    const honest = await served.client.get('/v1/status/leader')
    if (honest.status !== 200) throw new Error(`an honest client got ${honest.status}`)
    if (faults.length > 0) throw new Error(faults.splice(0).join('; '))
    if (++bursts % BURSTS_A_FACE !== 0) return
    await served.stop()
    served = await startFaceFor(t, faults)
  }
  t.teardown(() => served.stop())
  const count = await untilBudget(
    `bursts of ${BURST} raw HTTP requests`,
    8_000,
    casesOf({ make, run, show }),
  )
  t.comment(JSON.stringify(Object.fromEntries([...statuses].sort())))
  t.ok(count > 0)
  t.ok((statuses.get('200') ?? 0) > 0)
})

/** A face that tells of its faults. */
function startFaceFor(t: Test, faults: string[]): Promise<Face> {
  const log: LiveLog = {
    ...silentLog,
    error: (message, fields) => void faults.push(`${message}: ${JSON.stringify(fields)}`),
  }
  // A test holds what it has to stop at its end, and with it all that was ever written.
  const unheld: Test = Object.create(t, { teardown: { value: () => {} } })
  return startFace(unheld, { log })
}

/** Sends the pieces and gives all that comes back until either side has had enough. */
function exchange({ host, port }: Face, pieces: readonly Buffer[]): Promise<string> {
  return new Promise(resolve => {
    const socket = connect({ host, port })
    const chunks: Buffer[] = []
    const patience = setTimeout(() => socket.destroy(), PATIENCE_MS)
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    // Reset by the other side: it has had enough.
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(patience)
      resolve(Buffer.concat(chunks).toString('latin1'))
    })
    for (const [turn, piece] of pieces.entries()) setTimeout(() => socket.write(piece), turn)
  })
}

/** The statuses of all answers. Throws for what is none, and for a fault of ours. */
function statusesOf(text: string): string[] {
  if (text === '') return ['none']
  if (!text.startsWith('HTTP/1.1 ')) throw new Error(`it answered ${text.slice(0, 40)}`)
  if (text.includes('internal error')) throw new Error('a fault of ours')
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status = '']) => status)
}
