/** The face on its sockets, asked by a foreign client. */
import { execFile } from 'node:child_process'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import t from 'tap'
import { everybody } from '../../src/base/who.ts'
import { createDnsFace } from '../../src/dns/server.ts'
import { freePort } from '../clients/process.ts'
import { only } from '../registry/rules.ts'
import { absent, clientFile } from '../run/clients.ts'
import { parsed } from '../wire/dns/arbitraries.ts'
import { openExample } from './example.ts'
import {
  askTcp,
  askUdp,
  configWith,
  framed,
  optionsFor,
  queryOf,
  startFace,
  textOf,
} from './support.ts'

const registry = await openExample()
// As a server has it: over UDP a thread of its own answers, once somebody has asked.
const face = await startFace(registry, undefined, true)
const truncating = await startFace(registry, configWith({ enableTruncate: true }))
t.teardown(async () => {
  await Promise.all([face.close(), truncating.close()])
  await registry.store.close()
})
await registry.put(
  ...Array.from({ length: 40 }, (_, i) => ({
    node: 'one',
    service: { name: 'wide', id: `${i}`, port: 80, address: `10.2.0.${i}` },
  })),
)

const run = promisify(execFile)

/** What dig prints for a command line, its comments included. */
async function dig(line: string, port = face.port): Promise<string> {
  const words = ['@127.0.0.1', '-p', `${port}`, '+tries=1', '+time=5', ...line.split(' ')]
  const { stdout } = await run(clientFile('dig'), words)
  return stdout
}

/** The number of records in a section, as dig says. */
const countOf = (printed: string, section: string): number =>
  Number(new RegExp(`${section}: (\\d+)`).exec(printed)?.[1])

t.test('dig', { skip: absent('dig') }, async t => {
  t.test('over UDP and TCP, with EDNS and without', async t => {
    for (const how of ['+notcp', '+tcp', '+noedns', '+bufsize=4096', '+nocookie', '+dnssec']) {
      const printed = await dig(`${how} web.service.consul A`)
      t.match(printed, /status: NOERROR/, how)
      t.match(printed, /flags: qr aa rd;/, `${how}: ours, no recursion`)
      t.match(printed, /web\.service\.consul\.\s+0\s+IN\s+A\s+10\.0\.0\.1/, how)
      t.notMatch(printed, /;; Warning:|malformed|extra bytes/, how)
    }
  })

  t.test('SRV with its additionals', async t => {
    const printed = await dig('_web._tcp.service.consul SRV')
    t.match(printed, /SRV\s+1 1 8080 one\.node\.dc1\.consul\./)
    t.match(printed, /SRV\s+1 2 8081 0a010002\.addr\.dc1\.consul\./)
    t.match(printed, /0a010002\.addr\.dc1\.consul\.\s+0\s+IN\s+A\s+10\.1\.0\.2/)
    t.match(printed, /one\.node\.dc1\.consul\.\s+0\s+IN\s+TXT\s+"zone=a"/)
  })

  t.test('absent names and types', async t => {
    const absentName = await dig('absent.service.consul A')
    t.match(absentName, /status: NXDOMAIN/)
    t.match(absentName, /consul\.\s+0\s+IN\s+SOA\s+ns\.consul\. hostmaster\.consul\. \d+ 3600 600/)
    const noData = await dig('web.service.consul MX')
    t.match(noData, /status: NOERROR/)
    t.equal(countOf(noData, 'ANSWER'), 0)
    t.equal(countOf(noData, 'AUTHORITY'), 1)
    t.match(await dig('web.example A'), /status: REFUSED/)
    t.match(await dig('web.connect.consul A'), /status: NOTIMP/)
  })

  t.test('letters come back as they were sent', async t => {
    const printed = await dig('+qr wEb.SeRvIcE.cOnSuL A')
    t.match(printed, /^wEb\.SeRvIcE\.cOnSuL\.\s+0\s+IN\s+A/m)
  })

  t.test('sizes, and TC only where it is configured', async t => {
    t.equal(countOf(await dig('+noedns +ignore wide.service.consul A'), 'ANSWER'), 3)
    t.equal(countOf(await dig('+bufsize=4096 wide.service.consul A'), 'ANSWER'), 40)
    t.equal(countOf(await dig('+bufsize=600 wide.service.consul A'), 'ANSWER'), 34)
    t.equal(countOf(await dig('+tcp wide.service.consul A'), 'ANSWER'), 40)
    t.notMatch(await dig('+noedns +ignore wide.service.consul A'), /flags:[^;]* tc/)
    const cut = await dig('+noedns +ignore wide.service.consul A', truncating.port)
    t.match(cut, /flags:[^;]* tc/)
    const retried = await dig('+noedns wide.service.consul A', truncating.port)
    t.match(retried, /Truncated, retrying in TCP mode/)
    t.equal(countOf(retried, 'ANSWER'), 40)
  })

  t.test('the domain itself', async t => {
    t.match(await dig('consul SOA'), /ANSWER: 1/)
    const servers = await dig('consul NS')
    t.match(servers, /consul\.\s+0\s+IN\s+NS\s+one\.node\.dc1\.consul\./)
    t.match(servers, /one\.node\.dc1\.consul\.\s+0\s+IN\s+A\s+10\.0\.0\.1/)
    t.match(await dig('consul AXFR'), /Transfer failed|communications error/)
  })
})

