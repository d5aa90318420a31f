/**
 * The paths of the process: its log as it comes, the machine, reload, leave and force-leave.
 */
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import t from 'tap'
import { Refusal } from '../../../src/base/errors.ts'
import { createLog } from '../../../src/base/io/log.ts'
import { type Face, startFace, until } from '../harness.ts'

async function open({ host, port }: Face, path: string): Promise<IncomingMessage> {
  const asked = request({ host, port, path, agent: false }).end()
  asked.on('error', () => {})
  const [message] = await once(asked, 'response')
  return message
}

function textOf(message: IncomingMessage): { text: string } {
  const read = { text: '' }
  message.setEncoding('utf8').on('data', part => {
    read.text += part
  })
  return read
}

const quietLog = () => createLog({ level: 'error', json: false }, { write: () => {} })

t.test('the log comes at the level that was asked for, and ends with the server', async t => {
  const log = quietLog()
  const face = await startFace(t, { log })
  const plain = await open(face, '/v1/agent/monitor')
  t.equal(plain.headers['content-type'], 'text/plain; charset=utf-8')
  const asJson = await open(face, '/v1/agent/monitor?loglevel=TRACE&logjson')
  const [text, json] = [textOf(plain), textOf(asJson)]
  log.trace('small')
  log.info('listening', { face: 'http' })
  await until(() => json.text.includes('listening') && text.text.includes('listening'))
  t.match(text.text, /^\S+Z \[INFO\] {2}listening: face=http\n/)
  t.notMatch(text.text, 'small')
  const lines = json.text.trim().split('\n')
  t.match(JSON.parse(lines[0]!), { '@level': 'trace', '@message': 'small' })
  const ended = Promise.all([once(plain, 'end'), once(asJson, 'end')])
  await Promise.all([face.http.close(), ended])
  t.equal(plain.complete && asJson.complete, true)
})

t.test('a level that there is not is refused', async t => {
  const { client } = await startFace(t)
  const refused = await client.get('/v1/agent/monitor?loglevel=loud')
  t.equal(refused.status, 400)
  t.equal(refused.text, 'Unknown log level: loud')
})

t.test('a client that leaves is not written to any more', async t => {
  const log = quietLog()
  let followers = 0
  const follow: typeof log.follow = tap => {
    const stop = log.follow(tap)
    followers++
    return () => {
      followers--
      stop()
    }
  }
  const face = await startFace(t, { log: { ...log, follow } })
  const message = await open(face, '/v1/agent/monitor')
  message.on('error', () => {})
  await until(() => followers === 1)
  message.destroy()
  await until(() => followers === 0)
})

t.test('the machine, in the words of gopsutil', async t => {
  const { client } = await startFace(t)
  const { json } = await client.get('/v1/agent/host')
  t.ok(json.Memory.total > json.Memory.free)
  t.ok(json.CPU.length > 0)
  t.ok(json.Disk.total >= json.Disk.free)
  t.match(json.Host, { hostname: /./, os: process.platform })
  t.ok(json.CollectionTime > 1e18, 'in nanoseconds')
  t.same(json.Errors, [])
})

t.test('reload says what is wrong, or nothing', async t => {
  let problems: string[] = []
  const { client } = await startFace(t, { reload: async () => problems })
  t.equal((await client.put('/v1/agent/reload')).status, 200)
  problems = ['a.hcl:3: unknown key "x"', 'b']
  const refused = await client.put('/v1/agent/reload')
  t.equal(refused.status, 500)
  t.equal(refused.text, 'Reload failed: a.hcl:3: unknown key "x"\nb')
})

t.test('leave is answered and asks for the end', async t => {
  const asked: (boolean | string)[] = []
  const leave = async (force: boolean): Promise<true | Refusal> => {
    asked.push(force)
    return force || new Refusal(500, 'the others need it')
  }
  const { client } = await startFace(t, { leave, drain: () => void asked.push('drain') })
  const refused = await client.put('/v1/agent/leave')
  t.same([refused.status, refused.text], [500, 'the others need it'])
  t.equal((await client.put('/v1/agent/leave?force')).status, 200)
  t.equal((await client.put('/v1/agent/drain')).status, 200)
  t.same(asked, [false, true, 'drain'])
})

t.test('join: a member is joined already, and nobody else can be', async t => {
  const { client } = await startFace(t)
  for (const address of ['127.0.0.1', '127.0.0.1:8301', '[127.0.0.1]:8300']) {
    const joined = await client.put(`/v1/agent/join/${encodeURIComponent(address)}`)
    t.same([joined.status, joined.text], [200, ''], address)
  }
  for (const url of ['/v1/agent/join/10.9.9.9', '/v1/agent/join/127.0.0.1?wan=1']) {
    const refused = await client.put(url)
    t.equal(refused.status, 500)
    t.match(refused.text, /^Failed to join .*: no member of this cluster is there/)
  }
})

t.test('force-leave knows the only member', async t => {
  const { client } = await startFace(t)
  for (const path of ['alpha', 'alpha?prune', 'alpha.dc1?wan', 'alpha?wan']) {
    t.equal((await client.put(`/v1/agent/force-leave/${path}`)).status, 200, path)
  }
  for (const path of ['beta', 'alpha.dc1', 'beta.dc1?wan', 'alpha.a.b?wan']) {
    const unknown = await client.put(`/v1/agent/force-leave/${path}`)
    t.equal(unknown.status, 500, path)
    t.equal(unknown.text, `agent: No node found with name '${path.replace('?wan', '')}'`)
  }
})

t.test('the stream of metrics gives an object for each interval', async t => {
  const face = await startFace(t)
  const message = await open(face, '/v1/agent/metrics/stream')
  t.equal(message.headers['content-type'], 'application/json')
  const read = textOf(message)
  face.metrics.counter('raft.apply', 'writes').add()
  await until(() => {
    face.metrics.endInterval()
    return read.text.split('\n').length > 2
  })
  const [first] = read.text.split('\n')
  t.match(JSON.parse(first!), { Points: [], Timestamp: /UTC$/ })
})

t.test('there are no certificates, and that is told', async t => {
  const { client } = await startFace(t)
  const { json } = await client.get('/v1/agent/metrics/certificates')
  t.same(json.certificates, [])
  t.match(json, { summary: { total: 0 }, thresholds: { critical_days: 7, warning_days: 30 } })
})
