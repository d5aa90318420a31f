/**
 * Class 13, outgoing: whom the command line and the checks believe, by every switch that says so.
 * A name or an authority that does not fit ends the connection before anything was sent on it.
 */

import { createSecureServer } from 'node:http2'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import * as grpc from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { clientContext } from '../../src/base/io/tls.ts'
import { TlsMaterial } from '../../src/base/tls.ts'
import type { AgentTls } from '../../src/checks/define.ts'
import { runGrpc } from '../../src/checks/grpc.run.ts'
import { runH2ping } from '../../src/checks/h2ping.run.ts'
import { runHttp } from '../../src/checks/http.run.ts'
import { runTcp } from '../../src/checks/tcp.run.ts'
import { once } from '../checks/support.ts'
import { addHealth } from '../checks/targets.ts'
import { call } from '../cli/support.ts'
import { tempFolder } from '../clients/process.ts'
import { makeAuthority, type Pair } from '../x509/pki.ts'

const folder = tempFolder(t)
const ours = makeAuthority(folder, 'ours')
const foreign = makeAuthority(folder, 'foreign')
const web = ours.issue('web.example', { dnsNames: ['web.example'], addresses: [] })
const local = ours.issue('local')
const client = ours.issue('client', { uses: ['clientAuth'] })

