/**
 * kill -9 while roots rotate, certificates are given and taken back: what was answered is there
 * whole, with its key, and a certificate that was taken back stays so.
 */
import { randomBytes, X509Certificate } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { seededRandom } from '../../src/base/prng.ts'
import { startDaemon } from '../clients/daemon.ts'
import { tempFolder } from '../clients/process.ts'
import { askSecrets, enterShares } from '../clients/secrets.ts'
import { reached, untilBudget } from '../run/budget.ts'

const KILLS_MIN = 3
const KILLS_GOAL = 60
/** Few enough to be looked at after each kill. */
const ROOTS_AT_ONCE = 20

const seed = process.env.SEED ?? randomBytes(8).toString('hex')
t.comment(`seed ${seed} (set SEED to repeat its choices)`)
const random = seededRandom(Buffer.from(seed, 'hex'))
const below = (count: number): number => Math.floor(random.fraction() * count)

t.test('kill -9 while an authority works', async t => {
  const dataDir = tempFolder(t)
  let daemon = await startDaemon(t, { dataDir })
  const shares = { secret_shares: 1, secret_threshold: 1 }
  const founded = await askSecrets(daemon, 'POST', 'sys/init', { body: shares })
  const { keys, root_token: token } = founded.body
  t.ok(await enterShares(daemon, keys))
  const ask = (method: string, path: string, body = {}) =>
    askSecrets(daemon, method, path, { token, body })
  await ask('POST', 'sys/mounts/pki', { type: 'pki' })
  await ask('POST', 'pki/root/generate/internal', { common_name: 'Root', key_type: 'ec' })
  await ask('POST', 'pki/roles/any', { allow_any_name: true, key_type: 'ec', max_ttl: '24h' })
  /** Roots by id, with their certificates; certificates by serial number; those taken back. */
  const roots = new Map<string, string>()
  const given = new Map<string, string>()
  const revoked = new Map<string, number>()
  let name = 0

  const rotate = async () => {
    const issuer_name = `root-${++name}`
    const body = { common_name: 'Root', key_type: 'ec', issuer_name }
    const made = await ask('POST', 'pki/root/rotate/internal', body)
    if (made.status === 200) roots.set(made.body.data.issuer_id, made.body.data.certificate)
    await sleep(20)
  }
  const give = async () => {
    const made = await ask('POST', 'pki/issue/any', { common_name: 'a.example', ttl: '1h' })
    if (made.status !== 200) return
    const { serial_number: serial, certificate } = made.body.data
    given.set(serial, certificate)
    if (below(3) > 0) return
    const back = await ask('POST', 'pki/revoke', { serial_number: serial })
    if (back.status === 200) revoked.set(serial, back.body.data.revocation_time)
  }
  /** What was answered is there. */
  const look = async () => {
    for (const [id, certificate] of roots) {
      const { status, body } = await ask('GET', `pki/issuer/${id}`)
      if (status !== 200) t.fail(`the issuer ${id} is lost`)
      else if (body.data.certificate.trim() !== certificate) t.fail(`${id} is another one`)
      else if ((await ask('GET', `pki/key/${body.data.key_id}`)).status !== 200) t.fail('no key')
    }
    for (const [serial, certificate] of given) {
      const { status, body } = await ask('GET', `pki/cert/${serial}`)
      if (status !== 200) t.fail(`the certificate ${serial} is lost`)
      else if (body.data.certificate.trim() !== certificate) t.fail(`${serial} is another one`)
      const at = revoked.get(serial)
      if (at !== undefined && body.data.revocation_time !== at) t.fail(`${serial} came back`)
    }
    const listed = (await ask('GET', 'pki/issuers?list=true')).body.data
    const names = Object.values<{ issuer_name: string }>(listed.key_info).map(i => i.issuer_name)
    if (new Set(names).size !== names.length) t.fail('a name is there twice')
    for (const id of listed.keys) {
      const { body } = await ask('GET', `pki/issuer/${id}`)
      const own = new X509Certificate(body.data.certificate)
      if (!own.verify(own.publicKey) || body.data.key_id === '') t.fail('an issuer is not whole')
    }
  }
  await untilBudget(
    'kills while an authority works',
    KILLS_GOAL,
    async () => {
      const load = [rotate, give, give].map(async work => {
        try {
          for (;;) await work()
        } catch {
          // The daemon was killed.
        }
      })
      await sleep(below(400))
      await daemon.kill()
      await Promise.all(load)
      daemon = await startDaemon(t, { dataDir })
      t.ok(await enterShares(daemon, keys))
      await look()
      if (roots.size > ROOTS_AT_ONCE) {
        for (const id of roots.keys()) await ask('DELETE', `pki/issuer/${id}`)
        roots.clear()
      }
      reached('certificates that outlived a kill', given.size)
      given.clear()
    },
    KILLS_MIN,
  )
  t.ok(revoked.size > 0)
})
