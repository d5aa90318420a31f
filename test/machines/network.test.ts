/** The machines of tests are apart, and a cut loses packets in one direction, silently. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { launch, until } from '../clients/process.ts'
import { createNetwork, noNamespaces } from './network.ts'

const ECHO = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (said, { port, address }) => socket.send(said, port, address))
socket.bind(7000, () => console.log('listening'))
`
const ASK = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', said => { console.log('heard ' + said); process.exit(0) })
setInterval(() => socket.send('hello', 7000, process.argv[1]), 20)
setTimeout(() => { console.log('heard nothing'); process.exit(0) }, 500)
`

t.test('a cut and its mending', { skip: noNamespaces }, async t => {
  const network = createNetwork(t, 2)
  const [one, two] = network.machines
  const echo = launch(t, ...two!.inside(process.execPath, ['-e', ECHO]), {})
  await until('the echo listens', () => echo.stdout().includes('listening'))
  const ask = async (): Promise<string> => {
    const asking = launch(t, ...one!.inside(process.execPath, ['-e', ASK, two!.address]), {})
    await asking.ended
    return asking.stdout()
  }
  t.equal(await ask(), 'heard hello\n')
  network.cut(one!, two!)
  t.equal(await ask(), 'heard nothing\n')
  network.heal()
  t.equal(await ask(), 'heard hello\n')
  network.cut(two!, one!)
  t.equal(await ask(), 'heard nothing\n', 'the way back is a link of its own')
  network.heal()
  t.equal(await ask(), 'heard hello\n')
})

t.test('the test is on the switch too', { skip: noNamespaces }, async t => {
  const network = createNetwork(t, 1)
  const [one] = network.machines
  const echo = launch(t, ...one!.inside(process.execPath, ['-e', ECHO]), {})
  await until('the echo listens', () => echo.stdout().includes('listening'))
  const socket = createSocket('udp4')
  t.teardown(() => socket.close())
  const heard = once(socket, 'message')
  socket.send('hi', 7000, one!.address)
  t.equal(String((await heard)[0]), 'hi')
})
