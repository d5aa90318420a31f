/**
 * gatehouse.v1.Operator through a client.
 */
import t from 'tap'
import { NODE, NODE_ID } from '../../http/harness.ts'
import { startBoth } from './harness.ts'

t.test('members, who leads, and whether the servers are well', async t => {
  const { ask, face } = await startBoth(t)
  const { members } = await ask('Operator/Members')
  t.match(members, [
    {
      ...{ name: NODE, nodeId: NODE_ID, address: '127.0.0.1', status: 'MEMBER_STATUS_ALIVE' },
      server: { rpcAddress: '127.0.0.1:8300', isLeader: true, isVoter: true, isHealthy: true },
    },
  ])
  t.equal(members.length, (await face.client.get('/v1/agent/members')).json.length)
  t.match(await ask('Operator/Status'), { leader: '127.0.0.1:8300', peers: ['127.0.0.1:8300'] })
  t.match(await ask('Operator/Health'), {
    ...{ isHealthy: true, failureTolerance: 0 },
    servers: [{ nodeId: NODE_ID }],
  })
})

t.test('an archive goes out in pieces and comes in again', async t => {
  const from = await startBoth(t)
  for (let at = 0; at < 40; at++) {
    await from.ask('KV/Put', { key: `k${at}`, value: Buffer.alloc(5_000, at) })
  }
  const { answers, code } = await from.call('Operator/SaveSnapshot')
  t.equal(code, 'OK')
  const pieces = answers.map(({ data }: { data: Buffer }) => data)
  t.ok(pieces.length > 0)
  const to = await startBoth(t)
  await to.ask('KV/Put', { key: 'gone' })
  const stream = await to.open('Operator/RestoreSnapshot')
  const archive = Buffer.concat(pieces)
  for (let at = 0; at < archive.length; at += 1_000) {
    stream.send({ data: archive.subarray(at, at + 1_000) })
  }
  stream.call.end()
  t.match(await stream.ended, { code: 'OK', answers: [{}] })
  const { entries } = await to.ask('KV/List')
  t.equal(entries.length, 40)
  t.strictSame((await to.ask('KV/Get', { key: 'k7' })).entry.value, Buffer.alloc(5_000, 7))
})

t.test('what is no archive changes nothing, and neither does one that is broken off', async t => {
  const { ask, open } = await startBoth(t)
  await ask('KV/Put', { key: 'kept' })
  const bad = await open('Operator/RestoreSnapshot')
  bad.send({ data: Buffer.from('no archive') })
  bad.call.end()
  t.not((await bad.ended).code, 'OK')
  const empty = await open('Operator/RestoreSnapshot')
  empty.call.end()
  t.not((await empty.ended).code, 'OK')
  const left = await open('Operator/RestoreSnapshot')
  left.send({ data: Buffer.from([0x1f, 0x8b, 8, 0]) })
  left.call.cancel()
  t.equal((await left.ended).code, 'CANCELLED')
  t.equal((await ask('KV/List')).entries.length, 1)
})

t.test('the lead cannot be handed to nobody', async t => {
  const { call, face } = await startBoth(t)
  const http = await face.client.send('POST', '/v1/operator/raft/transfer-leader?id=none')
  const { code, text } = await call('Operator/TransferLeader', { nodeId: 'none' })
  t.not(code, 'OK')
  t.equal(text, http.text)
})

t.test('a configuration that is wrong is not taken over', async t => {
  const right = await startBoth(t)
  await right.ask('Operator/Reload')
  const wrong = await startBoth(t, { reload: async () => ['a: b'] })
  t.match(await wrong.call('Operator/Reload'), {
    code: 'FAILED_PRECONDITION',
    text: 'Reload failed: a: b',
  })
})

t.test('autopilot: as HTTP has it, as a whole, and only at an index', async t => {
  const { ask, call, face } = await startBoth(t)
  const path = '/v1/operator/autopilot/configuration'
  const first = await ask('Operator/GetAutopilot')
  t.match(first, { settings: { cleanupDeadServers: true, minQuorum: 0 }, modifyIndex: 0 })
  t.same(first.settings.serverStabilizationTime, { seconds: 10, nanos: 0 })
  const settings = { minQuorum: 3, lastContactThreshold: { seconds: 1, nanos: 500_000_000 } }
  t.match(await ask('Operator/SetAutopilot', { settings, cas: 7 }), { isWritten: false })
  t.match(await ask('Operator/SetAutopilot', { settings, cas: 0 }), { isWritten: true })
  const http = (await face.client.get(path)).json
  t.match(http, { CleanupDeadServers: false, MinQuorum: 3, LastContactThreshold: '1.5s' })
  const now = await ask('Operator/GetAutopilot')
  t.match(now, { settings: { minQuorum: 3, cleanupDeadServers: false } })
  t.equal(Number(now.modifyIndex), http.ModifyIndex)
  t.match(await ask('Operator/SetAutopilot', { settings, cas: 0 }), { isWritten: false })
  t.equal((await call('Operator/SetAutopilot', {})).code, 'INVALID_ARGUMENT')
})

t.test('servers and keys: what HTTP refuses, in its words', async t => {
  const { call, face } = await startBoth(t)
  const text = async (method: string, path: string, body?: object): Promise<string> =>
    (await face.client.send(method, path, body)).text
  const peer = '/v1/operator/raft/peer'
  const refused = async (name: string, request: object, expected: string): Promise<void> => {
    const answered = await call(`Operator/${name}`, request)
    t.not(answered.code, 'OK')
    t.equal(answered.text, expected)
  }
  await refused('RemovePeer', { nodeId: 'none' }, await text('DELETE', `${peer}?id=none`))
  const address = '10.0.0.1:8300'
  await refused('RemovePeer', { address }, await text('DELETE', `${peer}?address=${address}`))
  await refused('RemovePeer', { nodeId: NODE_ID }, await text('DELETE', `${peer}?id=${NODE_ID}`))
  t.equal((await call('Operator/RemovePeer', {})).code, 'INVALID_ARGUMENT')
  await refused('ListKeys', {}, await text('GET', '/v1/operator/keyring'))
  const change = { action: 'ACTION_USE', key: 'k' }
  await refused('ChangeKeys', change, await text('PUT', '/v1/operator/keyring', { Key: 'k' }))
})
