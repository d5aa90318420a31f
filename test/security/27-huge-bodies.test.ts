/**
 * Class 27: bodies that are huge, of a length that is absent, false or absurd (CVE-2023-6337,
 * CVE-2025-11374, CVE-2025-11375). The program's memory must not follow them, and an honest client
 * must still be answered.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { limits } from '../../src/base/limits.ts'
import { askPort } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import { declaredPaths } from '../http/declared.ts'
import { startFace } from '../http/harness.ts'
import { connectRaw } from '../http/wire.ts'
import { propertyRuns } from '../run/budget.ts'
import { startMeasured } from '../soak/living.ts'

const MIB = 1_048_576

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

function open(t: Test, port: number): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port })
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  return new Promise((resolve, reject) => {
    socket.once('connect', () => resolve(socket))
    socket.once('error', reject)
  })
}

const HUGE = ['Content-Length: 1099511627776', 'Transfer-Encoding: chunked']
const PATHS = [
  '/v1/kv/a',
  '/v1/txn',
  '/v1/catalog/register',
  '/v1/agent/service/register',
  '/v1/session/create',
  '/v1/no/such',
]

/** Sends up to 64 MiB of a body until the connection is closed; gives the answer's status. */
async function sendHuge(
  t: Test,
  port: number,
  path: string,
  header: string,
  method = 'PUT',
): Promise<number> {
  const socket = await open(t, port)
  let answer = ''
  let isClosed = false
  socket.on('data', data => {
    answer += String(data)
  })
  const closed = new Promise<void>(resolve => {
    socket.once('close', () => {
      isClosed = true
      resolve()
    })
  })
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`)
  const piece = Buffer.alloc(MIB, 'x')
  const size = header.startsWith('Transfer') ? Buffer.from(`${MIB.toString(16)}\r\n`) : undefined
  for (let sent = 0; sent < 64 && !isClosed && answer === ''; sent++) {
    if (size !== undefined) socket.write(size)
    const took = new Promise<void>(resolve => socket.write(piece, () => resolve()))
    await Promise.race([took, closed])
    if (size !== undefined) socket.write('\r\n')
  }
  await until('an answer', () => answer !== '' || isClosed)
  socket.destroy()
  return Number(answer.slice(9, 12))
}

/** What may live that did not before, and what may be resident, garbage included. */
const LIVING_MIB = 2
const RESIDENT_MIB = 240

t.test('huge bodies cost no memory', async t => {
  const { daemon, livingBytes } = await startMeasured(t, { engine: 'memory' })
  const round = async (): Promise<void> => {
    for (const path of PATHS) {
      for (const header of HUGE) {
        const status = await sendHuge(t, daemon.httpPort, path, header)
        t.ok([413, 404, 405].includes(status), `${path} ${header}: ${status}`)
      }
    }
  }
  // The program's own first use of each part is not the flood's.
  for (let i = 0; i < 4; i++) await round()
  const beforeBytes = await livingBytes()
  for (let i = 0; i < 8; i++) await round()
  const grownMib = ((await livingBytes()) - beforeBytes) / MIB
  t.ok(grownMib < LIVING_MIB, `${grownMib.toFixed(2)} MiB more`)
  t.equal((await daemon.ask('GET', '/v1/status/leader')).status, 200)
})

/** Of the secrets; this server has none, and is sealed: nothing is known of who asks. */
const SECRETS_PATHS = ['sys/unseal', 'sys/init', 'plain/a', 'auth/userpass/login/ann', 'no/such']

t.test('nor do they on the listener of the secrets', async t => {
  const { daemon, livingBytes } = await startMeasured(t, { engine: 'memory' })
  const round = async (): Promise<void> => {
    for (const path of SECRETS_PATHS) {
      for (const header of HUGE) {
        const status = await sendHuge(t, daemon.secretsPort, `/v1/${path}`, header)
        t.equal(status, 413, `${path} ${header}`)
      }
    }
  }
  for (let i = 0; i < 2; i++) await round()
  const beforeBytes = await livingBytes()
  for (let i = 0; i < 4; i++) await round()
  const grownMib = ((await livingBytes()) - beforeBytes) / MIB
  t.ok(grownMib < LIVING_MIB, `${grownMib.toFixed(2)} MiB more`)
  const { status } = await askPort(daemon.secretsPort, 'GET', '/v1/sys/seal-status')
  t.equal(status, 200)
})

t.test('nor does what is sent on after the answer, which nobody loses by it', async t => {
  const { daemon, livingBytes } = await startMeasured(t, { engine: 'memory' })
  const CLIENTS = 10
  const EACH_MIB = 48
  const piece = Buffer.alloc(MIB, 'x')
  const sendOn = async (sizeMib: number): Promise<string> => {
    const raw = await connectRaw(t, { host: '127.0.0.1', port: daemon.httpPort })
    raw.socket.pause()
    raw.write(`PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: ${sizeMib * MIB}\r\n\r\n`)
    for (let sent = 0; sent < sizeMib && !raw.socket.destroyed; sent++) {
      if (!raw.socket.write(piece)) {
        await Promise.race([once(raw.socket, 'drain'), once(raw.socket, 'close')])
      }
    }
    raw.socket.resume()
    return await raw.closed()
  }
  const all = (sizeMib: number): Promise<string[]> =>
    Promise.all(Array.from({ length: CLIENTS }, () => sendOn(sizeMib)))
  await all(1)
  const beforeBytes = await livingBytes()
  const residentBeforeBytes = residentBytes(daemon.pid)
  for (const answer of await all(EACH_MIB)) t.match(answer, /^HTTP\/1\.1 413 /)
  const residentMib = (residentBytes(daemon.pid) - residentBeforeBytes) / MIB
  t.ok(residentMib < RESIDENT_MIB, `${residentMib.toFixed(1)} MiB of ${CLIENTS * EACH_MIB}`)
  const grownMib = ((await livingBytes()) - beforeBytes) / MIB
  t.ok(grownMib < LIVING_MIB, `${grownMib.toFixed(2)} MiB more`)
})

/** Every operation that changes something, with its open parts filled. */
const writes = declaredPaths.flatMap(({ path, operations }) =>
  Object.keys(operations)
    .filter(method => method !== 'GET')
    .map(method => ({ method, path: path.replaceAll(/\{\w+\}/g, 'a') })),
)

t.test('every endpoint that writes: an absurd length, a body without an end', async t => {
  const { daemon, livingBytes } = await startMeasured(t, { engine: 'memory' })
  const { httpPort } = daemon
  t.ok(writes.length > 40, `${writes.length} operations`)
  const round = async (): Promise<void> => {
    for (const { method, path } of writes) {
      for (const header of HUGE) {
        const status = await sendHuge(t, httpPort, path, header, method)
        // Archives are read as they come, and one of other bytes is refused at its beginning.
        const isArchive = path === '/v1/snapshot'
        t.ok(status === 413 || isArchive, `${method} ${path} ${header}: ${status}`)
        t.notOk(status >= 200 && status < 300, `${method} ${path}: nothing was done`)
      }
    }
  }
  await round()
  const beforeBytes = await livingBytes()
  await round()
  const grownMib = ((await livingBytes()) - beforeBytes) / MIB
  t.ok(grownMib < LIVING_MIB, `${grownMib.toFixed(2)} MiB more`)
  t.equal((await daemon.ask('GET', '/v1/status/leader')).status, 200, 'and it is still there')
})

t.test('every endpoint that writes: a length that is false, or stated twice', async t => {
  const { host, port, client } = await startFace(t)
  const falsehoods: Record<string, string> = {
    'shorter than it is': 'Content-Length: 2\r\n\r\n{"Name":"x"}',
    'longer than it is': 'Content-Length: 50\r\n\r\n{}',
    negative: 'Content-Length: -1\r\n\r\n{}',
    'no number': 'Content-Length: 0x2\r\n\r\n{}',
    'two lengths': 'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}x',
    'a length and chunks': 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'chunks of no number': 'Transfer-Encoding: chunked\r\n\r\nxyz\r\n{}\r\n0\r\n\r\n',
    'chunks of absurd size': 'Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\n{}',
    'an unknown encoding': 'Transfer-Encoding: gzip, chunked, x\r\n\r\n{}',
  }
  const paths = writes.filter(({ path }) => !/agent\/(leave|reload)|snapshot/.test(path))
  for (const [what, rest] of Object.entries(falsehoods)) {
    for (const { method, path } of paths) {
      const raw = await connectRaw(t, { host, port })
      raw.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\n${rest}`)
      raw.socket.end()
      const answers = [...(await raw.closed()).matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, n]) =>
        Number(n),
      )
      // Consul answers 500 to some that are whole, as what is said to be so short is.
      const alone = answers.includes(500) ? await client.send(method, path, '{"') : undefined
      const isAlike = what === 'shorter than it is' && alone?.status === 500
      t.ok(alone === undefined || isAlike, `${what}: ${method} ${path}: ${answers}`)
      t.ok(answers.length <= 2, `${what}: ${method} ${path}: ${answers}`)
      if (what !== 'shorter than it is') {
        t.ok(
          answers.every(status => status >= 400),
          `${what}: ${method} ${path}: ${answers}`,
        )
      }
    }
  }
  t.equal((await client.get('/v1/status/leader')).status, 200)
})

