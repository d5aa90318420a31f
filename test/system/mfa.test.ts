/**
 * kill -9 while logins are finished by passcodes: one that was answered is finished afterwards, and
 * its passcode used; one that was not is finished with its passcode, or waits and that is good.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { systemClock } from '../../src/base/clock.ts'
import { seededRandom } from '../../src/base/prng.ts'
import { startDaemon } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { reached, untilBudget } from '../run/budget.ts'
import { Phone } from '../secrets/mfa/phone.ts'

const KILLS_MIN = 2
const KILLS_GOAL = 40
const PEOPLE = 12
const password = 'the same for all'

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

t.test('kill -9 while logins are finished', async t => {
  const dataDir = tempFolder(t)
  let daemon = await startDaemon(t, { dataDir })
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const { keys, root_token } = (await askSecrets(daemon, 'POST', 'sys/init', { body: shares })).body
  t.ok(await enterShares(daemon, keys))
  const ask = (path: string, body = {}, token: string = root_token) =>
    askSecrets(daemon, 'POST', path, { token, body })
  const login = (name: string) => ask(`auth/userpass/login/${name}`, { password }, '')
  await ask('sys/auth/userpass', { type: 'userpass' })
  const people = new Map<string, string>()
  for (let i = 0; i < PEOPLE; i++) {
    await ask(`auth/userpass/users/u${i}`, { password })
    people.set(`u${i}`, (await login(`u${i}`)).body.auth.entity_id)
  }
  let finished = 0
  let kills = 0
  await untilBudget(
    'kills while logins are finished',
    KILLS_GOAL,
    async () => {
      // Passcodes of an hour: what is used at the end of it is used up for the rest.
      const said = { issuer: 'x', method_name: `m${kills}`, period: '1h', qr_size: 0 }
      const { method_id } = (await ask('identity/mfa/method/totp', said)).body.data
      const phones = new Map<string, Phone>()
      for (const [name, entity_id] of people) {
        const to = { method_id, entity_id }
        const { url } = (await ask('identity/mfa/method/totp/admin-generate', to)).body.data
        phones.set(name, new Phone(url))
      }
      const means = { mfa_method_ids: [method_id], auth_method_types: ['userpass'] }
      await ask('identity/mfa/login-enforcement/all', means)
      const nowMs = systemClock.wall()
      const show = (id: string, name: string) => {
        const mfa_payload = { [method_id]: [phones.get(name)!.at(nowMs)] }
        return ask('sys/mfa/validate', { mfa_request_id: id, mfa_payload }, '')
      }
      const idOf = async (name: string): Promise<string> =>
        (await login(name)).body.auth.mfa_requirement.mfa_request_id
      const waiting = new Map<string, string>()
      for (const name of people.keys()) waiting.set(name, await idOf(name))
      const tokens = new Map<string, string>()
      const load = [...waiting].map(async ([name, id]) => {
        try {
          await sleep(below(40))
          const { status, body } = await show(id, name)
          if (status === 200) tokens.set(name, body.auth.client_token)
        } catch {
          // The daemon was killed.
        }
      })
      await sleep(below(60))
      await daemon.kill()
      await Promise.all(load)
      daemon = await startDaemon(t, { dataDir })
      t.ok(await enterShares(daemon, keys))
      for (const [name, id] of waiting) {
        const token = tokens.get(name)
        const again = await show(id, name)
        if (token !== undefined) {
          const self = await askSecrets(daemon, 'GET', 'auth/token/lookup-self', { token })
          if (self.status !== 200) t.fail('a token is lost')
        }
        if (token !== undefined && again.status !== 400) t.fail('a login was finished twice')
        if (![200, 400].includes(again.status)) t.fail(`a login is half: ${again.status}`)
        const reused = await show(await idOf(name), name)
        if (reused.status !== 403) t.fail('a passcode was taken twice')
      }
      finished += tokens.size
      kills += 1
    },
    KILLS_MIN,
  )
  reached('logins finished before a kill', finished)
  t.ok(kills >= KILLS_MIN)
})
