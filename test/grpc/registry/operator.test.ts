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