t.test('what changed is in the next answer, over both transports', async t => {
  const query = queryOf('moving.service.consul A')
  for (let i = 1; i <= 20; i++) {
    const service = { name: 'moving', address: `10.3.0.${i}` }
    await registry.put({ node: 'two', service })
    t.strictSame(textOf(parsed(await askUdp(face.port, query))), [`A 10.3.0.${i}`])
    const [answer] = await askTcp(face.port, framed(query))
    t.strictSame(answer && textOf(answer), [`A 10.3.0.${i}`])
  }
})

t.test('a query that came by no socket is answered as one that did', async t => {
  const texts = (answer: Buffer | undefined): string[] => textOf(parsed(answer!)).toSorted()
  for (const name of ['web.service.consul A', 'web.service.consul SRV', 'none.service.consul A']) {
    const query = queryOf(name)
    const udp = await face.ask(query, 'udp', '127.0.0.1')
    t.strictSame(texts(udp), texts(await askUdp(face.port, query)), name)
    const [answer] = await askTcp(face.port, framed(query))
    t.strictSame(texts(await face.ask(query, 'tcp', '127.0.0.1')), textOf(answer!).toSorted())
  }
  t.equal(await face.ask(Buffer.alloc(3), 'udp', '127.0.0.1'), undefined)
  const query = queryOf('web.service.consul A')
  const blind = await face.ask(query, 'tcp', '127.0.0.1', only())
  const addresses = (answer: Buffer | undefined): string[] =>
    texts(answer).filter(text => text.startsWith('A '))
  t.strictSame(addresses(blind), [], 'of what he may not see')
  t.equal(addresses(await face.ask(query, 'tcp', '127.0.0.1', everybody)).length, 2)
})

t.test('nothing that comes by UDP harms it', async t => {
  const socket = dgram.createSocket('udp4')
  for (let size = 0; size < 2_000; size += 7) {
    socket.send(Buffer.alloc(size, size & 255), face.port, '127.0.0.1')
  }
  const answer = parsed(await askUdp(face.port, queryOf('web.service.consul A')))
  t.equal(answer.answers.length, 2)
  socket.close()
})

t.test('several addresses', async t => {
  const many = createDnsFace(optionsFor(registry))
  const first = await many.listen('127.0.0.1', 0)
  const second = await many.listen('127.0.0.2', 0)
  t.equal(second.host, '127.0.0.2')
  t.not(parsed(await askUdp(first.port, queryOf('web.service.consul A'))).answers.length, 0)
  await many.close()
  const again = await many.listen('127.0.0.1', first.port)
  t.equal(again.port, first.port, 'all of it was let go')
  await many.close()
})

t.test('a busy port is named, whichever transport has it; nothing is left behind', async t => {
  const other = createDnsFace({ ...optionsFor(registry), hasThread: true })
  await t.rejects(other.listen('127.0.0.1', face.port), { code: 'EADDRINUSE', port: face.port })
  // Not any free one for UDP: somebody's connection may hold that for TCP.
  const port = await freePort()
  const udp = dgram.createSocket('udp4')
  udp.bind(port, '127.0.0.1')
  await once(udp, 'listening')
  await t.rejects(other.listen('127.0.0.1', port), { code: 'EADDRINUSE', port, syscall: 'bind' })
  const tcp = createServer().listen(port, '127.0.0.1')
  await once(tcp, 'listening')
  tcp.close()
  udp.close()
})
