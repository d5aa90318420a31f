/**
 * Class 13: a certificate of an agent taken for a server's (CVE-2021-37219). Every method that is
 * declared is called by whoever may not, over real connections.
 */
import t, { type Test } from 'tap'
import { foregroundClock } from '../../src/base/clock.ts'
import { openRpcServer, type RpcError } from '../../src/base/io/grpc.ts'
import { silentLog } from '../../src/base/log.ts'
import type { RpcHandler, RpcMethod } from '../../src/base/rpc.ts'
import type { TlsMaterial } from '../../src/base/tls.ts'
import { identityOf } from '../../src/cluster/names.ts'
import { openServerChannel } from '../../src/rpc/channels.ts'
import { rpcMethods } from '../../src/rpc/services.ts'
import { CLUSTER, channelWorld, clientPair, materialOf, serverPair } from '../rpc/trial.ts'
import { makeAuthority } from '../x509/pki.ts'

/** Says yes to everybody who is let through. */
const handlerOf = (method: RpcMethod): RpcHandler =>
  method.form === 'unary'
    ? { method, handle: async () => ({}) }
    : {
        method,
        open: (_call, out) => {
          out.end()
          return { onMessage() {}, onEnd() {} }
        },
      }

async function codeOf(t: Test, address: string, material: TlsMaterial, method: RpcMethod) {
  const channel = openServerChannel(
    [{ nodeId: '', address }],
    channelWorld(() => material),
  )
  t.teardown(() => channel.close())
  if (method.form === 'unary') {
    const call = channel.call(method, {} as never, { timeoutMs: 5_000 })
    return call.then(() => 'ok').catch((error: RpcError) => error.code)
  }
  return new Promise<string>(resolve => {
    const listener = { onMessage() {}, onEnd: (e?: RpcError) => resolve(e?.code ?? 'ok') }
    channel.open(method, listener)
  })
}

t.test('every method, by everybody', async t => {
  const ca = makeAuthority(t.testdir())
  const other = makeAuthority(t.testdir({ other: {} }), 'other')
  const material = materialOf(ca, serverPair(ca))
  const server = openRpcServer([rpcMethods.map(handlerOf)], {
    material: () => material,
    identify: certificate => identityOf(certificate, CLUSTER),
    isRefused: () => false,
    clock: foregroundClock,
    log: silentLog,
  })
  t.teardown(() => server.close())
  const { port } = await server.listen('127.0.0.1', 0)
  const callers = {
    nobody: materialOf(ca),
    stranger: materialOf(ca, serverPair(other)),
    client: materialOf(ca, clientPair(ca)),
    server: materialOf(ca, serverPair(ca)),
  }
  const expected = {
    anybody: { nobody: 'ok', stranger: 'ok', client: 'ok', server: 'ok' },
    agents: {
      ...{ nobody: 'UNAUTHENTICATED', stranger: 'UNAUTHENTICATED', client: 'ok', server: 'ok' },
    },
    servers: {
      ...{ nobody: 'UNAUTHENTICATED', stranger: 'UNAUTHENTICATED' },
      ...{ client: 'PERMISSION_DENIED', server: 'ok' },
    },
  }
  t.ok(rpcMethods.some(({ callers }) => callers === 'servers'))
  for (const method of rpcMethods) {
    for (const [name, shown] of Object.entries(callers)) {
      const code = await codeOf(t, `127.0.0.1:${port}`, shown, method)
      t.equal(
        code,
        expected[method.callers][name as keyof typeof callers],
        `${method.path} ${name}`,
      )
    }
  }
})
