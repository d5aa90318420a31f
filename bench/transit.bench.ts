/**
 * Encryption as a service: one item a request and a hundred, with 32 connections.
 *
 * Beside ours stands what a request costs at least: bare fastify that parses the same body and
 * gives the same answer, and node:crypto's arithmetic after it. And OpenBao, of its binary where
 * BAO_BIN names one and else as it was recorded.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { recordedBao } from './peers.ts'
import type { Primitive } from './support/bare-primitives.ts'
import type { Child } from './support/child.ts'
import { bareOf, must } from './support/client.ts'
import { bothSettings, type Cores, pinSelf } from './support/cores.ts'
import { bothOf, primitiveRate, startPrimitives } from './support/primitives.ts'
import { inTurn, type Series } from './support/rounds.ts'
import { printRow, rate, rateRow, say } from './support/row.ts'
import { type Opened, postTo, startOurs, startPeerOf, tokenFor, until } from './support/secrets.ts'
import { startBare } from './support/servers.ts'
import { connections, type Load, perSecond } from './support/wrk.ts'

const PLAINTEXT = randomBytes(256).toString('base64')
const BATCH = 100

const SINGLE_TIMES = 2.5
const SINGLE_SHARE = 0.7
const BATCH_TIMES = 1.2
const BATCH_SHARE = 0.6

/** A server with its keys, and what is sent to it. */
interface Ready {
  readonly port: number
  readonly headers: Readonly<Record<string, string>>
  readonly ciphertext: string
}

async function fill(on: Opened): Promise<Ready> {
  const post = postTo(on)
  await post('sys/mounts/transit', { type: 'transit' })
  await until(() => post('transit/keys/aes'))
  await post('transit/keys/ed', { type: 'ed25519' })
  await post('transit/keys/ec', { type: 'ecdsa-p256' })
  const { data } = await post('transit/encrypt/aes', { plaintext: PLAINTEXT })
  const headers = await tokenFor(on, ['transit/*'])
  return { port: on.port, headers, ciphertext: data.ciphertext }
}

interface Figure {
  readonly name: string
  readonly path: string
  readonly body: (on: Ready) => unknown
  readonly primitive: Primitive
  /** OpenBao's requests a second, where they were ever recorded. */
  readonly recorded?: number
}

const singles: readonly Figure[] = [
  {
    name: 'encrypt 256 B',
    path: 'encrypt/aes',
    body: () => ({ plaintext: PLAINTEXT }),
    primitive: 'encrypt',
    recorded: recordedBao.encrypt,
  },
  {
    name: 'decrypt 256 B',
    path: 'decrypt/aes',
    body: ({ ciphertext }) => ({ ciphertext }),
    primitive: 'decrypt',
  },
  {
    name: 'hmac 256 B',
    path: 'hmac/aes',
    body: () => ({ input: PLAINTEXT }),
    primitive: 'hmac',
  },
  {
    name: 'sign 256 B, Ed25519',
    path: 'sign/ed',
    body: () => ({ input: PLAINTEXT }),
    primitive: 'ed25519',
  },
  {
    name: 'sign 256 B, P-256',
    path: 'sign/ec',
    body: () => ({ input: PLAINTEXT }),
    primitive: 'p256',
  },
]

const batches: readonly Figure[] = [
  {
    name: `encrypt ${BATCH} items of 256 B a request`,
    path: 'encrypt/aes',
    body: () => ({ batch_input: Array(BATCH).fill({ plaintext: PLAINTEXT }) }),
    primitive: 'encrypt',
    recorded: recordedBao.encryptItems / BATCH,
  },
  {
    name: `decrypt ${BATCH} items of 256 B a request`,
    path: 'decrypt/aes',
    body: ({ ciphertext }) => ({ batch_input: Array(BATCH).fill({ ciphertext }) }),
    primitive: 'decrypt',
  },
]

const loadOf = (on: Ready, { path, body }: Figure): Load => ({
  ...{ port: on.port, headers: on.headers },
  requests: {
    count: 1,
    lua: `return wrk.format("PUT", "/v1/transit/${path}", nil, [[${JSON.stringify(body(on))}]])`,
    again: true,
  },
})

const sample = (on: Ready, { path, body }: Figure) =>
  must(on.port, 'PUT', `/v1/transit/${path}`, JSON.stringify(body(on)), on.headers)

