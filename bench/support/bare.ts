/**
 * The bare limits, each a process of its own: what the libraries give when nothing is served.
 *
 *     bare.ts <kind> <port> <file>
 *
 * `get` is fastify with a cached buffer, `put` a fastify route that awaits a synced batch of
 * level, `post` one that parses the JSON it is sent, `node` node:http with the same bytes (to see
 * that the generator is not the limit), `secure` node:https with them, `sockets` writes bytes to
 * idle connections, `idle` does nothing.
 * The file holds a BareAnswer.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { Level } from 'level'

/** The answer that ours gave: the bare servers give the same. */
export interface BareAnswer {
  readonly headers: Readonly<Record<string, string>>
  readonly bodyBase64: string
  /** Where `put` keeps its store, and `secure` finds its certificate and key. */
  readonly folder: string
}

const [kind = '', port = '0', file = ''] = process.argv.slice(2)
const answer = kind === 'idle' ? undefined : (JSON.parse(readFileSync(file, 'utf8')) as BareAnswer)
const headers = Object.entries(answer?.headers ?? {})
const body = Buffer.from(answer?.bodyBase64 ?? '', 'base64')

const MAX_BODY_SIZE_BYTES = 33_554_432

const kinds: Readonly<Record<string, () => Promise<void>>> = {
  async get() {
    const app = Fastify({ logger: false })
    app.get('/*', (_request, reply) => sendTo(reply))
    await listen(app)
  },
  async put() {
    const app = Fastify({ logger: false })
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, given, done) =>
      done(null, given),
    )
    const write = await openBatcher()
    app.put('/*', (request, reply) => {
      write(Buffer.from(request.url), request.body as Buffer, () => sendTo(reply))
    })
    await listen(app)
  },
  async post() {
    const app = Fastify({ logger: false, bodyLimit: MAX_BODY_SIZE_BYTES })
    const parse = app.getDefaultJsonParser('error', 'error')
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', { parseAs: 'string' }, parse)
    app.put('/*', (_request, reply) => sendTo(reply))
    await listen(app)
  },
  async node() {
    const server = createHttpServer((request, response) => {
      request.resume()
      response.writeHead(200, answer?.headers)
      response.end(body)
    })
    await once(server.listen(Number(port), '127.0.0.1'), 'listening')
  },
  async secure() {
    const { folder = '' } = answer ?? {}
    const material = {
      cert: readFileSync(join(folder, 'cert.pem')),
      key: readFileSync(join(folder, 'key.pem')),
    }
    const server = createHttpsServer(material, (request, response) => {
      request.resume()
      response.writeHead(200, answer?.headers)
      response.end(body)
    })
    await once(server.listen(Number(port), '127.0.0.1'), 'listening')
  },
  async sockets() {
    const idle = new Set<Socket>()
    const server = createServer(socket => {
      idle.add(socket.on('close', () => idle.delete(socket)).on('error', () => {}))
      socket.on('data', chunk => {
        // The one connection that speaks up: everybody is written to.
        if (chunk.length > 0) for (const each of idle) each.write(body)
      })
    })
    server.maxConnections = 100_000
    await once(server.listen(Number(port), '127.0.0.1', 65_535), 'listening')
  },
  idle: async () => {
    setInterval(() => {}, 1_000)
  },
}

function sendTo(reply: FastifyReply): FastifyReply {
  for (const [name, value] of headers) reply.header(name, value)
  return reply.send(body)
}

async function listen(app: FastifyInstance): Promise<void> {
  await app.listen({ host: '127.0.0.1', port: Number(port) })
}

type Write = (key: Buffer, value: Buffer, done: () => void) => void

/** One put a request; what comes while a sync is under way is the next batch. */
async function openBatcher(): Promise<Write> {
  const encoding = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const
  const db = new Level<Buffer, Buffer>(answer?.folder ?? '', encoding)
  await db.open()
  let ops: { type: 'put'; key: Buffer; value: Buffer }[] = []
  let settling: (() => void)[] = []
  let isBusy = false
  const turn = async (): Promise<void> => {
    while (ops.length > 0) {
      const [batch, settled] = [ops, settling]
      ops = []
      settling = []
      await db.batch(batch, { ...encoding, sync: true })
      for (const settle of settled) settle()
    }
    isBusy = false
  }
  return (key, value, done) => {
    ops.push({ type: 'put', key, value })
    settling.push(done)
    if (isBusy) return
    isBusy = true
    // All requests that this turn of the loop reads share the batch.
    setImmediate(() => void turn())
  }
}

await kinds[kind]?.()
process.stdout.write('Ready.\n')
