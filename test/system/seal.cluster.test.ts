/**
 * Three servers and their seals: shares entered once open all, a restart needs nobody, an operator
 * seals all, and whoever follows reads what the others write.
 */
import t, { type Test } from 'tap'
import type { Daemon } from '../clients/daemon.ts'
import { until } from '../clients/process.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { foundCluster } from '../clients/target.ts'
import { absent } from '../run/clients.ts'

const isSealed = async (daemon: Daemon): Promise<boolean> =>
  (await askSecrets(daemon, 'GET', 'sys/seal-status')).body.sealed

const untilAll = (what: string, daemons: readonly Daemon[], sealed: boolean) =>
  until(what, async () => {
    const states = await Promise.all(daemons.map(isSealed))
    return states.every(state => state === sealed)
  })

t.test('a cluster, sealed and unsealed', { skip: absent('etcd') }, async t => {
  const { servers: began, restart } = await foundCluster(t, {
    wordsOf: at => [`-node=server-${at}`],
  })
  const servers = [...began]
  const [first, second, third] = servers as [Daemon, Daemon, Daemon]
  const body = { secret_shares: 5, secret_threshold: 3 }
  const made = await askSecrets(second, 'POST', 'sys/init', { body })
  t.equal(made.status, 200)
  const { keys, root_token: token } = made.body
  await until('all know of it', async () => {
    const told = await Promise.all(servers.map(one => askSecrets(one, 'GET', 'sys/init')))
    return told.every(({ body }) => body.initialized)
  })
  const again = await askSecrets(third, 'POST', 'sys/init', { body })
  t.strictSame(again.body, { errors: ['Vault is already initialized'] })
  t.ok(await enterShares(first, keys.slice(0, 3)))
  await untilAll('all are unsealed by the first', servers, false)
  await write(t, first, 'sys/mounts/kv', { type: 'kv' }, token)
  await write(t, second, 'kv/a', { says: 'hello' }, token)
  await readsOn(t, third, 'kv/a', 'hello', token)

  const startedMs = performance.now()
  await third.stop()
  servers[2] = await restart(2)
  await untilAll('the third is unsealed again', servers, false)
  t.comment(
    `stopped, started and unsealed again in ${Math.round(performance.now() - startedMs)} ms`,
  )
  await write(t, first, 'sys/rotate', {}, token)
  await write(t, servers[2]!, 'sys/rotate/root', {}, token)
  await write(t, second, 'sys/rotate', {}, token)
  await write(t, second, 'kv/b', { says: 'newer' }, token)
  for (const one of servers) await readsOn(t, one, 'kv/b', 'newer', token)

  const shares = await rekeyOverAll(t, servers, { keys, token })
  await rootTokenOverAll(t, servers, { keys: shares, token })

  t.equal((await askSecrets(second, 'POST', 'sys/seal')).status, 403)
  await write(t, second, 'sys/seal', {}, token)
  await untilAll('an operator seals all', servers, true)
  const refused = await askSecrets(first, 'GET', 'kv/a', { token })
  t.match(refused, { status: 503, body: { errors: ['Vault is sealed'] } })
  const registry = await first.ask('PUT', '/v1/kv/registry', 'goes on')
  t.equal(registry.status, 200, 'the registry goes on')
  await Promise.all(servers.map(one => one.stop()))
  const back = await Promise.all([0, 1, 2].map(at => restart(at)))
  t.strictSame(await Promise.all(back.map(isSealed)), [true, true, true])
  t.ok(await enterShares(back[1]!, shares.slice(1)))
  await untilAll('shares entered on one unseal all', back, false)
  for (const one of back) await readsOn(t, one, 'kv/a', 'hello', token)
})

interface Holder {
  readonly keys: readonly string[]
  readonly token: string
}

/** Asks for something at the next server each time, as a client behind a balancer does. */
function byTurns(servers: readonly Daemon[], token: string) {
  let at = 0
  return (method: string, path: string, body?: object) =>
    askSecrets(servers[at++ % servers.length]!, method, path, { token, ...(body && { body }) })
}

/** Exchanges the shares, each step at another server; gives the new ones. */
async function rekeyOverAll(t: Test, servers: readonly Daemon[], { keys, token }: Holder) {
  const ask = byTurns(servers, token)
  const wanted = { secret_shares: 4, secret_threshold: 3, require_verification: true }
  const { nonce } = (await ask('POST', 'sys/rekey/init', wanted)).body
  const again = await ask('POST', 'sys/rekey/init', wanted)
  t.strictSame(again.body, { errors: ['rekey already in progress'] })
  t.match((await ask('GET', 'sys/rekey/init')).body, { nonce, t: 3, n: 4, started: true })
  for (const [at, key] of keys.slice(1, 3).entries()) {
    const body = { nonce, progress: at + 1 }
    t.match((await ask('POST', 'sys/rekey/update', { key, nonce })).body, body)
    t.match((await ask('GET', 'sys/rekey/init')).body, body)
  }
  const made = (await ask('POST', 'sys/rekey/update', { key: keys[3], nonce })).body
  t.match(made, { complete: true, verification_required: true })
  const { verification_nonce: shown, keys: shares } = made
  for (const key of shares.slice(0, 2)) await ask('POST', 'sys/rekey/verify', { key, nonce: shown })
  t.match((await ask('GET', 'sys/rekey/verify')).body, { progress: 2, nonce: shown })
  const last = await ask('POST', 'sys/rekey/verify', { key: shares[2], nonce: shown })
  t.match(last.body, { complete: true })
  t.match((await ask('GET', 'sys/rekey/init')).body, { started: false })
  return shares as readonly string[]
}

/** Makes a root token, each share at another server. */
async function rootTokenOverAll(t: Test, servers: readonly Daemon[], { keys, token }: Holder) {
  const ask = byTurns(servers, token)
  const ended = (await ask('POST', 'sys/generate-root/attempt', {})).body
  t.equal((await ask('DELETE', 'sys/generate-root/attempt')).status, 204)
  const { nonce, otp } = (await ask('POST', 'sys/generate-root/attempt', {})).body
  t.not(nonce, ended.nonce)
  for (const [at, key] of keys.slice(0, 2).entries()) {
    const { body } = await ask('POST', 'sys/generate-root/update', { key, nonce })
    t.match(body, { progress: at + 1, complete: false })
  }
  const done = (await ask('POST', 'sys/generate-root/update', { key: keys[2], nonce })).body
  t.match(done, { complete: true, nonce })
  const { encoded_token } = done
  const { data } = (await ask('POST', 'sys/decode-token', { encoded_token, otp })).body
  const looked = await byTurns(servers, data.token)('GET', 'auth/token/lookup-self')
  t.match(looked.body, { data: { policies: ['root'] } })
}

async function write(t: Test, on: Daemon, path: string, body: object, token: string) {
  const { status } = await askSecrets(on, 'POST', path, { token, body })
  t.equal(status, 204, path)
}

async function readsOn(t: Test, on: Daemon, path: string, says: string, token: string) {
  const { status, body } = await askSecrets(on, 'GET', path, { token })
  t.match({ status, says: body.data?.says }, { status: 200, says }, path)
}
