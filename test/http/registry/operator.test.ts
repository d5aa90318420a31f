/**
 * The paths of operators: one server as Consul would show it.
 */
import t from 'tap'
import type { OrderedDisk } from '../../../src/base/io/level.ts'
import { ForgetfulDisk } from '../../faults/forgetful-disk.ts'
import { onEveryEngine, openLevelOn } from '../engines.ts'
import { NODE, NODE_ID, startFace, until } from '../harness.ts'

const defaults = {
  CleanupDeadServers: true,
  LastContactThreshold: '200ms',
  MaxTrailingLogs: 250,
  MinQuorum: 0,
  ServerStabilizationTime: '10s',
  RedundancyZoneTag: '',
  DisableUpgradeMigration: false,
  UpgradeVersionTag: '',
}
const configuration = '/v1/operator/autopilot/configuration'

onEveryEngine(t, async (t, newStore) => {
  t.test('the configuration of the autopilot is kept', async t => {
    const { client } = await startFace(t, { open: newStore(t) })
    t.match((await client.get(configuration)).json, { ...defaults, ModifyIndex: 0 })
    const given = { ...defaults, LastContactThreshold: '1s', MaxTrailingLogs: 500 }
    t.equal((await client.put(`${configuration}?cas=5`, given)).text, 'false')
    t.equal((await client.put(`${configuration}?cas=0`, given)).text, 'true')
    const kept = (await client.get(configuration)).json
    t.match(kept, given)
    t.ok(kept.ModifyIndex > 0)
    t.equal((await client.put(`${configuration}?cas=0`, defaults)).text, 'false')
    t.equal((await client.put(`${configuration}?cas=${kept.ModifyIndex}`, kept)).text, 'true')
    t.equal((await client.get(configuration)).json.ModifyIndex, kept.ModifyIndex, 'as it was')
    t.equal((await client.put(configuration, { MinQuorum: 3 })).text, 'true')
    t.match((await client.get(configuration)).json, { MinQuorum: 3, CleanupDeadServers: false })
  })
})

t.test('one server, in each form', async t => {
  const { client, store } = await startFace(t)
  const { Servers, Index } = (await client.get('/v1/operator/raft/configuration')).json
  const server = { ID: NODE_ID, Node: NODE, Address: '127.0.0.1:8300', Leader: true, Voter: true }
  t.match(Servers, [{ ...server, LastIndex: store.view().revision }])
  t.ok(Index > 0)
  const health = await client.get('/v1/operator/autopilot/health')
  t.equal(health.status, 200)
  t.match(health.json, {
    Healthy: true,
    FailureTolerance: 0,
    Servers: [{ ID: NODE_ID, Name: NODE, SerfStatus: 'alive', Healthy: true, Leader: true }],
  })
  t.match(health.json.Servers[0].StableSince, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z$/)
  const state = (await client.get('/v1/operator/autopilot/state')).json
  t.match(state, { Healthy: true, Leader: NODE_ID, Voters: [NODE_ID] })
  t.match(state.Servers[NODE_ID], { Name: NODE, Status: 'leader', NodeType: 'voter' })
})

t.test('trap 18: a server that cannot write is 429, with all that is known of it', async t => {
  let isFull = false
  const disk = new ForgetfulDisk()
  const openDisk = async (): Promise<OrderedDisk> => {
    const opened = await disk.open()
    return {
      ...opened,
      batch: (ops, options) =>
        isFull ? Promise.reject(new Error('no space left')) : opened.batch(ops, options),
    }
  }
  const { client } = await startFace(t, { open: openLevelOn(t, { openDisk }) })
  t.equal((await client.get('/v1/operator/autopilot/health')).status, 200)
  isFull = true
  t.equal((await client.put('/v1/kv/a', 'x')).status, 500)
  const health = async () => client.get('/v1/operator/autopilot/health')
  await until(async () => (await health()).status === 429)
  const { headers, json } = await health()
  t.equal(headers['content-type'], 'application/json')
  t.match(json, { Healthy: false, Servers: [{ ID: NODE_ID, Healthy: false, Voter: true }] })
  t.equal((await client.get('/v1/operator/autopilot/state')).json.Healthy, false)
})

t.test('refusals', async t => {
  const { client } = await startFace(t)
  const keyring = '/v1/operator/keyring'
  const asked: [string, string, string | object | undefined, number, string | RegExp][] = [
    ['DELETE', '/v1/operator/raft/peer', undefined, 400, /^Must specify either \?id with the/],
    [
      'DELETE',
      '/v1/operator/raft/peer?id=a&address=b',
      undefined,
      400,
      'Must specify only one of ?id or ?address',
    ],
    ['DELETE', '/v1/operator/raft/peer?address=1.2.3.4:8300', undefined, 500, /was not found in/],
    ['DELETE', `/v1/operator/raft/peer?id=${NODE_ID}`, undefined, 500, /at least one voter/],
    ['POST', '/v1/operator/raft/transfer-leader', undefined, 500, 'cannot find peer'],
    ['PUT', configuration, '{', 400, /^Error parsing autopilot config: /],
    ['PUT', configuration, { MaxTrailingLogs: -1 }, 400, /^Error parsing autopilot config: /],
    ['PUT', configuration, { LastContactThreshold: 'x' }, 400, /invalid duration/],
    ['PUT', `${configuration}?cas=x`, {}, 500, /invalid syntax/],
    ['GET', keyring, undefined, 500, /Keyring is empty \(encryption not enabled\)/],
    ['POST', keyring, { Key: 'x' }, 500, /Keyring is empty \(encryption not enabled\)/],
    ['PUT', keyring, { Key: 'x' }, 500, /Keyring is empty \(encryption not enabled\)/],
    ['DELETE', keyring, { Key: 'x' }, 500, /Keyring is empty \(encryption not enabled\)/],
    ['PUT', keyring, '{', 400, /^Request decode failed: /],
    ['GET', `${keyring}?relay-factor=6`, undefined, 400, /must be in range: \[0, 5\]/],
    ['GET', `${keyring}?relay-factor=x`, undefined, 400, /^Error parsing relay factor: /],
    ['GET', `${keyring}?local-only=x`, undefined, 400, /^Error parsing local-only: /],
    ['GET', `${keyring}?local-only=true`, undefined, 500, /Keyring is empty/],
    ['PUT', `${keyring}?local-only=true`, { Key: 'x' }, 400, /only be set for GET requests/],
  ]
  for (const [method, path, body, status, text] of asked) {
    const answered = await client.send(method, path, body)
    t.equal(answered.status, status, `${method} ${path}`)
    t.match(answered.text, text)
  }
})