t.test('generated: any framing of any size about the bound', async t => {
  const face = await startFace(t)
  const bound = limits.kvValueSizeBytes
  const size = fc.oneof(
    fc.integer({ min: bound - 2, max: bound + 2 }),
    fc.integer({ min: 0, max: 3 }),
    fc.integer({ min: 0, max: 2 * bound }),
  )
  const framing = fc.record({
    size,
    chunk: fc.option(fc.integer({ min: 1_000, max: bound }), { nil: undefined }),
    piece: fc.integer({ min: 1_000, max: 200_000 }),
  })
  const property = fc.asyncProperty(framing, async ({ size: sizeBytes, chunk, piece }) => {
    const raw = await connectRaw(t, face)
    raw.write('PUT /v1/kv/sized HTTP/1.1\r\nHost: x\r\nConnection: close\r\n')
    const body = Buffer.alloc(sizeBytes, 'v')
    const parts: Buffer[] = []
    if (chunk === undefined) parts.push(Buffer.from(`Content-Length: ${sizeBytes}\r\n\r\n`), body)
    else {
      parts.push(Buffer.from('Transfer-Encoding: chunked\r\n\r\n'))
      for (let at = 0; at < sizeBytes; at += chunk) {
        const one = body.subarray(at, at + chunk)
        parts.push(Buffer.from(`${one.length.toString(16)}\r\n`), one, Buffer.from('\r\n'))
      }
      parts.push(Buffer.from('0\r\n\r\n'))
    }
    const bytes = Buffer.concat(parts)
    for (let at = 0; at < bytes.length; at += piece) raw.write(bytes.subarray(at, at + piece))
    const answer = await raw.closed()
    return answer.startsWith(`HTTP/1.1 ${sizeBytes > bound ? 413 : 200}`)
  })
  await fc.assert(property, { numRuns: propertyRuns() })
})
