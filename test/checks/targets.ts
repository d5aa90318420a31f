/**
 * What checks of every kind ask in tests: for each a target that is well, one that is ill, and one
 * that does not answer. The Docker engine and systemd's tool are fakes of ours: they speak as much
 * of the real ones' interfaces as the checks do, and were written from their documentation.
 */
import { createSocket } from 'node:dgram'
import { chmodSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createH2, createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import { load } from '@grpc/proto-loader'
import type { Test } from 'tap'
import type { CheckDefinition } from '../../src/store/tables/check.ts'
import { freshFolder } from '../fake/folder.ts'
import { testCertificate, testKey } from './certificate.ts'
import { closedPort, httpTarget, tcpTarget } from './support.ts'

/** A UDP target; `answers` or stays silent. Gives its port. */
export async function udpTarget(t: Test, answers: boolean): Promise<number> {
  const socket = createSocket('udp4')
  socket.on('message', (message, { port, address }) => {
    if (answers) socket.send(message, port, address)
  })
  await new Promise<void>(resolve => socket.bind(0, '127.0.0.1', resolve))
  t.teardown(() => socket.close())
  return socket.address().port
}

export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN' | 'hangs'

/** A gRPC server whose services have these states; '' is the server itself. Gives its port. */
export async function grpcTarget(
  t: Test,
  services: Readonly<Record<string, ServingStatus>> | undefined,
  { isTls = false } = {},
): Promise<number> {
  const server = new grpc.Server()
  if (services !== undefined) await addHealth(server, services)
  const tls = [{ private_key: Buffer.from(testKey), cert_chain: Buffer.from(testCertificate) }]
  const credentials = isTls
    ? grpc.ServerCredentials.createSsl(null, tls)
    : grpc.ServerCredentials.createInsecure()
  t.teardown(() => server.forceShutdown())
  return new Promise((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
      error ? reject(error) : resolve(port),
    )
  })
}

/** Gives a server the health service, with these states. */
export async function addHealth(
  server: grpc.Server,
  services: Readonly<Record<string, ServingStatus>>,
): Promise<void> {
  const proto = join(import.meta.dirname, '../../proto/grpc/health.proto')
  const definitions = await load(proto, { enums: String })
  const service = definitions['grpc.health.v1.Health'] as grpc.ServiceDefinition
  server.addService(service, {
    Check(
      { request }: { request: { service: string } },
      answer: (error: object | null, value?: object) => void,
    ) {
      const status = services[request.service]
      if (status === undefined) answer({ code: grpc.status.NOT_FOUND, details: 'unknown service' })
      else if (status !== 'hangs') answer(null, { status })
    },
  })
}

/** An HTTP/2 target; gives its port. */
export async function h2Target(t: Test, isTls: boolean): Promise<number> {
  const server = isTls ? createSecureServer({ key: testKey, cert: testCertificate }) : createH2()
  const sessions = new Set<{ destroy(): void }>()
  server.on('session', session => sessions.add(session))
  server.on('sessionError', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const session of sessions) session.destroy()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** What a program in a container of the fake engine does. */
export interface FakeContainer {
  readonly exitCode: number
  /** What it says, with the stream (1 or 2) of each part; undefined when it never ends. */
  readonly says: readonly (readonly [stream: 1 | 2, text: string])[] | undefined
  readonly isPaused?: boolean
}

export interface FakeEngine {
  /** As DOCKER_HOST says it. */
  readonly host: string
  readonly socketPath: string
  /** The words of all programs that were run. */
  readonly ran: readonly (readonly string[])[]
  connections(): Promise<number>
}

/** A Docker engine of ours on a socket in a folder of its own. */
export async function dockerEngine(
  t: Test,
  containers: Readonly<Record<string, FakeContainer>>,
): Promise<FakeEngine> {
  const ran: string[][] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += chunk
    const [, what = '', id = '', verb = ''] = (request.url ?? '').split('/')
    const name = decodeURIComponent(id)
    const container = containers[name.replace(/^exec-/, '')]
    const json = (status: number, value: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
    }
    if (container === undefined) json(404, { message: `No such container: ${name}` })
    else if (container.isPaused) json(409, { message: `Container ${name} is paused` })
    else if (what === 'containers' && verb === 'exec') {
      ran.push(JSON.parse(body).Cmd)
      json(201, { Id: `exec-${name}` })
    } else if (verb === 'start') {
      response.writeHead(200, { 'content-type': 'application/vnd.docker.raw-stream' })
      response.flushHeaders()
      for (const [stream, text] of container.says ?? []) response.write(frameOf(stream, text))
      if (container.says !== undefined) response.end()
    } else json(200, { ExitCode: container.exitCode, Running: false })
  })
  const socketPath = join(freshFolder(t), 'docker.sock')
  await new Promise<void>(resolve => server.listen(socketPath, resolve))
  t.teardown(() => closeAll(server))
  const connections = (): Promise<number> =>
    new Promise(resolve => server.getConnections((_error, count) => resolve(count)))
  return { host: `unix://${socketPath}`, socketPath, ran, connections }
}

