/**
 * Whoever has no right begins and ends nothing that key holders do together (CVE-2025-4656,
 * CVE-2025-52894, CVE-2026-5807): over HTTP, on every path of it, whatever is sent.
 */
import fc from 'fast-check'
import t from 'tap'
import { startDaemon } from '../clients/daemon.ts'
import type { Daemon } from '../clients/running.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { propertyRuns } from '../run/budget.ts'

const PATHS = [
  ...['rekey/init', 'rekey/update', 'rekey/verify', 'rekey/backup'],
  ...['rekey-recovery-key/init', 'rekey-recovery-key/update', 'rekey-recovery-key/verify'],
  ...['rotate/root/init', 'rotate/root/update', 'rotate/root/verify', 'rotate/root'],
  ...['rotate', 'rotate/keyring', 'rotate/config', 'seal', 'key-status'],
  ...['generate-root', 'generate-root/attempt', 'generate-root/update'],
]
const METHODS = ['GET', 'POST', 'PUT', 'DELETE']

async function opened(daemon: Daemon) {
  const body = { secret_shares: 3, secret_threshold: 2 }
  const made = (await askSecrets(daemon, 'POST', 'sys/init', { body })).body
  await enterShares(daemon, made.keys.slice(0, 2))
  return { keys: made.keys as string[], token: made.root_token as string }
}

t.test('attack: no token and tokens of nobody, on every path', async t => {
  const daemon = await startDaemon(t)
  const { keys, token } = await opened(daemon)
  const asked = { token, body: { secret_shares: 2, secret_threshold: 2 } }
  const rekey = (await askSecrets(daemon, 'POST', 'sys/rotate/root/init', asked)).body.data
  const root = (await askSecrets(daemon, 'POST', 'sys/generate-root/attempt', { token })).body
  for (const path of PATHS) {
    for (const method of METHODS) {
      for (const shown of ['', 'hvs.nobodynobodynobodynobody']) {
        const body = { key: keys[0]!, nonce: rekey.nonce, secret_shares: 1, secret_threshold: 1 }
        const more = method === 'DELETE' || method === 'GET' ? {} : { body }
        const { status } = await askSecrets(daemon, method, `sys/${path}`, {
          token: shown,
          ...more,
        })
        t.ok(status === 403 || status === 405, `${method} ${path}: ${status}`)
      }
    }
  }
  const status = await askSecrets(daemon, 'GET', 'sys/rotate/root/init', { token })
  t.match(status.body.data, { started: true, nonce: rekey.nonce, progress: 0 })
  const tokens = await askSecrets(daemon, 'GET', 'sys/generate-root/attempt', { token })
  t.match(tokens.body, { started: true, nonce: root.nonce, progress: 0 })
  t.match((await askSecrets(daemon, 'GET', 'sys/seal-status')).body, { sealed: false })
})

t.test('near miss: where they are open, a nonce is what counts', async t => {
  const open = `secrets { disable_unauthed_rekey_endpoints = false
    disable_unauthed_generate_root_endpoints = false }`
  const daemon = await startDaemon(t, { words: [`-hcl=${open}`] })
  const { keys } = await opened(daemon)
  const body = { secret_shares: 1, secret_threshold: 1 }
  const { nonce } = (await askSecrets(daemon, 'POST', 'sys/rekey/init', { body })).body
  const again = await askSecrets(daemon, 'POST', 'sys/rekey/init', { body })
  t.match(again, { status: 400, body: { errors: ['rekey already in progress'] } })
  t.equal((await askSecrets(daemon, 'DELETE', 'sys/rekey/init')).status, 400)
  t.equal((await askSecrets(daemon, 'DELETE', 'sys/rekey/init?nonce=x')).status, 400)

  await t.test('generated: no sequence of requests without it ends the attempt', async () => {
    const request = fc.record({
      method: fc.constantFrom('POST', 'PUT', 'DELETE'),
      path: fc.constantFrom('init', 'update', 'verify'),
      nonce: fc.oneof(fc.constant(''), fc.uuid(), fc.string({ maxLength: 40 })),
      key: fc.oneof(fc.constant(''), fc.constantFrom(...keys), fc.string({ maxLength: 70 })),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 4 }), async requests => {
        for (const { method, path, nonce: guess, key } of requests) {
          if (guess === nonce) continue
          const query = method === 'DELETE' ? `?nonce=${encodeURIComponent(guess)}` : ''
          const more = method === 'DELETE' ? {} : { body: { ...body, key, nonce: guess } }
          await askSecrets(daemon, method, `sys/rekey/${path}${query}`, more)
        }
        const status = (await askSecrets(daemon, 'GET', 'sys/rekey/init')).body
        return status.started === true && status.nonce === nonce && status.progress === 0
      }),
      { numRuns: propertyRuns() / 4 },
    )
  })

  for (const key of keys.slice(0, 2)) {
    const step = { body: { key, nonce } }
    await askSecrets(daemon, 'POST', 'sys/rekey/update', step)
  }
  t.match((await askSecrets(daemon, 'GET', 'sys/seal-status')).body, { n: 1, t: 1 })
  const ended = (await askSecrets(daemon, 'POST', 'sys/rekey/init', { body })).body.nonce
  t.equal((await askSecrets(daemon, 'DELETE', `sys/rekey/init?nonce=${ended}`)).status, 204)
})
