/**
 * Paths, byte by byte: the open part is refused or means what was escaped, and the router, the
 * clean-up and the handler agree on which path it is.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { Refusal } from '../../src/base/errors.ts'
import { silentLog } from '../../src/base/log.ts'
import { Metrics } from '../../src/base/metrics.ts'
import { Timeouts } from '../../src/base/timeouts.ts'
import { openAuthority } from '../../src/base/who.ts'
import { Admission, NO_RATES } from '../../src/http/admission.ts'
import {
  acting,
  anonymous,
  definePath,
  json,
  type PathDeclaration,
} from '../../src/http/declare.ts'
import { cleanPath, isUnclean, readOpenPart } from '../../src/http/path.ts'
import { createHttpFace } from '../../src/http/server.ts'
import { anything } from '../../src/http/shape.ts'
import { Asker } from '../../src/store/ask.ts'
import { openMemory } from '../http/engines.ts'
import { boundsOfTests } from '../http/harness.ts'
import { untilBudget } from '../run/budget.ts'
import { casesOf } from './cases.ts'
import { mutated, type Stock } from './mutate.ts'

const toBytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const stock: Stock = {
  inputs: [
    ...['/v1/kv/a/b', '/v1/kv/', '/v1/kv/a%2Fb%20c', '/v1/kv/%C3%A9+x', '/v1/fixed', '/'],
    ...['/v1/kv/a%252f..', '/v1/kv//a', '/v1/kv/../fixed', '/v1/kv/./a/', '/v1/kv/a;b=c:d@e'],
  ].map(toBytes),
  pieces: ['%', '%2f', '%2F', '%2e', '..', '.', '/', '//', '%00', '%zz', '%25', '%ff', '%6b', '\\']
    .concat('/v1/kv/', '/v1/fixed', '*', ':key', '{key}', '~', '\xff', '%c3', '#', ';', '@')
    .map(toBytes),
}

t.test('what a path says', async t => {
  const count = await untilBudget(
    'URL paths',
    1_500_000,
    casesOf({
      make: draw => mutated(draw, stock).toString('latin1'),
      run: holdPath,
      show: JSON.stringify,
    }),
  )
  t.ok(count > 0)
})

function holdPath(path: string): void {
  const part = readOpenPart(path, '')
  const wanted = unescaped(path)
  if (part instanceof Refusal !== (wanted === undefined)) throw new Error('refused, or not')
  if (!(part instanceof Refusal) && part.bytes !== wanted) throw new Error(`read as ${part.bytes}`)
  const clean = cleanPath(path)
  if (isUnclean(clean) || cleanPath(clean) !== clean) throw new Error(`${clean} is not clean`)
  const stays = path.startsWith('/') && !isUnclean(path)
  if (stays && clean !== path) throw new Error(`${clean}, though it was clean`)
}

/** The bytes that a path stands for: each escaped once; undefined for a bad or unprintable one. */
function unescaped(path: string): string | undefined {
  const bad = /%(?![0-9a-f]{2})/i.test(path)
  const bytes = path.replace(/%(..)/g, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  const isPrintable = [...bytes].every(byte => byte >= ' ' && byte !== '\x7f')
  return bad || !isPrintable ? undefined : bytes
}

t.test('which path it is', async t => {
  const { port, close } = await startEcho()
  const socket = connect({ port, host: '127.0.0.1' })
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  const make = casesOf({
    make: draw =>
      mutated(draw, stock)
        .toString('latin1')
        .replaceAll(/[^!-~]|[?#]/g, 'x'),
    run: path => holdRoute(socket, path.startsWith('/') ? path : `/${path}`),
    show: JSON.stringify,
  })
  const count = await untilBudget('URL paths through the router', 200_000, make)
  t.ok(count > 0)
  socket.destroy()
  await close()
})

/** Either answered by the path that the unescaped bytes say, or sent on, or refused. */
async function holdRoute(socket: Socket, path: string): Promise<void> {
  const { status, location, body } = await ask(socket, path)
  if (status === 307) {
    const clean = cleanPath(path).replaceAll('\\', '%5C')
    if (location !== clean) throw new Error(`sent on to ${location}`)
    return
  }
  if (isUnclean(path)) throw new Error(`not clean, and answered ${status}`)
  if (status === 400 || status === 404) return
  if (status !== 200) throw new Error(`answered ${status}`)
  const isOurs = path === '/' || unescaped(JSON.parse(body)) === unescaped(path)
  if (!isOurs) throw new Error(`taken for ${body}`)
}

interface Answer {
  readonly status: number
  readonly location: string | undefined
  readonly body: string
}

/** One request on a connection that is kept. */
function ask(socket: Socket, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    let text = ''
    const read = (chunk: Buffer): void => {
      text += chunk.toString('latin1')
      const [head = '', body] = text.split('\r\n\r\n')
      const size = Number(/^content-length: (\d+)/im.exec(head)?.[1])
      if (body === undefined || body.length < size) return
      socket.off('data', read)
      socket.off('close', reject)
      const location = /^location: (.*)$/im.exec(head)?.[1]
      resolve({ status: Number(head.slice(9, 12)), location, body })
    }
    socket.on('data', read)
    socket.once('close', reject)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`)
  })
}

/** A face whose paths say what they were given. */
async function startEcho(): Promise<{ port: number; close(): Promise<void> }> {
  const store = await openMemory()
  const face = createHttpFace({
    asker: new Asker(store, new Timeouts(systemClock)),
    random: systemRandom,
    clock: systemClock,
    metrics: new Metrics(systemClock),
    log: silentLog,
    authority: openAuthority,
    datacenter: 'dc1',
    pretty: false,
    queryWaitDefaultMs: 1_000,
    queryWaitMaxMs: 1_000,
    usesCache: true,
    discoveryMaxStaleMs: 0,
    responseHeaders: {},
    paths: [echo('/v1/kv/{key}'), echo('/v1/fixed')],
    takesUnprintable: false,
    admission: new Admission({
      clock: systemClock,
      log: silentLog,
      metrics: new Metrics(systemClock),
      blockEndpoints: [],
      allowWriteFrom: [],
      rates: NO_RATES,
    }),
    ...boundsOfTests,
  })
  const { port } = await face.listen('127.0.0.1', 0)
  const close = async (): Promise<void> => {
    await face.close()
    await store.close()
  }
  return { port, close }
}

const escaped = (bytes: string): string =>
  bytes.replaceAll(/[^!-$&-~]/g, byte => `%${byte.charCodeAt(0).toString(16).padStart(2, '0')}`)

function echo(path: string): PathDeclaration {
  const GET = acting({
    summary: 'What it was given.',
    query: {},
    body: undefined,
    answers: { 200: { json: anything, help: 'path and bytes' } },
    access: anonymous,
    run: ({ bytes }) => json(path.replace('{key}', '') + escaped(bytes)),
  })
  return definePath({ where: 'servers', path, operations: { GET } })
}