async function listen(t: Test, server: Server | ReturnType<typeof createTlsServer>) {
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    if ('closeAllConnections' in server) server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

/** An agent that counts who came through, and the tokens that it was shown. */
async function agentOf(t: Test, pair: Pair): Promise<{ port: number; tokens: string[] }> {
  const tokens: string[] = []
  const server = createServer({ cert: pair.cert, key: pair.key }, (message, response) => {
    tokens.push(String(message.headers['x-consul-token']))
    response.end('["dc1"]')
  })
  server.on('tlsClientError', () => {})
  return { port: await listen(t, server), tokens }
}

t.test(
  'the command line: authority × name × CONSUL_HTTP_SSL_VERIFY × how TLS is asked for',
  async t => {
    const { port, tokens } = await agentOf(t, web)
    const authorities = {
      none: '',
      right: `-ca-file=${ours.certFile}`,
      wrong: `-ca-file=${foreign.certFile}`,
    }
    const names = {
      'as addressed': '',
      right: '-tls-server-name=web.example',
      wrong: '-tls-server-name=x.y',
    }
    const verify = { undefined: true, '': true, true: true, '1': true, false: false, '0': false }
    const asked = [
      { address: `https://127.0.0.1:${port}`, environment: {} },
      { address: `127.0.0.1:${port}`, environment: { CONSUL_HTTP_SSL: 'true' } },
      { address: `http://127.0.0.1:${port}`, environment: { CONSUL_HTTP_SSL: 'true' } },
    ]
    let served = 0
    for (const [authority, caFlag] of Object.entries(authorities)) {
      for (const [name, nameFlag] of Object.entries(names)) {
        for (const [text, verifies] of Object.entries(verify)) {
          for (const { address, environment } of asked) {
            const { code } = await call(
              `catalog datacenters -token=s3cret -http-addr=${address} ${caFlag} ${nameFlag}`,
              {
                environment: {
                  ...environment,
                  ...(text === 'undefined' ? {} : { CONSUL_HTTP_SSL_VERIFY: text }),
                },
              },
            )
            const isFine = !verifies || (authority === 'right' && name === 'right')
            if (isFine) served++
            t.equal(code, isFine ? 0 : 1, `${authority}, ${name}, verify ${text}, ${address}`)
          }
        }
      }
    }
    t.equal(tokens.length, served, 'nobody else was shown the token')
  },
)

/** A target of each kind that speaks TLS and wants a certificate of ours. */
async function targets(t: Test, pair: Pair) {
  const options = { cert: pair.cert, key: pair.key, ca: ours.cert, requestCert: true }
  const http = createServer(options, (_message, response) => void response.end('well'))
  const tcp = createTlsServer(options, socket => void socket.on('error', () => {}))
  const h2 = createSecureServer(options)
  for (const server of [http, tcp, h2]) server.on('tlsClientError', () => {})
  h2.on('sessionError', () => {})
  const sessions = new Set<{ destroy(): void }>()
  h2.on('session', session => sessions.add(session))
  t.teardown(() => {
    for (const session of sessions) session.destroy()
  })
  const rpc = new grpc.Server()
  await addHealth(rpc, { '': 'SERVING' })
  const credentials = grpc.ServerCredentials.createSsl(
    Buffer.from(ours.cert),
    [{ private_key: Buffer.from(pair.key), cert_chain: Buffer.from(pair.cert) }],
    true,
  )
  t.teardown(() => rpc.forceShutdown())
  const rpcPort = await new Promise<number>((resolve, reject) => {
    rpc.bindAsync('127.0.0.1:0', credentials, (error, port) =>
      error === null ? resolve(port) : reject(error),
    )
  })
  const at = (port: number): string => `127.0.0.1:${port}`
  const h2Port = await listen(t, h2 as unknown as Server)
  return [
    [runHttp, { http: `https://${at(await listen(t, http))}/` }],
    [runTcp, { tcp: at(await listen(t, tcp)), tcpUseTls: true }],
    [runH2ping, { h2ping: at(h2Port), h2pingUseTls: true }],
    [runGrpc, { grpc: at(rpcPort), grpcUseTls: true }],
  ] as const
}

const tlsOf = (pems: { pair?: Pair; ca: readonly Pair[] }, serverName: string): AgentTls => {
  const material = new TlsMaterial({
    ca: pems.ca.map(each => Buffer.from(each.cert)),
    ...(pems.pair === undefined
      ? {}
      : { cert: Buffer.from(pems.pair.cert), key: Buffer.from(pems.pair.key) }),
  })
  return { context: clientContext(material), pems: material.pems(), serverName }
}

t.test('checks over TLS: whom they believe, and what they show', async t => {
  for (const [start, definition] of await targets(t, web)) {
    const kind = Object.keys(definition)[0]
    const statusOf = async (agentTls: AgentTls | undefined, more = {}): Promise<string> => {
      const result = await once(start, { ...definition, ...more }, { agentTls: () => agentTls })
      return result.status
    }
    const shown = tlsOf({ pair: client, ca: [ours] }, 'web.example')
    t.equal(await statusOf(undefined), 'critical', `${kind}: an unknown authority`)
    t.equal(await statusOf(shown), 'passing', `${kind}: ours, by the name of the agent’s servers`)
    const wrongName = { tlsServerName: 'other.example' }
    t.equal(await statusOf(shown, wrongName), 'critical', `${kind}: another name`)
    const odd = tlsOf({ pair: client, ca: [ours] }, 'other.example')
    t.equal(await statusOf(odd), 'critical', `${kind}: another name of the agent’s servers`)
    t.equal(await statusOf(odd, { tlsServerName: 'web.example' }), 'passing', `${kind}: its own`)
    t.equal(await statusOf(odd, { tlsSkipVerify: true }), 'passing', `${kind}: looked at by nobody`)
    const strangers = tlsOf({ pair: client, ca: [foreign] }, 'web.example')
    t.equal(await statusOf(strangers), 'critical', `${kind}: authorities of others alone`)
  }
})

t.test('checks show the agent’s certificate only where they are told to', async t => {
  for (const [start, definition] of await targets(t, local)) {
    const kind = Object.keys(definition)[0]
    // A TCP check is over once it is connected: with TLS 1.3 before the target has looked.
    if (kind === 'tcp') continue
    const bare = tlsOf({ ca: [ours] }, 'local')
    const without = await once(start, definition, { agentTls: () => bare })
    t.equal(without.status, 'critical', `${kind} shows nothing`)
    const wrong = tlsOf({ pair: foreign.issue('client'), ca: [ours] }, 'local')
    const refused = await once(start, definition, { agentTls: () => wrong })
    t.equal(refused.status, 'critical', `${kind} shows one of others`)
    const shown = tlsOf({ pair: client, ca: [ours] }, 'local')
    const result = await once(start, definition, { agentTls: () => shown })
    t.equal(result.status, 'passing', `${kind}: ${result.output}`)
  }
})
