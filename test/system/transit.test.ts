/**
 * kill -9 while keys of transit rotate: a version that was answered is there, what it encrypts with
 * is what was told of it, and none is there in part.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { seededRandom } from '../../src/base/prng.ts'
import { startDaemon } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { reached, untilBudget } from '../run/budget.ts'

const KILLS_MIN = 3
const KILLS_GOAL = 60
const TYPES = {
  'aes256-gcm96': 'encryption-key',
  ed25519: 'signing-key',
  'rsa-2048': 'signing-key',
}

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

t.test('kill -9 while keys rotate', async t => {
  const dataDir = tempFolder(t)
  let daemon = await startDaemon(t, { dataDir })
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const founded = await askSecrets(daemon, 'POST', 'sys/init', { body: shares })
  const { keys, root_token: token } = founded.body
  t.ok(await enterShares(daemon, keys))
  const ask = (method: string, path: string, body = {}) =>
    askSecrets(daemon, method, path, { token, body })
  await ask('POST', 'sys/mounts/transit', { type: 'transit' })
  for (const type of Object.keys(TYPES)) {
    await ask('POST', `transit/keys/${type}`, { type, exportable: true })
  }
  /** What was answered last, and what each version was. */
  const latest = new Map(Object.keys(TYPES).map(type => [type, 1]))
  const known = new Map<string, string>()
  /** What was encrypted while keys rotated. */
  const ciphertexts: string[] = []
  const plaintext = Buffer.from('before the kill').toString('base64')
  await untilBudget(
    'kills while transit keys rotate',
    KILLS_GOAL,
    async () => {
      const load = Object.keys(TYPES).map(async type => {
        try {
          for (;;) {
            const { status, body } = await ask('POST', `transit/keys/${type}/rotate`)
            if (status === 200) latest.set(type, body.data.latest_version)
            if (type !== 'aes256-gcm96') continue
            const sealed = await ask('POST', `transit/encrypt/${type}`, { plaintext })
            if (sealed.status === 200) ciphertexts.push(sealed.body.data.ciphertext)
          }
        } catch {
          // The daemon was killed.
        }
      })
      await sleep(below(300))
      await daemon.kill()
      await Promise.all(load)
      daemon = await startDaemon(t, { dataDir })
      t.ok(await enterShares(daemon, keys))
      const batch_input = ciphertexts.map(ciphertext => ({ ciphertext }))
      if (batch_input.length > 0) {
        const opened = await ask('POST', 'transit/decrypt/aes256-gcm96', { batch_input })
        const results: { plaintext?: string }[] = opened.body.data.batch_results
        if (!results.every(one => one.plaintext === plaintext)) t.fail('a ciphertext is lost')
      }
      for (const [type, kind] of Object.entries(TYPES)) {
        const found = (await ask('GET', `transit/keys/${type}`)).body.data.latest_version
        const answered = latest.get(type)!
        if (found < answered || found > answered + 1) {
          t.fail(`${type} is at ${found} after ${answered} was answered`)
        }
        latest.set(type, found)
        const exported = (await ask('GET', `transit/export/${kind}/${type}`)).body.data.keys
        if (Object.keys(exported).length !== found) t.fail(`${type} lacks versions`)
        for (const [version, text] of Object.entries<string>(exported)) {
          const before = known.get(`${type} ${version}`)
          if (before !== undefined && before !== text) t.fail(`${type} ${version} is another one`)
          known.set(`${type} ${version}`, text)
        }
      }
    },
    KILLS_MIN,
  )
  reached('versions of transit keys that outlived a kill', known.size)
  t.ok(ciphertexts.length > 0)
  t.ok(known.size > Object.keys(TYPES).length)
})
