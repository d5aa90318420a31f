/**
 * Past holes: audit trails that showed tokens, raw bodies and headers, and logs that echoed what
 * was malformed (CVE-2024-8365, CVE-2025-62513, CVE-2025-62705, CVE-2026-46358, CVE-2025-4166,
 * CVE-2025-52893).
 *
 * Attack: secrets in every place of a request, well-formed and not. Near miss: what names things is
 * there. Generated: any request of a hundred kinds, with a secret planted anywhere.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { freshFolder } from '../fake/folder.ts'
import { type Draw, seeded } from '../fake/random.ts'
import { ROOT } from '../http/acl.ts'
import { type Face, startFace, until } from '../http/harness.ts'
import { isLong, untilBudget } from '../run/budget.ts'

const CANARY = 'canary7f3a'

const textOf = async ({ store }: Face): Promise<string> => {
  const records = await store.journal.read(1, 1_000)
  return records.map(({ text }) => text.toString('utf8')).join('\n')
}

const fileOf = (folder: string) => ({
  audit: {
    reads: true,
    sinks: [{ name: 'f', type: 'file', values: { type: 'file', path: join(folder, 'a.log') } }],
  },
  auditPorts: { folders: [folder] },
})

const HEADERS: readonly string[] = [
  ...['X-Consul-Token', 'Authorization', 'X-Vault-Token', 'Cookie', 'Content-Type', 'User-Agent'],
  ...['X-Forwarded-For', 'X-Consul-Namespace', 'Referer', 'Cache-Control', 'X-Policy-Override'],
]

t.test('attack: a secret in every place of a request', async t => {
  const folder = freshFolder(t)
  const face = await startFace(t, { acl: {}, ...fileOf(folder) })
  const { client } = face
  const root = { 'X-Consul-Token': ROOT }
  for (const name of HEADERS) {
    const headers = { ...root, [name]: name === 'Authorization' ? `Bearer ${CANARY}` : CANARY }
    await client.raw('PUT', '/v1/kv/a', 'v', { headers })
    await client.raw('GET', '/v1/kv/a', undefined, { headers })
  }
  for (const name of ['token', 'flags', 'cas', 'wait', 'filter', 'secret', '%zz', 'hash', 'note']) {
    await client.raw('PUT', `/v1/kv/a?${name}=${CANARY}`, 'v', { headers: root })
    await client.raw('GET', `/v1/catalog/nodes?${name}=${CANARY}`, undefined, { headers: root })
  }
  const bodies = [
    CANARY,
    `{"${CANARY}":1}`,
    `{"Name":"${CANARY}`,
    `["${CANARY}"]`,
    `"\\ud800${CANARY}`,
  ]
  for (const path of ['/v1/txn', '/v1/acl/token', '/v1/acl/login', '/v1/query', '/v1/config']) {
    for (const body of bodies) {
      await client.raw('PUT', path, body, { headers: root })
      await client.raw('POST', path, body, { headers: root })
    }
  }
  const text = await textOf(face)
  t.ok(text.split('\n').length > 60, 'there are records')
  t.notMatch(text, new RegExp(CANARY))
  t.notOk(text.includes(ROOT))
  await until(() => existsSync(join(folder, 'a.log')))
  t.notMatch(readFileSync(join(folder, 'a.log'), 'utf8'), new RegExp(`${CANARY}|${ROOT}`))
})

t.test('near miss: what names a thing is there, cut and escaped', async t => {
  const face = await startFace(t, { audit: {} })
  const { client } = face
  await client.put(`/v1/kv/${CANARY}/a?dc=dc1`, 'v')
  await client.raw('PUT', `/v1/kv/${'x'.repeat(6_000)}`, 'v')
  await client.raw('PUT', '/v1/kv/%E2%80%AEgpj.exe', 'v')
  const lines = (await textOf(face)).split('\n')
  t.match(lines[0], `"path":"/v1/kv/${CANARY}/a","query":{"dc":"dc1"}`)
  t.ok(lines[1]!.length < 5_000, 'a long path is cut')
  t.match(lines[2], String.raw`"path":"/v1/kv/\u202egpj.exe"`)
})

const PATHS = [
  ...['/v1/kv/k', '/v1/txn', '/v1/catalog/register', '/v1/agent/service/register', '/v1/config'],
  ...['/v1/session/create', '/v1/event/fire/e', '/v1/query', '/v1/acl/token', '/v1/acl/login'],
  ...['/v1/acl/policy', '/v1/agent/token/default', '/v1/coordinate/update', '/v1/catalog/nodes'],
]

/** A request with a secret somewhere; names of things are left alone. */
function planted(draw: Draw) {
  const place = draw.below(4)
  const noise = draw.pick(['', '"', '\\', '%00', '&', '=', "'", '\u0001', '{', 'é'])
  const secret = noise + CANARY + noise
  const headers: Record<string, string> = { 'X-Consul-Token': draw.pick([ROOT, '', 'unknown']) }
  if (place === 0) headers[draw.pick(HEADERS)] = CANARY
  const name = draw.pick(['token', 'flags', 'cas', 'x', 'index', 'wait', 'filter', 'near%00'])
  const query =
    place === 1 ? `?${name}=${encodeURIComponent(secret)}` : draw.pick(['', '?cas=1', '?x'])
  const json = JSON.stringify({ Name: 'n', Value: secret, SecretID: secret, [secret]: secret })
  const body = place === 2 ? json : place === 3 ? json.slice(0, draw.below(json.length)) : 'v'
  const method = draw.pick(['PUT', 'POST', 'GET', 'DELETE'])
  return { method, path: draw.pick(PATHS) + query, body, headers }
}

t.test('generated: no request makes a record with a secret in it', async t => {
  const face = await startFace(t, { acl: {}, audit: { reads: true } })
  let seen = 0
  const count = await untilBudget(
    'requests with a planted secret',
    20_000,
    async index => {
      const { method, path, body, headers } = planted(seeded(index))
      const sent = method === 'GET' ? undefined : body
      await face.client.raw(method, path, sent, { headers }).catch(() => {})
      const records = await face.store.journal.read(seen + 1, 1_000)
      for (const { sequence, text } of records) {
        seen = sequence
        const line = text.toString('utf8')
        if (line.includes(CANARY) || line.includes(ROOT)) throw new Error(`case ${index}: ${line}`)
      }
    },
    200,
  )
  t.ok(count >= (isLong ? 20_000 : 200))
  t.ok(seen > count / 5, `${seen} records`)
})
