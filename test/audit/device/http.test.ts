/**
 * The HTTP device: only a 2xx counts, no redirect is followed, headers are sent and shown nowhere.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { httpDevice } from '../../../src/audit/device/http.ts'
import type { DeviceValues } from '../../../src/audit/device.ts'
import { devicePorts, never, shipment } from '../support.ts'

interface Asked {
  readonly method: string | undefined
  readonly url: string | undefined
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

async function serve(t: Test, answer: (response: ServerResponse, asked: Asked) => void) {
  const asked: Asked[] = []
  let connections = 0
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
    const { method, url, headers } = request
    const one = { method, url, headers, body: Buffer.concat(chunks).toString('utf8') }
    asked.push(one)
    answer(response, one)
  })
  server.on('connection', () => void connections++)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { asked, uri: `http://localhost:${port}/audit?x=1`, connections: () => connections }
}

function open(t: Test, values: DeviceValues) {
  const device = httpDevice.open(values, devicePorts)
  t.teardown(() => device.close())
  return device
}

t.test('records are posted as lines, on one connection', async t => {
  const { asked, uri, connections } = await serve(t, response => void response.writeHead(204).end())
  const headers = { Authorization: 'Bearer canary', 'Content-Length': '1', Host: 'elsewhere' }
  const device = open(t, { uri, headers })
  const { lines } = shipment(3)
  await device.write({ records: [], lines }, never())
  await device.write({ records: [], lines }, never())
  t.match(asked[0], {
    method: 'POST',
    url: '/audit?x=1',
    body: Buffer.concat(lines).toString('utf8'),
    headers: {
      'content-type': 'application/x-ndjson',
      authorization: 'Bearer canary',
      host: /^localhost:/,
    },
  })
  t.equal(connections(), 1)
})

for (const status of [199, 301, 302, 307, 400, 401, 404, 429, 500, 503].slice(1)) {
  t.test(`${status} is no taking of records`, async t => {
    const other = await serve(t, response => void response.writeHead(200).end())
    const { uri } = await serve(t, response => {
      response.writeHead(status, { Location: other.uri }).end('no')
    })
    const device = open(t, { uri, headers: { Authorization: 'Bearer canary' } })
    const error = await device.write(shipment(1), never()).then(
      () => undefined,
      (reason: Error) => reason,
    )
    t.match(error?.message, new RegExp(`^it answered ${status}$`))
    t.equal(other.asked.length, 0, 'no redirect is followed')
  })
}

t.test('a server that hangs, or closes, or floods', async t => {
  const deadline = new AbortController()
  const hanging = await serve(t, () => deadline.abort(new Error('late')))
  await t.rejects(open(t, { uri: hanging.uri }).write(shipment(1), deadline.signal), /late/)
  const closing = await serve(t, response => response.destroy())
  await t.rejects(open(t, { uri: closing.uri }).write(shipment(1), never()))
  const flooding = await serve(t, response => {
    response.writeHead(200)
    const more = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536)));
      response.once('drain', more)
    }
    more()
  })
  await open(t, { uri: flooding.uri }).write(shipment(1), never())
  t.pass('its head counts, and the rest is cut off')
})

t.test('its settings', async t => {
  const problem = (uri: string) => httpDevice.problemOf({ uri })
  t.equal(problem('https://siem.example/in'), undefined)
  for (const uri of ['', 'siem', 'ftp://a', 'file:///etc/passwd'])
    t.match(problem(uri), /must be an/)
  t.match(problem('http://u:p@a/'), /must not hold a password/)
  const missing = open(t, { uri: 'https://localhost:1/', ca_file: '/nowhere/ca.pem' })
  await t.rejects(missing.write(shipment(1), never()), /ca_file: .*ENOENT/)
})
