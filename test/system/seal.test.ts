/**
 * kill -9 while the barrier is founded, while its keys are exchanged and while new terms begin:
 * each has happened or it has not, and can be done again.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { seededRandom } from '../../src/base/prng.ts'
import { type Daemon, startDaemon } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { reached, untilBudget } from '../run/budget.ts'

const KILLS_MIN = 3
const KILLS_GOAL = 60

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

interface Keys {
  readonly keys: readonly string[]
  readonly root_token: string
}

const init = async (daemon: Daemon): Promise<Keys> => {
  const body = { secret_shares: 3, secret_threshold: 2 }
  const answer = await askSecrets(daemon, 'POST', 'sys/init', { body })
  if (answer.status !== 200) throw new Error(`init: ${answer.status}`)
  return answer.body as Keys
}

t.test('kill -9 while the barrier is founded', async t => {
  let founded = 0
  await untilBudget(
    'kills while the secrets are initialised',
    KILLS_GOAL,
    async () => {
      const dataDir = tempFolder(t)
      const first = await startDaemon(t, { dataDir })
      const asked = init(first).catch(() => undefined)
      await sleep(below(12))
      await first.kill()
      const answered = await asked
      const second = await startDaemon(t, { dataDir })
      const { initialized } = (await askSecrets(second, 'GET', 'sys/init')).body
      if (answered !== undefined && !initialized) t.fail('what was answered is gone')
      const keys = initialized ? answered : await init(second)
      if (initialized) founded++
      // Keys that nobody was told of are nobody's: the operator begins anew.
      if (keys !== undefined) t.ok(await enterShares(second, keys.keys.slice(1)), 'its shares open')
      await second.kill()
    },
    KILLS_MIN,
  )
  reached('initialisations that came before the kill', founded)
})

t.test('kill -9 while keys are exchanged', async t => {
  const dataDir = tempFolder(t)
  let daemon = await startDaemon(t, { dataDir })
  const { keys, root_token: token } = await init(daemon)
  let shares: readonly string[] = keys
  t.ok(await enterShares(daemon, shares.slice(0, 2)))
  const mounted = await askSecrets(daemon, 'POST', 'sys/mounts/kill', {
    token,
    body: { type: 'kv' },
  })
  t.equal(mounted.status, 204)
  let written = 0
  await untilBudget(
    'kills while keys are exchanged',
    KILLS_GOAL,
    async () => {
      const offered: (readonly string[])[] = []
      const load = [
        repeatedly(async () => {
          const row = { token, body: { at: written } }
          const { status } = await askSecrets(daemon, 'POST', `kill/${written}`, row)
          if (status === 204) written++
        }),
        repeatedly(() => askSecrets(daemon, 'POST', 'sys/rotate', { token })),
        repeatedly(() => askSecrets(daemon, 'POST', 'sys/rotate/root', { token })),
        repeatedly(() =>
          rekey(daemon, token, offered.at(-1) ?? shares, next => offered.push(next)),
        ),
      ]
      await sleep(below(400))
      await daemon.kill()
      await Promise.all(load)
      daemon = await startDaemon(t, { dataDir })
      shares = await whichOpen(t, daemon, [...offered.reverse(), shares])
      await allAreThere(t, daemon, token, written)
    },
    KILLS_MIN,
  )
  reached('rows that were written before a kill', written)
  t.ok(written > 0)
})

t.test('kill -9 between two shares: the attempt goes on', async t => {
  const dataDir = tempFolder(t)
  const first = await startDaemon(t, { dataDir })
  const { keys, root_token: token } = await init(first)
  t.ok(await enterShares(first, keys.slice(0, 2)))
  const begin = (path: string, body: object) => askSecrets(first, 'POST', path, { token, body })
  const rekeying = await begin('sys/rekey/init', { secret_shares: 2, secret_threshold: 2 })
  const rooting = await begin('sys/generate-root/attempt', {})
  const attempts = [
    { path: 'sys/rekey/update', nonce: rekeying.body.nonce },
    { path: 'sys/generate-root/update', nonce: rooting.body.nonce },
  ]
  for (const { path, nonce } of attempts) {
    t.match((await begin(path, { key: keys[0], nonce })).body, { progress: 1, nonce })
  }
  await first.kill()
  const second = await startDaemon(t, { dataDir })
  t.ok(await enterShares(second, keys.slice(1)))
  for (const { path, nonce } of attempts.reverse()) {
    const body = { key: keys[2], nonce }
    t.match((await askSecrets(second, 'POST', path, { token, body })).body, { complete: true })
  }
})

/** Does something again and again until the daemon is gone. */
async function repeatedly(work: () => Promise<unknown>): Promise<void> {
  try {
    for (;;) await work()
  } catch {
    // The daemon was killed.
  }
}

/** Exchanges the shares: the new ones are told before they are shown, and hold once all were. */
async function rekey(
  daemon: Daemon,
  token: string,
  shares: readonly string[],
  offer: (next: readonly string[]) => void,
): Promise<void> {
  const post = (path: string, body: object) => askSecrets(daemon, 'POST', path, { token, body })
  const asked = { secret_shares: 3, secret_threshold: 2, require_verification: true }
  const begun = (await post('sys/rotate/root/init', asked)).body
  // What a kill left under way is ended: the shares of one that was not shown are none.
  if (begun.data === undefined) {
    await askSecrets(daemon, 'DELETE', 'sys/rotate/root/init', { token })
    return
  }
  const { nonce } = begun.data
  await post('sys/rotate/root/update', { key: shares[0], nonce })
  const { body: made } = await post('sys/rotate/root/update', { key: shares[1], nonce })
  const next: readonly string[] | undefined = made.data?.keys
  if (next === undefined) {
    await askSecrets(daemon, 'DELETE', 'sys/rotate/root/init', { token })
    return
  }
  const { verification_nonce: shown } = made.data
  await post('sys/rotate/root/verify', { key: next[0], nonce: shown })
  offer(next)
  await post('sys/rotate/root/verify', { key: next[1], nonce: shown })
}

/** Those of the shares that hold: one set alone. */
async function whichOpen(
  t: Test,
  daemon: Daemon,
  sets: readonly (readonly string[])[],
): Promise<readonly string[]> {
  for (const shares of sets) if (await enterShares(daemon, shares.slice(1))) return shares
  t.fail('no shares open it')
  throw new Error('no shares open it')
}

/** Reads back what was acknowledged, whatever term it was sealed in. */
async function allAreThere(t: Test, daemon: Daemon, token: string, count: number): Promise<void> {
  const missing: number[] = []
  for (let at = 0; at < count; at += 1 + Math.floor(count / 200)) {
    const { status, body } = await askSecrets(daemon, 'GET', `kill/${at}`, { token })
    if (status !== 200 || body.data.at !== at) missing.push(at)
  }
  t.strictSame(missing, [])
}
