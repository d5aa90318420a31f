/**
 * The syslog device: through `logger`, whose double notes what it is given, and over the network.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { syslogDevice } from '../../../src/audit/device/syslog.ts'
import { openSyslogPipe } from '../../../src/base/io/syslog.ts'
import { until } from '../../clients/process.ts'
import { freshFolder } from '../../fake/folder.ts'
import { devicePorts, never, shipment } from '../support.ts'

const AUTH_NOTICE = 4 * 8 + 5

t.test('udp: a message of RFC 5424 for each record', async t => {
  const receiver = createSocket('udp4')
  const got: string[] = []
  receiver.on('message', message => void got.push(message.toString('utf8')))
  receiver.bind(0, '127.0.0.1')
  await once(receiver, 'listening')
  t.teardown(() => receiver.close())
  const device = syslogDevice.open({ address: `localhost:${receiver.address().port}` }, devicePorts)
  const { lines } = shipment(2)
  await device.write({ records: [], lines }, never())
  await until('both', () => got.length === 2)
  const TIME = '\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z'
  t.match(
    got[0],
    new RegExp(`^<${AUTH_NOTICE}>1 ${TIME} - gatehouse - audit - \\{"v":1,"seq":1,.*\\}$`),
  )
  await device.close()
})

t.test('tcp: each message behind its length', async t => {
  let text = ''
  const server = createServer(socket =>
    socket.on('data', data => {
      text += data.toString('utf8')
    }),
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const values = {
    address: `127.0.0.1:${port}`,
    socket_type: 'tcp',
    tag: 'own',
    facility: 'LOCAL0',
  }
  const device = syslogDevice.open(values, devicePorts)
  const { lines } = shipment(2)
  await device.write({ records: [], lines }, never())
  await until('both', () => text.includes('"seq":2') && text.endsWith('}'))
  let rest = text
  for (let i = 0; i < 2; i++) {
    const [head = '', digits = ''] = /^(\d+) /.exec(rest) ?? []
    const message = rest.slice(head.length, head.length + Number(digits))
    t.match(message, new RegExp(`^<133>1 .* - own - audit - \\{"v":1,"seq":${i + 1},.*\\}$`))
    rest = rest.slice(head.length + Number(digits))
  }
  t.equal(rest, '')
  await device.close()
  server.close()
})

t.test('the program of this machine is given lines, and its end is an error', async t => {
  const folder = freshFolder(t)
  const got = join(folder, 'got')
  const script = (body: string): void => {
    writeFileSync(join(folder, 'logger'), `#!/bin/sh\n${body}\n`)
    chmodSync(join(folder, 'logger'), 0o700)
  }
  const options = {
    facility: 'AUTH',
    tag: 'gatehouse',
    messageSizeBytes: 65_536,
    path: `${folder}:${process.env.PATH}`,
  }
  script(`echo "$@" > ${got}.words\nexec cat >> ${got}`)
  const pipe = openSyslogPipe(options)
  await pipe.write(Buffer.from('one\ntwo\n'), never())
  const textOf = (file: string) => (existsSync(file) ? readFileSync(file, 'utf8') : '')
  await until('both lines', () => textOf(got) === 'one\ntwo\n')
  t.equal(
    textOf(`${got}.words`).trim(),
    '--tag gatehouse --priority auth.notice --size 65536 --socket-errors=on',
  )
  pipe.close()
  script('exit 1')
  const ending = openSyslogPipe(options)
  await t.rejects(
    (async () => {
      for (;;) await ending.write(Buffer.from('x\n'), never())
    })(),
    /logger ended|EPIPE/,
  )
  script('exec sleep 60')
  const hanging = openSyslogPipe(options)
  const deadline = new AbortController()
  setTimeout(() => deadline.abort(new Error('late')), 50)
  await t.rejects(
    (async () => {
      for (;;) await hanging.write(Buffer.alloc(65_536), deadline.signal)
    })(),
    /late/,
  )
  hanging.close()
  t.throws(() => openSyslogPipe({ ...options, path: '' }), /audit device needs the program logger/)
})

t.test('its settings', async t => {
  const problem = (values: Record<string, string>) => syslogDevice.problemOf(values)
  t.equal(problem({}), undefined)
  t.equal(problem({ facility: 'local7', tag: 'x', address: 'a:514' }), undefined)
  t.match(problem({ facility: 'none' }), /must be a facility/)
  t.match(problem({ tag: 'a b' }), /printable/)
  t.match(problem({ address: 'a' }), /host:port/)
})
