/**
 * What every audit device must do, whatever it is made of: take shipments in order, fail rather
 * than lose, begin anew after a fault, and mind its deadline.
 */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { deviceKinds } from '../../src/audit/device/mod.ts'
import type { Device, DeviceValues } from '../../src/audit/device.ts'
import { devicePorts, never, shipment } from '../audit/support.ts'
import { until } from '../clients/process.ts'
import { freshFolder } from '../fake/folder.ts'

/** A device with the world round it. */
interface Subject {
  readonly values: DeviceValues
  readonly folders?: readonly string[]
  /** Numbers of the records that arrived, in order. */
  arrived(): readonly number[]
  /** Takes the world away, and brings it back. */
  breakIt(): Promise<void>
  mendIt(): Promise<void>
  /** From now on nothing is taken and nothing is refused; undefined where that cannot be. */
  stall?(): void
}

const numbersIn = (text: string): number[] =>
  [...text.matchAll(/"seq":(\d+),/g)].map(([, digits]) => Number(digits))

async function tcpSubject(t: Test, values: (place: string) => DeviceValues): Promise<Subject> {
  let text = ''
  let isStalled = false
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    if (isStalled) socket.pause()
    else {
      socket.on('data', data => {
        text += data.toString('utf8')
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const breakIt = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise(resolve => server.close(resolve))
  }
  t.teardown(breakIt)
  return {
    values: values(`127.0.0.1:${port}`),
    arrived: () => numbersIn(text),
    breakIt,
    async mendIt() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    stall() {
      isStalled = true
      for (const socket of sockets) socket.pause()
    },
  }
}

async function httpSubject(t: Test): Promise<Subject> {
  let text = ''
  let answer: 'taken' | 'refused' | 'never' = 'taken'
  const server = createHttpServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    if (answer === 'never') return
    if (answer === 'taken') text += Buffer.concat(chunks).toString('utf8')
    response.writeHead(answer === 'taken' ? 200 : 503).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return {
    values: { uri: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` },
    arrived: () => numbersIn(text),
    async breakIt() {
      answer = 'refused'
    },
    async mendIt() {
      answer = 'taken'
    },
    stall() {
      answer = 'never'
    },
  }
}

function fileSubject(t: Test): Subject {
  const folder = freshFolder(t)
  const path = join(folder, 'audit.log')
  return {
    values: { path },
    folders: [folder],
    arrived: () => numbersIn(existsSync(path) ? readFileSync(path, 'utf8') : ''),
    // Somebody else writes to it.
    async breakIt() {
      writeFileSync(path, 'something else')
    },
    async mendIt() {
      writeFileSync(path, '')
    },
  }
}

const subjects: Readonly<Record<string, (t: Test) => Promise<Subject> | Subject>> = {
  file: fileSubject,
  http: httpSubject,
  'socket over tcp': t => tcpSubject(t, address => ({ address, socket_type: 'tcp' })),
  'syslog over tcp': t => tcpSubject(t, address => ({ address, socket_type: 'tcp' })),
}

function open(t: Test, name: string, { values, folders = [] }: Subject): Device {
  const kind = deviceKinds.find(({ type }) => type === name.split(' ', 1)[0])!
  t.equal(kind.problemOf(values), undefined)
  const device = kind.open(values, { ...devicePorts, folders })
  t.teardown(() => device.close())
  return device
}

const last = ({ records }: ReturnType<typeof shipment>): number => records.at(-1)!.sequence

for (const [name, make] of Object.entries(subjects)) {
  t.test(`${name}: shipments arrive in order, and whole`, async t => {
    const subject = await make(t)
    const device = open(t, name, subject)
    const first = shipment(100)
    await device.write(first, never())
    const second = shipment(50, first.records.at(-1))
    await device.write(second, never())
    await device.settle?.()
    await until('all', () => subject.arrived().length === last(second))
    t.same(
      subject.arrived(),
      Array.from({ length: last(second) }, (_, i) => i + 1),
    )
  })

  t.test(`${name}: what cannot be taken is an error, and it begins anew`, async t => {
    const subject = await make(t)
    const device = open(t, name, subject)
    await device.write(shipment(1), never())
    await until('it arrived', () => subject.arrived().length === 1)
    await subject.breakIt()
    await device.close()
    await t.rejects(device.write(shipment(1), never()))
    await t.rejects(device.write(shipment(1), never()), 'again and again')
    await subject.mendIt()
    await device.close()
    const before = subject.arrived().length
    await device.write(shipment(3), never())
    await until('all', () => subject.arrived().length === before + 3)
    t.pass('it goes on')
  })

  t.test(`${name}: a signal that has ended ends the write`, async t => {
    const subject = await make(t)
    const device = open(t, name, subject)
    const ended = AbortSignal.abort(new Error('late'))
    await t.rejects(device.write(shipment(1), ended), /late|abort/i)
    t.same(subject.arrived(), [])
  })

  t.test(`${name}: one that stalls is left at the deadline`, async t => {
    const subject = await make(t)
    if (subject.stall === undefined) return
    const device = open(t, name, subject)
    subject.stall()
    const deadline = new AbortController()
    setTimeout(() => deadline.abort(new Error('late')), 100)
    const writing = (async () => {
      for (;;) await device.write(shipment(2_000), deadline.signal)
    })()
    await t.rejects(writing, /late/)
  })
}

t.test('every kind is here, or has a test of its own', async t => {
  const here = new Set(Object.keys(subjects).map(name => name.split(' ', 1)[0]))
  t.same(
    deviceKinds.map(({ type }) => type).filter(type => !here.has(type)),
    [],
  )
})
