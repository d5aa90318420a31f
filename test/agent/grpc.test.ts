/** gRPC of a whole server: where it listens, with certificates that a reload replaces. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as grpc from '@grpc/grpc-js'
import t, { type Test } from 'tap'
import { loadConfig, settleNodeId } from '../../src/agent/config-load.ts'
import { startAgent } from '../../src/agent/lifecycle.ts'
import { systemRandom } from '../../src/base/clock.ts'
import { silentLog } from '../../src/base/log.ts'
import { tempFolder } from '../clients/process.ts'
import { GrpcTestClient } from '../grpc/harness.ts'
import { type Authority, makeAuthority, type Pair } from '../x509/pki.ts'

const CHECK = { protoFile: 'grpc/health.proto', path: 'grpc.health.v1.Health/Check' } as const
const SECRETS = 'gatehouse.v1.Secrets'

async function start(t: Test, hcl: string) {
  const load = () =>
    loadConfig([
      { name: 'dev', value: true },
      { name: 'hcl', value: `ports { http = 0, dns = 0, server = -1 }\n${hcl}` },
    ])
  const loaded = await load()
  if ('problems' in loaded) throw new Error(loaded.problems.join('\n'))
  const config = await settleNodeId(loaded.config, systemRandom)
  const running = await startAgent(config, { log: silentLog, load, leave: () => {} })
  t.teardown(() => running.stop())
  return running
}

const trusting = (authority: Authority) => grpc.credentials.createSsl(Buffer.from(authority.cert))

t.test('in clear, with TLS and on a file; a reload takes over certificates', async t => {
  const folder = tempFolder(t)
  const [old, young] = [makeAuthority(tempFolder(t)), makeAuthority(tempFolder(t))]
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
  const write = (pair: Pair): void => {
    writeFileSync(cert, pair.cert)
    writeFileSync(key, pair.key, { mode: 0o600 })
  }
  write(old.issue('localhost'))
  const file = join(folder, 'grpc.sock')
  const running = await start(
    t,
    `tls { grpc { cert_file = "${cert}", key_file = "${key}" } }\n` +
      `addresses { grpc = "127.0.0.1 unix://${file}" }`,
  )
  const at = (face: string) => running.addresses.filter(one => one.face === face)
  t.match(at('grpc'), [{ host: '127.0.0.1' }, { host: `unix://${file}`, port: 0 }])
  const [secure] = at('grpc_tls')
  const serving = async (client: GrpcTestClient, service = '') =>
    (await client.call(CHECK, { service })).answers[0]?.status
  const clear = new GrpcTestClient(t, `127.0.0.1:${at('grpc')[0]?.port}`)
  t.equal(await serving(clear), 'SERVING')
  t.equal(await serving(clear, SECRETS), 'SERVING', 'unsealed')
  t.equal(await serving(new GrpcTestClient(t, `unix:${file}`)), 'SERVING')
  const address = `localhost:${secure?.port}`
  const first = new GrpcTestClient(t, address, trusting(old))
  t.equal(await serving(first), 'SERVING')
  write(young.issue('localhost'))
  t.strictSame(await running.reload(), [])
  t.equal(await serving(first), 'SERVING', 'its connection goes on')
  t.equal(await serving(new GrpcTestClient(t, address, trusting(young))), 'SERVING')
})

t.test('a half that is off is absent', async t => {
  const running = await start(t, 'secrets { enabled = false }')
  const { port } = running.addresses.find(({ face }) => face === 'grpc')!
  const client = new GrpcTestClient(t, `127.0.0.1:${port}`)
  t.equal((await client.call(CHECK, { service: SECRETS })).code, 'NOT_FOUND')
  t.equal((await client.raw(`/${SECRETS}/Read`, Buffer.alloc(0))).code, 'UNIMPLEMENTED')
})
