/**
 * Everything that the client does, one after the other; docs/client.md explains it.
 *
 *     ROLE_ID=… SECRET_ID=… node examples/tour.ts <server>...
 *
 * Needs a server whose secrets have an AppRole (policy: secret/data/*, pki/issue/*, auth/token/*),
 * a kv engine of version 2 at `secret` and a role `web` at `pki`.
 */
import { connect, GatehouseError } from 'gatehouse/client'

const servers = process.argv.slice(2)
let newestFence = 0
const { ROLE_ID: roleId = '', SECRET_ID: secretId = '' } = process.env

const client = connect({
  servers,
  secrets: { login: { method: 'approle', roleId, secretId } },
})

// Keys and values.
const index = await client.kv.put('app/color', 'blue')
const entry = await client.kv.get('app/color')
console.log('color', entry?.value.toString(), entry?.modifyIndex === index)
const stale = await client.kv.cas('app/color', 'red', index - 1)
const fresh = await client.kv.cas('app/color', 'green', index)
console.log('cas', stale, fresh !== undefined)

// A prefix that is followed.
const settings = await client.follow('kv', 'app/').ready()
settings.on('change', ({ kind, key, value }) => console.log(kind, key, value?.value.toString()))
await client.kv.put('app/size', '7')
await until(() => settings.get('app/size') !== undefined)

// A service that is offered, and found.
const web = await client.register({ name: 'web', address: '10.0.0.7', port: 8080, tags: ['v1'] })
const lookup = await client.lookup('web', { tags: ['v1'] }).ready()
await until(() => lookup.pick() !== undefined)
const { address, port } = lookup.pick()!
console.log('web', `${address}:${port}`, lookup.isLive, lookup.ageMs < 25_000)
await web.setStatus('critical', 'out of paper')
await until(() => lookup.instances().length === 0)
await web.deregister()

// A lock. What it protects is told the fencing index, and refuses a smaller one than it has seen.
const lock = await client.lock('locks/leader', { waitMs: 5_000 })
lock.lost.addEventListener('abort', () => console.log('stop at once:', lock.lost.reason))
await writeToDisk('important', lock.fencingIndex)
console.log('lock', lock.isHeld)
await lock.release()

// A secret that is kept fresh.
const secret = await client.secret('secret/data/app', { refreshMs: 60_000 })
secret.on('change', () => console.log('the secret is another one'))
console.log('secret', secret.data.data)

// A certificate that is replaced before it ends, as node:tls takes it.
const certificate = await client.certificate('web', { commonName: 'web.example.com' })
certificate.on('change', ({ serial }) => console.log('from now on', serial))
const { cert, key, notAfterMs } = certificate.current
console.log('certificate', cert.includes('BEGIN'), key.includes('KEY'), notAfterMs > Date.now())

// What goes wrong is a GatehouseError.
try {
  await client.register({ name: '', address: '10.0.0.7', port: 8080 })
} catch (error) {
  if (error instanceof GatehouseError) console.log(error.code, error.retryable, error.message)
}

await client.close()

/** What the lock protects: it remembers the largest index, and refuses who comes too late. */
async function writeToDisk(what: string, fencingIndex: number): Promise<void> {
  if (fencingIndex < newestFence) throw new Error('another holder has written since')
  newestFence = fencingIndex
  console.log('written', what)
}

/** The view follows a moment after a write. */
async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise(resolve => setTimeout(resolve, 10))
}
