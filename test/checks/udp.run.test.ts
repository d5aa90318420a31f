import { createSocket } from 'node:dgram'
import t from 'tap'
import { runUdp } from '../../src/checks/udp.run.ts'
import { closedPort, knowing, once, until } from './support.ts'
import { udpTarget } from './targets.ts'

t.test('answers, refusals, silence', async t => {
  const udp = `127.0.0.1:${await udpTarget(t, true)}`
  t.same(await once(runUdp, { udp }), { status: 'passing', output: `UDP connect ${udp}: Success` })
  const closed = `127.0.0.1:${await closedPort()}`
  const refused = await once(runUdp, { udp: closed })
  t.equal(refused.status, 'critical')
  const words = `->${closed}: read: connection refused`
  t.match(refused.output, /^read udp 127\.0\.0\.1:\d+->/)
  t.ok(refused.output.endsWith(words), refused.output)
  const silent = `127.0.0.1:${await udpTarget(t, false)}`
  const quiet = await once(runUdp, { udp: silent }, { meanwhile: run => run.end('timeout') })
  t.same(quiet, { status: 'passing', output: `UDP connect ${silent}: Success` })
})

t.test('names, IPv6, and texts that are no target', async t => {
  const resolver = knowing({ 'web.example': ['127.0.0.1'] })
  const named = `web.example:${await udpTarget(t, true)}`
  t.match(await once(runUdp, { udp: named }, { resolver }), { status: 'passing' })
  t.match(await once(runUdp, { udp: 'nowhere.example:1' }), {
    status: 'critical',
    output: 'dial udp: lookup nowhere.example: no such host',
  })
  t.match(await once(runUdp, { udp: 'web' }), {
    status: 'critical',
    output: 'dial udp: address web: missing port in address',
  })
  t.match(await once(runUdp, { udp: '127.0.0.1:0' }), {
    status: 'critical',
    output: 'dial udp: address 127.0.0.1:0: invalid port',
  })
  const six = createSocket('udp6')
  let asked = 0
  six.on('message', (message, { port, address }) => {
    asked++
    six.send(message, port, address)
  })
  await new Promise<void>(resolve => six.bind(0, '::1', resolve))
  t.teardown(() => six.close())
  t.match(await once(runUdp, { udp: `[::1]:${six.address().port}` }), { status: 'passing' })
  await until(() => asked === 1, 'asked')
})
