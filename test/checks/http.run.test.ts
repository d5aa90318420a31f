import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { limits } from '../../src/base/limits.ts'
import { runHttp } from '../../src/checks/http.run.ts'
import { testCertificate, testKey } from './certificate.ts'
import { closedPort, httpTarget, knowing, once, tcpTarget, toolsWith, until } from './support.ts'

t.test('answers and what they mean', async t => {
  const port = await httpTarget(t, (request, response) => {
    const status = Number(request.url?.slice(1))
    response.writeHead(status).end(`said ${status}`)
  })
  const url = (status: number): string => `http://127.0.0.1:${port}/${status}`
  const ask = (status: number) => once(runHttp, { http: url(status) })
  t.same(await ask(200), {
    status: 'passing',
    output: `HTTP GET ${url(200)}: 200 OK Output: said 200`,
  })
  t.match(await ask(299), { status: 'passing' })
  t.same(await ask(429), {
    status: 'warning',
    output: `HTTP GET ${url(429)}: 429 Too Many Requests Output: said 429`,
  })
  t.same(await ask(404), {
    status: 'critical',
    output: `HTTP GET ${url(404)}: 404 Not Found Output: said 404`,
  })
  t.match(await ask(500), { status: 'critical' })
  t.match(await ask(300), { status: 'critical' }, 'no location: nothing to follow')
})

t.test('what is sent: ours where nothing was said, never a connection that stays', async t => {
  let seen: { message: IncomingMessage; body: string } | undefined
  const port = await httpTarget(t, async (message, response) => {
    let body = ''
    for await (const chunk of message) body += chunk
    seen = { message, body }
    response.end()
  })
  const http = `http://127.0.0.1:${port}/health?full`
  await once(runHttp, { http })
  t.match(seen, {
    message: {
      method: 'GET',
      url: '/health?full',
      headers: {
        host: `127.0.0.1:${port}`,
        'user-agent': 'Consul Health Check',
        accept: 'text/plain, text/*, */*',
        connection: 'close',
      },
    },
    body: '',
  })
  const result = await once(runHttp, {
    http,
    method: 'post',
    body: 'grüß',
    header: {
      Host: ['inner.example'],
      Accept: ['application/json'],
      'X-Twice': ['1', '2'],
      'Content-Length': ['9999'],
      Connection: ['keep-alive'],
    },
  })
  t.match(result, { status: 'passing', output: /^HTTP POST / })
  t.match(seen, {
    message: {
      method: 'POST',
      headers: {
        host: 'inner.example',
        accept: 'application/json',
        'x-twice': '1, 2',
        'content-length': '6',
        connection: 'close',
      },
    },
    body: 'grüß',
  })
  await once(runHttp, { http, method: 'GET', body: 'a body with GET' })
  t.equal(seen?.body, 'a body with GET')
})

t.test('credentials in the URL are sent and not shown', async t => {
  let authorization: string | undefined
  const port = await httpTarget(t, (message, response) => {
    authorization = message.headers.authorization
    response.end('in')
  })
  const good = await once(runHttp, { http: `http://me:s%40fe@127.0.0.1:${port}/` })
  t.equal(authorization, `Basic ${Buffer.from('me:s@fe').toString('base64')}`)
  t.equal(good.output, `HTTP GET http://me:***@127.0.0.1:${port}/: 200 OK Output: in`)
  const bad = await once(runHttp, { http: `http://me:s%40fe@127.0.0.1:${await closedPort()}/` })
  t.notMatch(bad.output, /s%40fe|s@fe/)
})

t.test('nobody there, in the words that people search for', async t => {
  const port = await closedPort()
  t.same(await once(runHttp, { http: `http://127.0.0.1:${port}/x` }), {
    status: 'critical',
    output:
      `Get "http://127.0.0.1:${port}/x": ` +
      `dial tcp 127.0.0.1:${port}: connect: connection refused`,
  })
  t.match(await once(runHttp, { http: 'http://nowhere.example/' }), {
    status: 'critical',
    output: 'Get "http://nowhere.example/": dial tcp: lookup nowhere.example: no such host',
  })
})