function frameOf(stream: 1 | 2, text: string): Buffer {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(Buffer.byteLength(text), 4)
  return Buffer.concat([header, Buffer.from(text)])
}

function closeAll(server: Server): void {
  server.closeAllConnections()
  server.close()
}

/** A folder with a `systemctl` of ours; a unit is in the state that its name says. */
export function systemctlFolder(t: Test): string {
  const folder = freshFolder(t)
  const text = `#!/bin/sh
for unit; do :; done
case "$unit" in
  hanging) exec sleep 60 ;;
  missing) printf 'LoadState=not-found\\nActiveState=inactive\\n' ;;
  broken) echo 'Failed to connect to bus' >&2; exit 1 ;;
  -*) printf 'LoadState=loaded\\nActiveState=%s\\n' "$*" ;;
  *) printf 'LoadState=loaded\\nActiveState=%s\\n' "$unit" ;;
esac
`
  writeFileSync(join(folder, 'systemctl'), text)
  chmodSync(join(folder, 'systemctl'), 0o755)
  return folder
}

/** The three definitions of one kind, and what its runs need. */
export interface KindTargets {
  readonly well: CheckDefinition
  readonly ill: CheckDefinition
  readonly hangs: CheckDefinition
  /** Whether a target that does not answer is passing. */
  readonly isSilenceWell?: boolean
  readonly dockerHost?: string
  readonly path?: string
  /** The definition that leads to this host; undefined for kinds that go to none. */
  at?(host: string): CheckDefinition
}

/** Targets of every kind that is run, by kind. */
export const targetsOf: Readonly<Record<string, (t: Test) => Promise<KindTargets>>> = {
  async http(t) {
    const port = await httpTarget(t, (request, response) => {
      if (request.url !== '/hangs') response.writeHead(request.url === '/well' ? 200 : 503).end()
    })
    const at = (path: string) => ({ http: `http://127.0.0.1:${port}/${path}` })
    return {
      well: at('well'),
      ill: at('ill'),
      hangs: at('hangs'),
      at: host => ({ http: `http://${host}:${port}/well` }),
    }
  },
  async tcp(t) {
    const { port } = await tcpTarget(t)
    return {
      well: { tcp: `127.0.0.1:${port}` },
      ill: { tcp: `127.0.0.1:${await closedPort()}` },
      // Nobody answers the TLS handshake.
      hangs: { tcp: `127.0.0.1:${port}`, tcpUseTls: true },
      at: host => ({ tcp: `${host}:${port}` }),
    }
  },
  async udp(t) {
    const port = await udpTarget(t, true)
    return {
      well: { udp: `127.0.0.1:${port}` },
      ill: { udp: `127.0.0.1:${await closedPort()}` },
      hangs: { udp: `127.0.0.1:${await udpTarget(t, false)}` },
      isSilenceWell: true,
      at: host => ({ udp: `${host}:${port}` }),
    }
  },
  async grpc(t) {
    const port = await grpcTarget(t, { '': 'SERVING', ill: 'NOT_SERVING', hangs: 'hangs' })
    const at = (service: string) => ({ grpc: `127.0.0.1:${port}/${service}` })
    return {
      well: at(''),
      ill: at('ill'),
      hangs: at('hangs'),
      at: host => ({ grpc: `${host}:${port}` }),
    }
  },
  async h2ping(t) {
    const port = await h2Target(t, false)
    const { port: silent } = await tcpTarget(t)
    return {
      well: { h2ping: `127.0.0.1:${port}` },
      ill: { h2ping: `127.0.0.1:${await closedPort()}` },
      hangs: { h2ping: `127.0.0.1:${silent}` },
      at: host => ({ h2ping: `${host}:${port}` }),
    }
  },
  script: async () => ({
    well: { scriptArgs: ['true'] },
    ill: { scriptArgs: ['sh', '-c', 'exit 2'] },
    hangs: { scriptArgs: ['sleep', '60'] },
  }),
  async docker(t) {
    const { host } = await dockerEngine(t, {
      well: { exitCode: 0, says: [] },
      ill: { exitCode: 2, says: [] },
      hangs: { exitCode: 0, says: undefined },
    })
    const at = (dockerContainerId: string) => ({ dockerContainerId, scriptArgs: ['check'] })
    return { well: at('well'), ill: at('ill'), hangs: at('hangs'), dockerHost: host }
  },
  os_service: async t => ({
    well: { osService: 'active' },
    ill: { osService: 'failed' },
    hangs: { osService: 'hanging' },
    path: `${systemctlFolder(t)}:${process.env.PATH}`,
  }),
}
