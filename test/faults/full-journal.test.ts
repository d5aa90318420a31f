/**
 * The disk is full under a daemon that keeps an audit trail: secrets are refused with the reason,
 * for what cannot be recorded is not answered, while DNS goes on; more room heals it.
 */
import { Resolver } from 'node:dns/promises'
import t from 'tap'
import { startDaemon } from '../clients/daemon.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { cannotMount, mountSmallDisk } from './disks.ts'

const MOST_REQUESTS = 20_000

t.test('a full disk under the journal', { skip: cannotMount }, async t => {
  const small = mountSmallDisk(t, 6_000)
  const dataDir = `${small.folder}/data`
  const words = ['-hcl=audit { enabled = true }']
  const daemon = await startDaemon(t, { dataDir, words })
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const founded = await askSecrets(daemon, 'POST', 'sys/init', { body: shares })
  const { keys, root_token: token } = founded.body
  t.ok(await enterShares(daemon, keys))
  const read = (at: number) =>
    askSecrets(daemon, 'GET', `sys/policies/acl/${'x'.repeat(1_000)}${at}`, { token })
  let asked = 0
  let last = await read(asked)
  while (last.status === 404 && asked < MOST_REQUESTS) last = await read(++asked)
  t.equal(last.status, 503, `after ${asked} requests`)
  t.match(JSON.stringify(last.body), /no space left on device/i)
  const resolver = new Resolver()
  resolver.setServers([`127.0.0.1:${daemon.dnsPort}`])
  t.same(await resolver.resolve4('consul.service.consul'), ['127.0.0.1'])
  t.equal((await askSecrets(daemon, 'GET', 'sys/seal-status')).status, 200)
  small.remount('size=24000k')
  await daemon.stop()
  const again = await startDaemon(t, { dataDir, words })
  t.ok(await enterShares(again, keys))
  t.equal((await askSecrets(again, 'GET', 'sys/policies/acl/none', { token })).status, 404)
})
