/** The HTTP server: what reaches a handler, and what is answered before one. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { createHttpServer, type HttpRouter, type RawHandler } from '../../../src/base/io/fastify.ts'
import { boundsOfTests, until } from '../../http/harness.ts'
import { connectRaw } from '../../http/wire.ts'

const say =
  (status: number): RawHandler =>
  ({ message, response, body }) => {
    const said = { method: message.method, url: message.url, body: body.toString('latin1') }
    response.writeHead(status, { Connection: 'close' }).end(JSON.stringify(said))
  }

interface Served {
  readonly router: HttpRouter
  readonly host: string
  readonly port: number
}

async function serve(t: Test, add: (router: HttpRouter) => void): Promise<Served> {
  const router = createHttpServer({
    ...boundsOfTests,
    maxHeaderSizeBytes: 2_000,
    admit: () => true,
    notFound: say(404),
    tooLarge: ({ limitBytes, ...raw }) => say(413)({ ...raw, body: Buffer.from(`${limitBytes}`) }),
    unreadable: say(400),
  })
  add(router)
  t.teardown(async () => {
    router.cut()
    await router.close()
  })
  return { router, ...(await router.listen('127.0.0.1', 0)) }
}

async function ask(t: Test, served: Served, text: string): Promise<string> {
  const connection = await connectRaw(t, served)
  connection.write(text)
  return await connection.closed()
}

const put = (url: string, body: string, header = ''): string =>
  `PUT ${url} HTTP/1.1\r\n${header}Content-Length: ${body.length}\r\n\r\n${body}`

t.test('a body is bytes, whatever its type is said to be', async t => {
  const served = await serve(t, router => router.add('PUT', '/a/*', say(200), 5))
  for (const type of ['', 'application/json', 'multipart/form-data', 'nonsense']) {
    const header = type === '' ? '' : `Content-Type: ${type}\r\n`
    t.match(await ask(t, served, put('/a/b', '{"a"', header)), /200 OK[\s\S]*"body":"{\\"a\\""/)
  }
})

t.test('a path reaches the handler as it was sent', async t => {
  const served = await serve(t, router => router.add('PUT', '/a/*', say(200), 5))
  for (const url of ['/a/', '/a/b%2Fc%25', '/a/%ff%C3', '/a/b~c?d=%20&e', '/a/b//c']) {
    const answer = await ask(t, served, put(url, ''))
    t.match(answer, '200 OK', url)
    t.ok(answer.includes(JSON.stringify(url)), url)
  }
  t.match(await ask(t, served, put('/A/b', '')), '404 Not Found', 'case counts')
  t.match(await ask(t, served, put('/b', '')), '404 Not Found')
})

t.test('each route has a bound on its body', async t => {
  const served = await serve(t, router => {
    router.add('PUT', '/small', say(200), 3)
    router.add('PUT', '/large', say(200), 1_000)
  })
  t.match(await ask(t, served, put('/small', 'abc')), '200 OK')
  t.match(await ask(t, served, put('/small', 'abcd')), /413[\s\S]*"body":"3"/)
  t.match(await ask(t, served, put('/large', 'abcd')), '200 OK')
  const chunked = 'PUT /small HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n'
  t.match(await ask(t, served, chunked), '413', 'a length that is not stated is counted')
})

t.test('headers have a bound', async t => {
  const served = await serve(t, router => router.add('PUT', '/a', say(200), 3))
  t.match(await ask(t, served, put('/a', '', `X: ${'x'.repeat(1_500)}\r\n`)), '200 OK')
  t.match(await ask(t, served, put('/a', '', `X: ${'x'.repeat(2_500)}\r\n`)), '431')
})

t.test('a busy port is told by its code', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  t.teardown(() => other.close())
  const { port } = other.address() as { port: number }
  const { router } = await serve(t, () => {})
  await t.rejects(router.listen('127.0.0.1', port), { code: 'EADDRINUSE' })
})

t.test('closing lets a request finish, and ends who only waits', async t => {
  let finish: (() => void) | undefined
  const served = await serve(t, router => {
    router.add('GET', '/fast', ({ response }) => response.end('done'), 3)
    router.add(
      'GET',
      '/slow',
      ({ response }) => {
        finish = () => response.end('done')
      },
      3,
    )
  })
  const idle = await connectRaw(t, served)
  idle.write('GET /fast HTTP/1.1\r\n\r\n')
  await idle.received(/done/)
  const busy = await connectRaw(t, served)
  busy.write('GET /slow HTTP/1.1\r\n\r\n')
  await until(() => finish !== undefined)
  const closed = served.router.close()
  await idle.closed()
  finish?.()
  t.match(await busy.closed(), /200 OK[\s\S]*done/)
  await closed
})