t.test('definitions that cannot be asked', async t => {
  const fault = async (definition: Parameters<typeof once>[1]): Promise<string> => {
    const { status, output } = await once(runHttp, definition)
    t.equal(status, 'critical')
    return output
  }
  t.equal(await fault({ http: 'nonsense' }), 'Get "nonsense": unsupported protocol scheme ""')
  t.equal(await fault({ http: 'ftp://a/' }), 'Get "ftp://a/": unsupported protocol scheme "ftp"')
  t.match(await fault({ http: 'http://127.0.0.1/', method: 'A B' }), /^A b "http/)
  const secret = 'very\nsecret'
  const header = { 'x-token': [secret] }
  t.notMatch(await fault({ http: 'http://127.0.0.1/', header }), /very|secret/)
})

t.test('targets that close, or talk nonsense', async t => {
  const silent = await tcpTarget(t, socket => socket.end())
  t.match(await once(runHttp, { http: `http://127.0.0.1:${silent.port}/` }), {
    status: 'critical',
    output: /: EOF$/,
  })
  const noise = await tcpTarget(t, socket => socket.end('220 mail ready\r\n'))
  t.match(await once(runHttp, { http: `http://127.0.0.1:${noise.port}/` }), {
    status: 'critical',
    output: /: malformed HTTP response$/,
  })
  const plain = await once(runHttp, { http: `https://127.0.0.1:${noise.port}/` })
  t.match(plain, { status: 'critical', output: /^Get "https:.*: \S/ })
})

t.test('a hanging target: the runner ends it, and its socket is gone', async t => {
  const { port, sockets } = await tcpTarget(t)
  const http = `http://127.0.0.1:${port}/`
  const result = await once(
    runHttp,
    { http },
    {
      meanwhile: run => void until(() => sockets.size > 0, 'asked').then(() => run.end('timeout')),
    },
  )
  const late = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
  t.same(result, { status: 'critical', output: `Get "${http}": ${late}` })
  await until(() => sockets.size === 0, 'closed')
})

t.test('a stopped run reports nothing and lets go', async t => {
  const { port, sockets } = await tcpTarget(t)
  let reports = 0
  const request = { definition: { http: `http://127.0.0.1:${port}/` }, timeoutMs: 100 }
  const tools = toolsWith()
  const run = runHttp({ ...request, outputMaxSizeBytes: 1 }, tools, () => reports++)
  await until(() => sockets.size > 0, 'asked')
  run.end('stopped')
  run.end('timeout')
  await until(() => sockets.size === 0, 'closed')
  t.equal(reports, 0)
})

t.test('a head that came counts, even when the body hangs or breaks off', async t => {
  let isThere = false
  const port = await httpTarget(t, (request, response) => {
    response.writeHead(request.url === '/429' ? 429 : 200, { 'content-length': 100 })
    response.write('so far')
    isThere = true
    if (request.url === '/broken') setTimeout(() => response.destroy(), 20)
  })
  const end = (run: { end(why: 'timeout'): void }): void =>
    void until(() => isThere, 'asked').then(() => setTimeout(() => run.end('timeout'), 100))
  const hanging = await once(runHttp, { http: `http://127.0.0.1:${port}/429` }, { meanwhile: end })
  t.match(hanging, { status: 'warning', output: /Output: so far$/ })
  const broken = await once(runHttp, { http: `http://127.0.0.1:${port}/broken` })
  t.match(broken, { status: 'passing', output: /Output: so far$/ })
})

t.test('a huge body: its end is kept; an endless one is cut off', async t => {
  const port = await httpTarget(t, (request, response) => {
    if (request.url === '/big') {
      for (let i = 0; i < 50; i++) response.write('x'.repeat(10_000))
      response.end('the end')
      return
    }
    const more = (): void => {
      while (response.write('y'.repeat(65_536)));
    }
    response.on('drain', more)
    more()
  })
  const big = await once(runHttp, { http: `http://127.0.0.1:${port}/big` })
  const kept = big.output.split('Output: ')[1]!
  t.equal(kept.length, limits.checkOutputSizeBytes)
  t.match(kept, /x{4000}the end$/)
  const short = await once(
    runHttp,
    { http: `http://127.0.0.1:${port}/big` },
    {
      outputMaxSizeBytes: 3,
    },
  )
  t.match(short.output, /Output: end$/)
  const endless = await once(runHttp, { http: `http://127.0.0.1:${port}/endless` })
  t.match(endless, { status: 'passing', output: /Output: y{4096}$/ })
})

t.test('redirects are followed on the same host alone', async t => {
  let other = 0
  const foreign = await httpTarget(t, (_request, response) => {
    other++
    response.end('foreign')
  })
  const bodies: string[] = []
  const port = await httpTarget(t, async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    bodies.push(`${request.method} ${request.url} ${body}`)
    const to: Record<string, [number, string]> = {
      '/once': [302, '/there'],
      '/kept': [307, '/there'],
      '/port': [301, `http://127.0.0.1:${foreign}/`],
      '/away': [302, `http://localhost:${foreign}/`],
      '/file': [302, 'file:///etc/passwd'],
      '/loop': [302, '/loop'],
    }
    const found = to[request.url ?? '']
    if (found === undefined) response.end('here')
    else response.writeHead(found[0], { location: found[1] }).end('moved')
  })
  const ask = (path: string, more = {}) =>
    once(runHttp, { http: `http://127.0.0.1:${port}${path}`, ...more })
  t.match(await ask('/once'), { status: 'passing', output: /200 OK Output: here$/ })
  await ask('/once', { method: 'POST', body: 'b' })
  await ask('/kept', { method: 'POST', body: 'b' })
  t.same(bodies.slice(2), ['POST /once b', 'GET /there ', 'POST /kept b', 'POST /there b'])
  t.match(await ask('/port'), { status: 'passing', output: /Output: foreign$/ })
  t.match(await ask('/away'), {
    status: 'critical',
    output: `Get "http://127.0.0.1:${port}/away": redirect to another host (localhost) refused`,
  })
  t.equal(other, 1, 'nobody was asked there')
  t.match(await ask('/file'), { status: 'critical', output: /leads to no HTTP address$/ })
  t.match(await ask('/loop'), { status: 'critical', output: /stopped after 10 redirects$/ })
  t.match(await ask('/once', { disableRedirects: true }), {
    status: 'critical',
    output: /302 Found Output: moved$/,
  })
})

t.test('names: every address is tried, and redirects stay on them', async t => {
  const port = await httpTarget(t, (request, response) => {
    if (request.url === '/') response.writeHead(302, { location: '/there' }).end()
    else response.end(request.headers.host)
  })
  let asked = 0
  const names = knowing({ 'web.example': ['127.0.0.3', '127.0.0.1'] })
  const resolver = {
    addressesOf: (name: string) => {
      asked++
      return names.addressesOf(name)
    },
  }
  const result = await once(runHttp, { http: `http://web.example:${port}/` }, { resolver })
  t.match(result, { status: 'passing', output: new RegExp(`Output: web.example:${port}$`) })
  t.equal(asked, 1)
})

t.test('TLS: a certificate is looked at unless told otherwise', async t => {
  const names: unknown[] = []
  const options = { key: testKey, cert: testCertificate }
  const server = createServer(options, (_request, response) => response.end('safe'))
  server.on('secureConnection', socket => names.push(socket.servername))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const http = `https://127.0.0.1:${port}/`
  t.match(await once(runHttp, { http }), {
    status: 'critical',
    output: /^Get "https.*: tls: .* certificate signed by unknown authority$/,
  })
  t.match(await once(runHttp, { http, tlsSkipVerify: true, tlsServerName: 'web.example' }), {
    status: 'passing',
    output: /Output: safe$/,
  })
  t.equal(names.at(-1), 'web.example')
})
