/** Webhooks: signed, told once, tried again where that helps, and never where the guard forbids. */
import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import t, { type Test } from 'tap'
import { TargetRefusal } from '../../../../src/feed/sink/declare.ts'
import { readSettings, shownSettings } from '../../../../src/feed/sink/schema.ts'
import { webhookSink } from '../../../../src/feed/sink/webhook/webhook.ts'
import { testCertificate, testKey } from '../../../checks/certificate.ts'
import { tempFolder } from '../../../clients/process.ts'
import { portsWith, stateOf } from '../health.ts'
import { Driver, settingsOf, wantedOf } from '../world.ts'

interface Received {
  readonly headers: IncomingMessage['headers']
  readonly url: string
  readonly body: string
}

type Answer = (answer: ServerResponse, received: Received) => void

/** A receiver that answers as it is told, one after the other; the last one from then on. */
async function receiver(t: Test, ...answers: (number | Answer)[]) {
  const received: Received[] = []
  const listener = (incoming: IncomingMessage, answer: ServerResponse): void => {
    let body = ''
    incoming.setEncoding('utf8').on('data', part => {
      body += part
    })
    incoming.on('end', () => {
      const one = { headers: incoming.headers, url: incoming.url ?? '', body }
      received.push(one)
      const next = answers[Math.min(received.length, answers.length) - 1] ?? 200
      if (typeof next !== 'number') return next(answer, one)
      answer.statusCode = next
      answer.end(next === 200 ? '' : 'the\nreason')
    })
  }
  const server = createServer(listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { port, received, listener, url: `http://127.0.0.1:${port}/hook?token=geheim` }
}

const key = 'a-key-of-enough-characters'
const a = { id: 'a', address: '10.0.0.1' }
/** Pauses that are over at once; what was waited for is noted. */
function instant() {
  const waitsMs: number[] = []
  const { clock } = portsWith()
  const after = (delayMs: number, run: () => void) => {
    // A request's own time is let run.
    if (delayMs >= 5_000 && delayMs !== 30_000) return clock.after(delayMs, run)
    waitsMs.push(delayMs)
    return clock.after(0, run)
  }
  return { waitsMs, clock: { ...clock, after } }
}

t.test('it is signed, says what it is, and is told once', async t => {
  const { url, received, port } = await receiver(t)
  const driver = new Driver(
    webhookSink,
    { url, secret: key, headers: { 'X-Own': 'own' } },
    portsWith(),
  )
  t.same((await driver.plan(stateOf({ web: [a] }))).changes[0], `POST http://127.0.0.1:${port}`)
  await driver.apply(stateOf({ web: [a] }))
  t.same((await driver.apply(stateOf({ web: [a] }, {}, 8))).changes, [])
  await driver.apply(stateOf({ web: [] }, {}, 9))
  t.equal(received.length, 2)
  const [first, second] = received
  const { headers, body = '', url: asked } = first!
  t.equal(asked, '/hook?token=geheim')
  t.match(headers, {
    'content-type': 'application/json',
    'gatehouse-task': 'test',
    'gatehouse-revision': '7',
    'gatehouse-id': /^[0-9a-f]{32}$/,
    'x-own': 'own',
  })
  const sum = createHmac('sha256', key).update(`${headers['gatehouse-timestamp']}.${body}`)
  t.equal(headers['gatehouse-signature'], `v1=${sum.digest('hex')}`)
  t.match(JSON.parse(body), {
    Id: headers['gatehouse-id'],
    Task: 'test',
    Revision: 7,
    State: { Services: [{ Name: 'web', Instances: [{ ID: 'a' }] }] },
    Changes: { Services: [{ Name: 'web', Added: [{ ID: 'a' }] }] },
  })
  t.match(JSON.parse(second?.body ?? ''), { Changes: { Services: [{ Removed: [{ ID: 'a' }] }] } })
})

t.test('what is told may be the state alone, or the changes', async t => {
  const { url, received } = await receiver(t)
  for (const body of ['state', 'changes']) {
    await new Driver(webhookSink, { url, body }, portsWith()).apply(stateOf({ web: [a] }))
  }
  const [state, changes] = received.map(({ body }) => Object.keys(JSON.parse(body)))
  t.same(state, ['Id', 'Task', 'Revision', 'State'])
  t.same(changes, ['Id', 'Task', 'Revision', 'Changes'])
  t.equal(received[0]?.headers['gatehouse-signature'], undefined, 'without a key it is not signed')
})

t.test('keys of a file and of a variable; several sign', async t => {
  const { url, received } = await receiver(t)
  const file = path.join(tempFolder(t), 'keys')
  const other = `${key}-2`
  writeFileSync(file, `${key}\n${other}\n`)
  const fromFile = new Driver(webhookSink, { url, secret_file: file }, portsWith())
  await fromFile.apply(stateOf({ web: [a] }))
  const variable = (name: string) => (name === 'HOOK' ? key : undefined)
  const given = { url, secret_env: 'HOOK' }
  await new Driver(webhookSink, given, portsWith({ variable })).apply(stateOf({ web: [a] }))
  const signed = received.map(({ headers, body }) => {
    const text = `${headers['gatehouse-timestamp']}.${body}`
    const sum = (one: string) => `v1=${createHmac('sha256', one).update(text).digest('hex')}`
    return [headers['gatehouse-signature'], sum(key), sum(other)]
  })
  t.equal(signed[0]?.[0], `${signed[0]?.[1]},${signed[0]?.[2]}`)
  t.equal(signed[1]?.[0], signed[1]?.[1])
  // A key that is not there is no reason to send without one.
  writeFileSync(file, 'short\n')
  t.match(await fromFile.try(stateOf({ web: [] })), { text: /secret_file: must have at least 16/ })
  const unset = new Driver(webhookSink, given, portsWith())
  t.match(await unset.try(stateOf({ web: [a] })), { text: /secret_env: must hold 1 to 4 keys/ })
  t.equal(received.length, 2)
})

t.test('what may go well later is tried again, under the same id', async t => {
  const { waitsMs, clock } = instant()
  const late: Answer = answer => {
    answer.writeHead(429, { 'retry-after': '2' }).end()
  }
  const { url, received } = await receiver(t, 500, late, 200)
  const random = { ...portsWith().random, fraction: () => 0.5 }
  await new Driver(webhookSink, { url }, portsWith({ clock, random })).apply(stateOf({ web: [a] }))
  t.equal(received.length, 3)
  t.equal(new Set(received.map(({ headers }) => headers['gatehouse-id'])).size, 1)
  t.equal(new Set(received.map(({ body }) => body)).size, 1)
  t.same(waitsMs, [500, 2_000])
})

t.test('and is told again by the task, once its tries are over', async t => {
  const { clock } = instant()
  const { url, received, port } = await receiver(t, 503)
  const driver = new Driver(webhookSink, { url, tries: 2 }, portsWith({ clock }))
  t.match(await driver.try(stateOf({ web: [a] })), {
    text: `127.0.0.1:${port}: it answered 503: "the\\nreason" (2 tries)`,
    mayRetry: true,
  })
  t.equal(received.length, 2)
  const busy: Answer = answer => {
    answer.writeHead(503, { 'retry-after': new Date(Date.now() + 9e6).toUTCString() }).end()
  }
  const later = await receiver(t, busy)
  await new Driver(webhookSink, { url: later.url }, portsWith({ clock })).try(stateOf({ web: [a] }))
  t.equal(later.received.length, 1, 'whoever wants to be asked much later is')
})

t.test('what does not change by trying is not tried again', async t => {
  const away: Answer = answer => {
    answer.writeHead(307, { location: 'http://169.254.169.254/' }).end()
  }
  for (const [status, text] of [
    [404, /404, which trying again does not change/],
    [away, /redirects are not followed/],
  ] as const) {
    const { url, received } = await receiver(t, status)
    const refused = await new Driver(webhookSink, { url }, portsWith()).try(stateOf({ web: [a] }))
    t.match(refused, { text, mayRetry: false })
    t.equal(received.length, 1)
  }
})

t.test('who does not answer, closes, or answers without end', async t => {
  const never: Answer = () => {}
  const cut: Answer = answer => void answer.socket?.destroy()
  const long: Answer = answer => {
    answer.writeHead(500)
    let left = 200
    const more = (): void => {
      if (left-- > 0 && !answer.closed) answer.write('x'.repeat(9_999), more)
    }
    more()
  }
  for (const [how, text] of [
    [never, /no answer in time/],
    [cut, /hang up|ECONNRESET/],
    [long, /it answered 500/],
  ] as const) {
    const { url } = await receiver(t, how)
    const driver = new Driver(webhookSink, { url, tries: 1, timeout: '400ms' }, portsWith())
    const refused = await driver.try(stateOf({ web: [a] }))
    t.match(refused, { text, mayRetry: true })
    t.ok(refused instanceof TargetRefusal && refused.text.length < 400)
  }
  const { url } = await receiver(t, never)
  const stop = new AbortController()
  const trying = new Driver(webhookSink, { url }, portsWith()).try(
    stateOf({ web: [a] }),
    stop.signal,
  )
  stop.abort()
  t.match(await trying, { text: /stopped/ })
})

t.test('only where the guard allows: what was looked up is what is connected to', async t => {
  const { port, received } = await receiver(t)
  const asked: string[] = []
  const url = `http://hook.example:${port}/`
  const addressesOf = async (name: string) => {
    asked.push(name)
    return ['169.254.169.254', '127.0.0.1']
  }
  const mayReach = (address: string) => address === '127.0.0.1'
  await new Driver(webhookSink, { url }, portsWith({ addressesOf, mayReach })).apply(
    stateOf({ web: [a] }),
  )
  t.equal(received[0]?.headers.host, `hook.example:${port}`)
  t.same(asked, ['hook.example'])
  const guarded = new Driver(
    webhookSink,
    { url, tries: 1 },
    portsWith({ addressesOf, mayReach: () => false }),
  )
  t.match(await guarded.try(stateOf({ web: [a] })), {
    text: /169.254.169.254 may not be connected to/,
  })
  t.equal(received.length, 1)
})

t.test('TLS: the certificate is held against a name and authorities', async t => {
  const { listener, received } = await receiver(t)
  const server = createTlsServer({ key: testKey, cert: testCertificate }, listener)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const file = path.join(tempFolder(t), 'ca.pem')
  writeFileSync(file, testCertificate)
  const given = { url: `https://web.example:${port}/`, ca_file: file, tries: 1 }
  const ports = portsWith({ addressesOf: async () => ['127.0.0.1'] })
  await new Driver(webhookSink, given, ports).apply(stateOf({ web: [a] }))
  t.equal(received.length, 1)
  const other = new Driver(webhookSink, { ...given, tls_server_name: 'other.example' }, ports)
  t.match(await other.try(stateOf({ web: [a] })), { text: /altnames/ })
  const strange = new Driver(webhookSink, { ...given, ca_file: undefined }, ports)
  t.match(await strange.try(stateOf({ web: [a] })), { text: /self-signed/ })
})

t.test('no secret is in anything that is shown', async t => {
  const { url } = await receiver(t, 500)
  const given = { url, tries: 1, secret: key, headers: { authorization: 'Bearer geheimnis' } }
  const values = settingsOf(webhookSink, given)
  const driver = new Driver(webhookSink, given, portsWith())
  const state = stateOf({ web: [a] })
  const all = [
    shownSettings(webhookSink.fields, { ...values, url: '' }),
    wantedOf(webhookSink, values, state),
    await driver.plan(state),
    await driver.try(state),
  ]
  t.notMatch(JSON.stringify(all), /geheim|a-key-of/)
})

t.test('settings', async t => {
  const url = 'https://x.example/'
  const wrong: [Record<string, unknown>, RegExp][] = [
    [{ url: 'ftp://x' }, /must begin with http/],
    [{ url: 'https://a:b@x.example' }, /no password/],
    [{ url, secret: key, secret_env: 'X' }, /only one of/],
    [{ url, secret: 'short' }, /at least 16/],
    [{ url, headers: { 'a b': 'x' } }, /is no name/],
    [{ url, headers: { a: 'geheim\n' } }, /a holds what no header can/],
    [{ url, headers: { Host: 'x' } }, /ours to say/],
    [{ url, headers: { 'Gatehouse-Id': 'x' } }, /ours to say/],
  ]
  for (const [given, message] of wrong) t.throws(() => settingsOf(webhookSink, given), message)
  const local = { url, secret_file: '/x', ca_file: '/x', secret_env: 'X' }
  const fromApi = readSettings(webhookSink.fields, local, 'api')
  t.equal('problems' in fromApi && fromApi.problems.length, 3)
  t.ok('values' in readSettings(webhookSink.fields, { url, secret: key }, 'api'))
})
