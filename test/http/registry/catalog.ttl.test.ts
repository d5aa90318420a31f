/**
 * Registrations that must be repeated: checks of the catalog whose definition has a TTL. On every
 * engine.
 */
import t from 'tap'
import { sleep, systemClock } from '../../../src/base/clock.ts'
import type { Client } from '../client.ts'
import { onEveryEngine } from '../engines.ts'
import { startFace, until } from '../harness.ts'

const TTL_MS = 1_000

const body = (definition: object, more: object = {}) => ({
  Node: 'n',
  Address: '10.0.0.1',
  Service: { ID: 's1', Service: 's' },
  Check: { CheckID: 'c', Name: 'c', Status: 'passing', ServiceID: 's1', Definition: definition },
  ...more,
})

const checkOf = async (client: Client) => (await client.get('/v1/health/node/n')).json[0]

onEveryEngine(t, async (t, newStore) => {
  t.test('who registers again in time stays; the others lapse', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const given = body({ TTL: `${TTL_MS}ms` })
    const register = () => client.put('/v1/catalog/register', given)
    t.equal((await register()).text, 'true')
    const first = await checkOf(client)
    t.match(first, { Status: 'passing', Output: '', Definition: { TTL: '1s' } })
    const untilMs = systemClock.monotonic() + TTL_MS + TTL_MS / 4
    while (systemClock.monotonic() < untilMs) {
      t.equal((await register()).text, 'true')
      await sleep(systemClock, 50)
    }
    t.strictSame(await checkOf(client), first, 'nothing changed, no index moved')
    await until(async () => (await checkOf(client)).Status === 'critical')
    t.match(await checkOf(client), { Output: 'TTL expired', Definition: { TTL: '1s' } })
    t.strictSame((await client.get('/v1/health/service/s?passing')).json, [])
    await register()
    t.match(await checkOf(client), { Status: 'passing', Output: '' })
    t.equal((await client.get('/v1/health/service/s?passing')).json.length, 1)
  })

  t.test('a service, or a node, goes when it stays critical', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    const definition = { TTL: '1s', DeregisterCriticalServiceAfter: '100ms' }
    await client.put('/v1/catalog/register', body(definition))
    const list = async (url: string): Promise<unknown[]> => (await client.get(url)).json
    await until(async () => (await list('/v1/catalog/service/s')).length === 0)
    t.strictSame(await list('/v1/health/node/n'), [])
    t.not((await client.get('/v1/catalog/node/n')).json, null, 'its node stays')
    const check = { CheckID: 'c', Name: 'c', Status: 'passing', Definition: definition }
    await client.put('/v1/catalog/register', body({}, { Check: check }))
    await until(async () => (await client.get('/v1/catalog/node/n')).json === null)
    t.strictSame(await list('/v1/catalog/service/s'), [])
  })
})
