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
  t.ok(await enterShares(back[1]!, keys.slice(2)))
  await untilAll('shares entered on one unseal all', back, false)
  for (const one of back) await readsOn(t, one, 'kv/a', 'hello', token)
})

async function write(t: Test, on: Daemon, path: string, body: object, token: string) {
  const { status } = await askSecrets(on, 'POST', path, { token, body })
  t.equal(status, 204, path)
}

async function readsOn(t: Test, on: Daemon, path: string, says: string, token: string) {
  const { status, body } = await askSecrets(on, 'GET', path, { token })
  t.match({ status, says: body.data?.says }, { status: 200, says }, path)
}
