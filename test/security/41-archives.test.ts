/**
 * Class 41: archives that lie about their sizes, or hold what must not leave (CVE-2026-39396,
 * CVE-2020-15106), by the way that they come: over HTTP. The store stays as it was, and memory in
 * proportion. What an archive may be stands in test/store/snapshot.test.ts, which flips its bytes.
 */
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { ROOT } from '../http/acl.ts'
import { type Face, startFace } from '../http/harness.ts'
import { propertyRuns } from '../run/budget.ts'
import { Canaries } from './canaries.ts'

const MIB = 1_048_576
const BLOCK_SIZE_BYTES = 512

async function start(t: Parameters<typeof startFace>[0]) {
  const face = await startFace(t, { acl: {} })
  const root = face.client.as(ROOT)
  for (let i = 0; i < 50; i++) await root.raw('PUT', `/v1/kv/k${i}`, `value ${i}`.repeat(20))
  const { bytes, status } = await root.raw('GET', '/v1/snapshot')
  t.equal(status, 200)
  return { face, root, tar: gunzipSync(bytes) }
}

/** Where the heads of a tar's files begin. */
function headsOf(tar: Buffer): number[] {
  const heads: number[] = []
  for (let at = 0; at + BLOCK_SIZE_BYTES <= tar.length && tar[at] !== 0; ) {
    heads.push(at)
    const sizeBytes = Number.parseInt(tar.toString('latin1', at + 124, at + 135), 8)
    at += BLOCK_SIZE_BYTES * (1 + Math.ceil(sizeBytes / BLOCK_SIZE_BYTES))
  }
  return heads
}

/** The tar with another size in a head, whose sum is right. */
function withSize(tar: Buffer, head: number, size: string): Buffer<ArrayBuffer> {
  const copy = Buffer.from(tar)
  copy.write(size, head + 124, 12, 'latin1')
  copy.write('        ', head + 148, 8, 'latin1')
  const sum = copy.subarray(head, head + BLOCK_SIZE_BYTES).reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, head + 148, 8, 'latin1')
  return copy
}

const octal = (size: number): string => `${size.toString(8).padStart(11, '0')}\u0000`

/** Sends an archive; where it is refused, what the store held it holds. */
async function holdAsItWas(face: Face, archive: Buffer): Promise<number> {
  const root = face.client.as(ROOT)
  const keys = async (): Promise<string> => (await root.raw('GET', '/v1/kv/?recurse')).text
  const before = { generation: face.store.status().generation, keys: await keys() }
  const { status } = await root.raw('PUT', '/v1/snapshot', archive)
  if (status === 200) return status
  // Other rows come and go by themselves: the agent's own, once it was restored.
  const { generation } = face.store.status()
  if (generation !== before.generation || (await keys()) !== before.keys) {
    throw new Error('refused, and yet something changed')
  }
  return status
}

t.test('attack: sizes that lie, in each head', async t => {
  const { face, root, tar } = await start(t)
  const heads = headsOf(tar)
  t.ok(heads.length >= 3)
  const before = process.memoryUsage().rss
  for (const head of heads) {
    for (const size of [
      ...[octal(0), octal(1), octal(limits.archiveSizeBytes), octal(8 ** 11 - 1)],
      // A size in base 256: 2^63, and one below zero.
      `\x80\x00\x00\x00${'\x80'.padEnd(8, '\x00')}`,
      '\xff'.repeat(12),
      ...['-0000000001\u0000', '99999999999\u0000', '\u0000'.repeat(12), ' '.repeat(12)],
    ]) {
      const status = await holdAsItWas(face, gzipSync(withSize(tar, head, size)))
      t.not(status, 200, `head at ${head}: ${JSON.stringify(size)}`)
    }
  }
  t.ok(process.memoryUsage().rss - before < 128 * MIB)
  t.equal((await root.raw('GET', '/v1/kv/k1?raw')).text, 'value 1'.repeat(20))
})

t.test('attack: zeroes without end, and gzip in gzip', async t => {
  const { face, tar } = await start(t)
  const before = process.memoryUsage().rss
  const zeroes = gzipSync(Buffer.alloc(64 * MIB))
  for (const archive of [
    zeroes,
    Buffer.concat([zeroes, zeroes, zeroes]),
    gzipSync(gzipSync(tar)),
    gzipSync(tar).subarray(0, -1),
    Buffer.concat([gzipSync(tar.subarray(0, 1_024)), zeroes]),
    Buffer.alloc(0),
  ]) {
    t.not(await holdAsItWas(face, archive), 200, `${archive.length} bytes`)
  }
  t.ok(process.memoryUsage().rss - before < 192 * MIB)
  t.equal(await holdAsItWas(face, gzipSync(tar)), 200, 'near miss: as it was made')
})

t.test('attack: what an archive holds: no token, no key', async t => {
  const planted = new Canaries()
  const { root } = await start(t)
  planted.plant('the first token', ROOT)
  // The key of the registry in tests; see test/http/acl.ts.
  planted.plant('the key', Buffer.alloc(32, 7).toString('latin1'))
  for (let i = 0; i < 10; i++) {
    await root.raw('PUT', '/v1/acl/token', { SecretID: planted.uuid(`token ${i}`) })
  }
  await root.raw('PUT', '/v1/kv/visible', planted.value('a value'))
  const { bytes } = await root.raw('GET', '/v1/snapshot')
  const tar = gunzipSync(bytes)
  t.strictSame(planted.foundIn(tar, ['secret']), [])
  t.ok(planted.count > 10)
  t.not((await root.as('').raw('GET', '/v1/snapshot')).status, 200)
})

t.test('attack: an archive of another key, which would shut everybody out', async t => {
  const acl = `acl { enabled = true default_policy = "deny"
    tokens { initial_management = "${ROOT}" } }`
  const words = [`-hcl=${acl}`]
  const [ours, foreign] = [await startDaemon(t, { words }), await startDaemon(t, { words })]
  const archiveOf = async ({ httpPort }: Daemon): Promise<Buffer> => {
    const url = `http://127.0.0.1:${httpPort}/v1/snapshot?token=${ROOT}`
    return Buffer.from(await (await fetch(url)).arrayBuffer())
  }
  const restore = async (body: Buffer): Promise<string> => {
    const url = `http://127.0.0.1:${ours.httpPort}/v1/snapshot?token=${ROOT}`
    const answer = await fetch(url, { method: 'PUT', body: new Uint8Array(body) })
    return `${answer.status} ${await answer.text()}`
  }
  t.match(await restore(await archiveOf(foreign)), /^500 .*sealed with another registry key/)
  t.equal((await ours.ask('GET', `/v1/acl/token/self?token=${ROOT}`)).status, 200, 'as it was')
  t.equal(await restore(await archiveOf(ours)), '200 ', 'near miss: our own')
  t.equal((await ours.ask('GET', `/v1/acl/token/self?token=${ROOT}`)).status, 200)
})

t.test('generated: any byte of any head, and what it says', async t => {
  const { face, tar } = await start(t)
  const heads = headsOf(tar)
  const change = fc.record({
    head: fc.constantFrom(...heads),
    at: fc.nat({ max: BLOCK_SIZE_BYTES - 1 }),
    byte: fc.nat({ max: 255 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async changes => {
      const copy = Buffer.from(tar)
      for (const { head, at, byte } of changes) copy[head + at] = byte
      let archive = copy
      for (const { head, byte } of changes) archive = withSize(archive, head, octal(byte * 37))
      await holdAsItWas(face, gzipSync(archive))
      await holdAsItWas(face, gzipSync(copy))
    }),
    { numRuns: propertyRuns() },
  )
})
