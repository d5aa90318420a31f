/**
 * kill -9 while tokens are made: one that was answered is there afterwards under both of its names,
 * and one that was not is whole or not there.
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
const CALLERS = 4

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

t.test('kill -9 while tokens are made', async t => {
  const dataDir = tempFolder(t)
  let daemon = await startDaemon(t, { dataDir })
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const { keys, root_token } = (await askSecrets(daemon, 'POST', 'sys/init', { body: shares })).body
  t.ok(await enterShares(daemon, keys))
  const ask = (method: string, path: string, body = {}, token: string = root_token) =>
    askSecrets(daemon, method, path, { token, body })
  let made = 0
  await untilBudget(
    'kills while tokens are made',
    KILLS_GOAL,
    async () => {
      /** The accessor of each token that was answered. */
      const answered = new Map<string, string>()
      const load = Array.from({ length: CALLERS }, async () => {
        try {
          for (;;) {
            const { status, body } = await ask('POST', 'auth/token/create', { ttl: '1h' })
            if (status === 200) answered.set(body.auth.client_token, body.auth.accessor)
          }
        } catch {
          // The daemon was killed.
        }
      })
      // So that there is something to lose.
      while (answered.size === 0) await sleep(5)
      await sleep(below(200))
      await daemon.kill()
      await Promise.all(load)
      daemon = await startDaemon(t, { dataDir })
      t.ok(await enterShares(daemon, keys))
      for (const [token, accessor] of answered) {
        const { status, body } = await ask('GET', 'auth/token/lookup-self', {}, token)
        if (status !== 200 || body.data.accessor !== accessor) t.fail('a token is lost')
      }
      const accessors: string[] = (await ask('LIST', 'auth/token/accessors')).body.data.keys
      for (const accessor of answered.values()) {
        if (!accessors.includes(accessor)) t.fail('an accessor is lost')
      }
      for (const accessor of accessors) {
        const found = await ask('POST', 'auth/token/lookup-accessor', { accessor })
        if (found.status !== 200) t.fail('there is an accessor without its token')
      }
      made += answered.size
    },
    KILLS_MIN,
  )
  reached('tokens that were answered before a kill', made)
  t.ok(made > 0)
})