interface Sides {
  readonly ours: Ready
  readonly bao: Ready | undefined
  readonly primitives: Child
}

async function compareSingles(cores: Cores, { ours, bao, primitives }: Sides): Promise<void> {
  for (const figure of singles) {
    const load = loadOf(ours, figure)
    const bare = await startBare(cores.server, 'post', bareOf(await sample(ours, figure)))
    const rates = await inTurn({
      ours: perSecond(cores, load),
      bare: perSecond(cores, { ...load, port: bare.port }),
      arithmetic: primitiveRate(primitives, figure.primitive),
      bao: peerOf(cores, bao, figure),
    })
    const theirs = seen(rates.bao)
    await bare.stop()
    const note = `bare fastify ${rate(rates.bare.max)}, arithmetic ${rate(rates.arithmetic.max)}`
    print(cores, figure, {
      ours: rates.ours,
      limit: bothOf(rates.bare, rates.arithmetic),
      what: 'bare fastify, same body, then the arithmetic',
      ...{ share: SINGLE_SHARE, times: SINGLE_TIMES, theirs, note },
    })
  }
}

/** The generator has one thread, so it leaves one core of two: the arithmetic gets one. */
async function compareBatches(cores: Cores, { ours, bao, primitives }: Sides): Promise<void> {
  for (const figure of batches) {
    const answer = JSON.parse((await sample(ours, figure)).body.toString())
    assert.equal(answer.data.batch_results.length, BATCH)
    const rates = await inTurn({
      ours: perSecond(cores, loadOf(ours, figure)),
      arithmetic: primitiveRate(primitives, figure.primitive),
      bao: peerOf(cores, bao, figure),
    })
    const theirs = seen(rates.bao)
    print(cores, figure, {
      ours: itemsOf(rates.ours),
      limit: rates.arithmetic,
      what: 'raw AES-GCM on one core',
      ...{ share: BATCH_SHARE, times: BATCH_TIMES, theirs: theirs && itemsOf(theirs), note: '' },
      items: BATCH,
    })
  }
}

/** OpenBao's side; nothing where it is not there. */
const peerOf =
  (cores: Cores, bao: Ready | undefined, figure: Figure) =>
  async (round: number): Promise<number> =>
    bao === undefined ? 0 : perSecond(cores, loadOf(bao, figure))(round)

const seen = (rates: Series): Series | undefined => (rates.max > 0 ? rates : undefined)

const itemsOf = ({ all, min, max, median }: Series): Series => ({
  all: all.map(each => each * BATCH),
  ...{ min: min * BATCH, max: max * BATCH, median: median * BATCH },
})

interface Given {
  readonly ours: Series
  readonly limit: Series
  readonly what: string
  readonly share: number
  readonly times: number
  readonly theirs: Series | undefined
  readonly note: string
  readonly items?: number
}

function print(cores: Cores, { name, recorded }: Figure, given: Given): void {
  const { ours, limit, what, share, theirs, note, items = 1 } = given
  const base = theirs?.max ?? (recorded === undefined ? undefined : recorded * items)
  const times = base === undefined ? undefined : ours.max / base
  const from = theirs === undefined ? 'recorded, OpenBao 2.5 on both cores' : 'OpenBao, this run'
  const peer =
    times === undefined || base === undefined
      ? `never recorded; goal ${given.times} times OpenBao`
      : `${times.toFixed(1)} times ${rate(base)} (${from}); goal ${given.times}`
  const figure = `${name}, ${connections} connections (${cores.name})`
  const row = rateRow(figure, { ours, bare: limit }, { what, goal: share }, { peer, note })
  printRow({ ...row, met: row.met && (times ?? given.times) >= given.times })
  say(`${figure}: ${row.ours}, ${row.limit}; ${peer}; ${note}`)
}

for (const cores of bothSettings) {
  pinSelf(cores)
  const ours = await startOurs(cores.server, fill)
  const bao = await startPeerOf(cores.server, fill)
  const primitives = await startPrimitives(cores.server)
  await compareSingles(cores, { ours, bao, primitives })
  await compareBatches(cores, { ours, bao, primitives })
  await primitives.stop()
  await ours.server.stop()
  await bao?.server.stop()
}
