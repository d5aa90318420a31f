/**
 * kill -9 while codes are redeemed and keys rotate: a code that was answered with tokens is spent
 * afterwards, any other is whole or spent, and every identity token that was given is believed.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { seededRandom } from '../../src/base/prng.ts'
import { startDaemon } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { untilBudget } from '../run/budget.ts'

const KILLS_MIN = 2
const KILLS_GOAL = 40
const CODES = 40
const CALLERS = 4

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

const OIDC = 'identity/oidc'
const redirect_uri = 'https://shop.example.com/callback'

t.test('kill -9 while codes are redeemed', async t => {
  const dataDir = tempFolder(t)
  let daemon = await startDaemon(t, { dataDir })
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const { keys, root_token } = (await askSecrets(daemon, 'POST', 'sys/init', { body: shares })).body
  t.ok(await enterShares(daemon, keys))
  const ask = (method: string, path: string, body?: object, token: string = root_token) =>
    askSecrets(daemon, method, path, { token, ...(body && { body }) })
  await ask('POST', 'sys/auth/userpass', { type: 'userpass' })
  await ask('POST', 'auth/userpass/users/ann', { password: 'pw' })
  const login = await ask('POST', 'auth/userpass/login/ann', { password: 'pw' }, '')
  const ann = login.body.auth.client_token
  await ask('POST', `${OIDC}/key/ec`, { algorithm: 'ES256', allowed_client_ids: '*' })
  const about = { redirect_uris: redirect_uri, assignments: 'allow_all', key: 'ec' }
  t.equal((await ask('POST', `${OIDC}/client/shop`, about)).status, 204)
  const { client_id, client_secret } = (await ask('GET', `${OIDC}/client/shop`)).body.data
  const wish = { client_id, redirect_uri, response_type: 'code', scope: 'openid' }
  const give = async (): Promise<string> =>
    (await ask('POST', `${OIDC}/provider/default/authorize`, wish, ann)).body.code
  const redeem = (code: string) => {
    const shown = { code, redirect_uri, client_id, client_secret }
    const body = { grant_type: 'authorization_code', ...shown }
    return ask('POST', `${OIDC}/provider/default/token`, body, '')
  }
  const told = async () => (await ask('GET', `${OIDC}/provider/default/.well-known/keys`)).body
  await untilBudget(
    'kills while codes are redeemed',
    KILLS_GOAL,
    async () => {
      const codes = await Promise.all(Array.from({ length: CODES }, give))
      const waiting = [...codes]
      /** The identity token of each code that was answered with one. */
      const given = new Map<string, string>()
      let rotations = 0
      const untilKilled = async (step: () => Promise<void>) => {
        try {
          for (;;) await step()
        } catch {
          // The daemon was killed.
        }
      }
      const load = Array.from({ length: CALLERS }, () =>
        untilKilled(async () => {
          const code = waiting.shift()
          if (code === undefined) return sleep(1)
          const { status, body } = await redeem(code)
          if (status === 200) given.set(code, body.id_token)
        }),
      )
      const rotating = untilKilled(async () => {
        const { status } = await ask('POST', `${OIDC}/key/ec/rotate`, { verification_ttl: '2m' })
        if (status === 204) rotations++
        await sleep(20)
      })
      while (given.size === 0) await sleep(1)
      await sleep(below(60))
      await daemon.kill()
      await Promise.all([...load, rotating])
      daemon = await startDaemon(t, { dataDir })
      t.ok(await enterShares(daemon, keys))
      const keySet = createLocalJWKSet(await told())
      for (const [code, token] of given) {
        if ((await redeem(code)).status !== 400) t.fail('a code was redeemed twice')
        await jwtVerify(token, keySet, { audience: client_id })
      }
      for (const code of codes.filter(one => !given.has(one))) {
        const { status, body } = await redeem(code)
        if (status === 200) await jwtVerify(body.id_token, createLocalJWKSet(await told()))
        else if (body.error !== 'invalid_grant') t.fail(`a code is broken: ${body.error}`)
        if ((await redeem(code)).status !== 400) t.fail('a code was redeemed twice')
      }
      t.comment(`${given.size} codes answered, ${rotations} rotations`)
    },
    KILLS_MIN,
  )
})
