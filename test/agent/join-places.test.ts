/** Where servers to join are, by each form that a list of them may have. */
import t from 'tap'
import { resolvePlaces } from '../../src/agent/join-places.ts'
import { systemClock } from '../../src/base/clock.ts'
import { OperatingCode, OperatingError } from '../../src/base/errors.ts'
import type { ServicePlace, ServiceResolver } from '../../src/base/io/dns2.ts'

const NAMES: Readonly<Record<string, readonly string[]>> = {
  'one.example': ['10.0.0.1'],
  'two.example': ['10.0.0.2', 'fd00::2'],
}
const SERVICES: Readonly<Record<string, readonly ServicePlace[]>> = {
  '_gatehouse._tcp.example': [
    { host: 'two.example', port: 8310 },
    { host: 'gone.example', port: 8300 },
    { host: 'one.example', port: 8300 },
  ],
  '_gone._tcp.example': [{ host: 'gone.example', port: 8300 }],
}

const resolver: ServiceResolver = {
  async addressesOf(name) {
    const found = NAMES[name]
    if (found !== undefined) return found
    throw new OperatingError(OperatingCode.unavailable, `lookup ${name}: no such host`)
  },
  placesOf: async name => SERVICES[name] ?? [],
}

const found = (...places: string[]) => resolvePlaces(places, { clock: systemClock, resolver })

t.test('addresses and names, with a port or the usual one', async t => {
  t.same(await found('10.0.0.9', '10.0.0.9:1', '[fd00::1]:2', 'fd00::1', 'two.example:3'), [
    ...['10.0.0.9:8300', '10.0.0.9:1', '[fd00::1]:2', '[fd00::1]:8300'],
    ...['10.0.0.2:3', '[fd00::2]:3'],
  ])
  await t.rejects(found('a:b:c'), { message: 'no server to join: a:b:c: is no host:port' })
})

t.test('what SRV records say: hosts and ports, in their order', async t => {
  t.same(await found('srv:_gatehouse._tcp.example', '10.0.0.9'), [
    ...['10.0.0.2:8310', '[fd00::2]:8310', '10.0.0.1:8300'],
    '10.0.0.9:8300',
  ])
  await t.rejects(found('srv:_none._tcp.example'), {
    message: 'no server to join: srv:_none._tcp.example: there are no SRV records',
  })
  await t.rejects(found('srv:_gone._tcp.example'), { message: /lookup gone.example: no such host/ })
})

t.test('what a program prints, which may be names of any form but another program', async t => {
  t.same(await found('exec:echo one.example srv:_gatehouse._tcp.example exec:false'), [
    ...['10.0.0.1:8300', '10.0.0.2:8310', '[fd00::2]:8310'],
  ])
  await t.rejects(found('exec:false'), { message: /exec:false: ended with 1/ })
})

t.test('what cannot be found does not keep the others back', async t => {
  t.same(await found('gone.example', 'one.example'), ['10.0.0.1:8300'])
})
