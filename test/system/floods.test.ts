/**
 * Floods against the program as it is started: huge bodies, and connections that say nothing. Its
 * memory must not follow them, and an honest client must still be answered.
 */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { startDaemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'

const MIB = 1_048_576

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
}

function open(t: Test, port: number, localAddress = '127.0.0.1'): Promise<Socket> {
  const socket = connect({ host: '127.0.0.1', port, localAddress })
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
async function sendHuge(t: Test, port: number, path: string, header: string): Promise<number> {
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
  socket.write(`PUT ${path} HTTP/1.1\r\nHost: x\r\n${header}\r\n\r\n`)
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

t.test('huge bodies cost no memory', async t => {
  const daemon = await startDaemon(t, { engine: 'memory' })
  const round = async (): Promise<void> => {
    for (const path of PATHS) {
      for (const header of HUGE) {
        const status = await sendHuge(t, daemon.httpPort, path, header)
        // The connection may be reset before the answer was read; another status is a fault.
        t.ok([413, 404, 405, 0].includes(status), `${path} ${header}: ${status}`)
      }
    }
  }
  // The program's own first use of each part is not the flood's.
  for (let i = 0; i < 4; i++) await round()
  const beforeBytes = residentBytes(daemon.pid)
  for (let i = 0; i < 8; i++) await round()
  const grownMib = (): number => (residentBytes(daemon.pid) - beforeBytes) / MIB
  // Pages that were freed go back some seconds later.
  await until('the rest is given back', () => grownMib() < 8).catch(() => {})
  t.ok(grownMib() < 8, `${grownMib().toFixed(1)} MiB more`)
  t.equal((await daemon.ask('GET', '/v1/status/leader')).status, 200)
})

t.test('two thousand connections that say nothing', async t => {
  const words = ['-hcl=http_config { read_header_timeout = "2s" }']
  const daemon = await startDaemon(t, { engine: 'memory', words })
  const senders = Array.from({ length: 10 }, (_, at) => `127.0.1.${at + 1}`)
  const sockets: Socket[] = []
  for (const sender of senders) {
    for (let i = 0; i < 200; i++) sockets.push(await open(t, daemon.httpPort, sender))
  }
  for (const socket of sockets) socket.resume()
  for (const socket of sockets.slice(0, 1_000)) socket.write('PUT /v1/kv/a HTTP/1.1\r\nX: ')
  const refused = await open(t, daemon.httpPort, senders[0])
  let answer = ''
  refused.on('data', data => {
    answer += String(data)
  })
  await until('one more of the same address is refused', () => answer.startsWith('HTTP/1.1 429'))
  t.equal((await daemon.ask('PUT', '/v1/kv/honest', 'x')).text, 'true')
  await until('they are cut', () => sockets.every(socket => socket.destroyed))
  t.equal(await daemon.stop(), 0)
})
