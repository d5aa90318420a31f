/**
 * Class 23: secrets that turn up in logs, errors, metrics, audit records and files (CVE-2024-8365,
 * CVE-2025-62513, CVE-2025-62705, CVE-2026-46358, CVE-2025-4166, CVE-2025-52893).
 *
 * Some two hundred are planted in a real daemon with access control, TLS, audit and a log of
 * everything, by each way in: configuration, API, headers, URLs, bodies that parse and bodies that
 * do not. Then whatever it wrote or tells is searched. Values of the KV store may lie in the data
 * folder, which is not encrypted (docs/threat-model.md), and nowhere else.
 */
import { generateKeyPairSync, randomUUID, sign } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { request as requestSecure } from 'node:https'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { systemClock, systemRandom } from '../../src/base/clock.ts'
import { openLevelStore } from '../../src/store/level/engine.ts'
import { withSystemTables } from '../../src/store/local.ts'
import { registryTables } from '../../src/store/tables/mod.ts'
import { type Daemon, program, startDaemon } from '../clients/daemon.ts'
import { launch, tempFolder, until } from '../clients/process.ts'
import { declaredPaths } from '../http/declared.ts'
import { makeAuthority, replacePair } from '../x509/pki.ts'
import { Canaries } from './canaries.ts'

interface Answer {
  readonly status: number
  readonly text: string
  readonly headers: string
}

interface Sent {
  readonly token?: string
  readonly headers?: Readonly<Record<string, string>>
}

type Ask = (method: string, url: string, body?: string | object, sent?: Sent) => Promise<Answer>

/** Requests over TLS; answers are kept to be searched unless they are to show a secret. */
function asker(port: () => number, ca: string, kept: string[]) {
  const ask: Ask = (method, url, body = '', { token, headers = {} } = {}) => {
    const text = typeof body === 'string' ? body : JSON.stringify(body)
    const shown = token === undefined ? {} : { 'X-Consul-Token': token }
    return new Promise((resolve, reject) => {
      const asked = requestSecure(
        {
          ...{ host: '127.0.0.1', port: port(), method, path: url, ca, agent: false },
          headers: { 'Content-Length': Buffer.byteLength(text), ...shown, ...headers },
        },
        response => {
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.on('error', reject)
          response.on('end', () =>
            resolve({
              status: response.statusCode ?? 0,
              text: Buffer.concat(parts).toString('latin1'),
              headers: response.rawHeaders.join('\n'),
            }),
          )
        },
      )
      asked.on('error', reject)
      asked.end(text)
    })
  }
  /** The same, and what it answers must hold no secret, nor any value. */
  const probe: Ask = async (method, url, body, sent) => {
    const answer = await ask(method, url, body, sent)
    kept.push(`${answer.headers}\n${answer.text}`)
    return answer
  }
  return { ask, probe }
}

/** The name of a file with its folder cut off: folders differ from run to run. */
const inFolder = (found: readonly string[], folder: string): string[] =>
  found.map(each => each.replace(folder, ''))

interface Files {
  readonly cert: string
  readonly key: string
  readonly log: string
  readonly folder: string
}

function configOf(at: Files, planted: Canaries): string {
  const token = (name: string): string => `${name} = "${planted.uuid(`acl.tokens.${name}`)}"`
  return `
    node_name = "canary"
    log_file = "${at.log}"
    log_level = "trace"
    enable_debug = true
    telemetry { prometheus_retention_time = "1h" }
    ports { https = 0 }
    tls { https { cert_file = "${at.cert}" key_file = "${at.key}" } }
    acl {
      enabled = true
      default_policy = "deny"
      enable_token_persistence = true
      tokens {
        ${token('initial_management')}
        ${token('agent')}
        ${token('agent_recovery')}
        ${token('replication')}
        ${token('config_file_service_registration')}
        ${token('dns')}
      }
    }
    audit {
      reads = true
      allowed_folders = ["${at.folder}"]
      sink "file" { type = "file" path = "${join(at.folder, 'audit.log')}" }
    }
    service {
      name = "of-file"
      token = "${planted.uuid('token of a service of a file')}"
      check { name = "c" ttl = "1h" }
    }
    check { name = "of-file" ttl = "1h" token = "${planted.uuid('token of a check of a file')}" }
    watches = [{ type = "nodes", token = "${planted.uuid('token of a watch')}", args = ["true"] }]
  `
}

const b64 = (text: string): string => Buffer.from(text).toString('base64')
const b64url = (text: string): string => Buffer.from(text).toString('base64url')

const ALL = `agent_prefix "" { policy = "write" } key_prefix "" { policy = "write" }
  node_prefix "" { policy = "write" } service_prefix "" { policy = "write" }
  session_prefix "" { policy = "write" } event_prefix "" { policy = "write" }`

async function tokenFor(ask: Ask, asRoot: Sent, rules: string): Promise<string> {
  const name = `p-${randomUUID()}`
  await ask('PUT', '/v1/acl/policy', { Name: name, Rules: rules }, asRoot)
  const made = await ask('PUT', '/v1/acl/token', { Policies: [{ Name: name }] }, asRoot)
  return JSON.parse(made.text).SecretID
}

/** Paths that would end the daemon, and those whose body is a value, whatever it says. */
const NOT_TO_RUN = /agent\/(leave|drain|maintenance)|snapshot|force-leave|\/kv\/|event\/fire/

/** Bodies that hold a secret and that nobody can read. */
const BROKEN: readonly ((secret: string) => string)[] = [
  secret => `{"Token":"${secret}"`,
  secret => `{"Token":"${secret}"} "${secret}"`,
  secret => `${secret}`,
  secret => `{"Token":["${secret}"],"SecretID":{"a":"${secret}"},"Name":["${secret}"]}`,
  secret => `[{"KV":{"Verb":"${secret}"}},"${secret}"]`,
  secret => `{"token":"${secret}\u0001"}`,
  secret => `"${secret}"`,
]

/** Files of a configuration that is refused. */
const BAD_FILES: readonly ((good: string, secret: string) => string)[] = [
  (good, secret) => good.replace(/agent = ".*"/, `agent = "${secret}`),
  (good, secret) => good.replace(/agent = ".*"/, `agent = ["${secret}"]`),
  (good, secret) => good.replace(/agent = ".*"/, `agent = ${secret}`),
  (good, secret) => good.replace(/agent = ".*"/, `agentt = "${secret}"`),
  (good, secret) => `${good}\nservice { token = "${secret}" }`,
  (good, secret) => `${good}\nservice { name = "y" token = { a = "${secret}" } }`,
  (good, secret) => good.replace('deny', secret),
  (_good, secret) => `{"acl":{"tokens":{"agent":"${secret}"}}, "${'x'}": tru}`,
]

t.test('two hundred secrets, and none of them is found', async t => {
  const planted = new Canaries()
  const folder = tempFolder(t)
  const dataDir = join(folder, 'data')
  const kept: string[] = []
  const authority = makeAuthority(tempFolder(t))
  const web = authority.issue('web')
  const plantKey = (name: string, pem: string): void => {
    // Of the key's base64 what no other key has: 48 letters before it are the same for all.
    planted.plant(name, pem.split('\n').slice(1, -2).join('').slice(50, 110))
  }
  plantKey('the key of HTTPS', web.key)
  const log = join(folder, 'agent.log')
  const file = join(folder, 'agent.hcl')
  const config = configOf({ cert: web.certFile, key: web.keyFile, log, folder }, planted)
  writeFileSync(file, config)
  const root = /initial_management = "(.*)"/.exec(config)![1]!
  const words = [`-config-file=${file}`]
  let daemon: Daemon = await startDaemon(t, { dataDir, words })
  const starts = [daemon]
  const { ask, probe } = asker(() => daemon.httpsPort, authority.cert, kept)
  const asRoot: Sent = { token: root }

  // It takes ten seconds at least, in which all the rest happens.
  const asDebug = ['debug', '-duration=10s', '-interval=5s', `-output=${join(folder, 'debug')}`]
  const debugging = launch(t, program, asDebug, {
    env: { CONSUL_HTTP_ADDR: `http://127.0.0.1:${daemon.httpPort}`, CONSUL_HTTP_TOKEN: root },
  })

  // --- tokens: given ones, made ones, and one that came out of bootstrap's refusal
  await ask('PUT', '/v1/acl/policy', { Name: 'all', Rules: ALL }, asRoot)
  const given: string[] = []
  for (let i = 0; i < 20; i++) {
    const secret = planted.uuid(`SecretID ${i}`)
    const body = { SecretID: secret, Policies: [{ Name: 'all' }] }
    const { status } = await ask('PUT', '/v1/acl/token', body, asRoot)
    t.equal(status, 200)
    given.push(secret)
    // Once more: it is in use.
    await probe('PUT', '/v1/acl/token', body, asRoot)
  }
  for (let i = 0; i < 5; i++) {
    const made = await ask('PUT', '/v1/acl/token', { Policies: [{ Name: 'all' }] }, asRoot)
    planted.plant(`a SecretID that was made ${i}`, JSON.parse(made.text).SecretID)
  }
  await probe('PUT', '/v1/acl/bootstrap', { BootstrapSecret: planted.uuid('BootstrapSecret') })
  const agentKinds = ['default', 'agent', 'agent_recovery', 'replication', 'dns']
  for (const kind of [...agentKinds, 'config_file_service_registration', 'no-such-kind']) {
    const body = { Token: planted.uuid(`agent/token/${kind}`) }
    // With a token for `default` that nobody has, requests without one would be refused.
    if (kind !== 'default') await probe('PUT', `/v1/agent/token/${kind}`, body, asRoot)
  }

  // --- what carries tokens
  for (const [i, token] of given.slice(0, 6).entries()) {
    const url = `/v1/agent/service/register?token=${token}`
    t.equal((await probe('PUT', url, { Name: `s${i}`, Check: { TTL: '1h' } })).status, 200)
    await probe('PUT', '/v1/agent/check/register', { Name: `c${i}`, TTL: '1h' }, { token })
    const inQuery = { Name: `q${i}`, Token: token, Service: { Service: `s${i}` } }
    t.equal((await ask('POST', '/v1/query', inQuery, { token: root })).status, 200)
    await probe('GET', `/v1/query/q${i}/execute`, '', { token: root })
  }
  const inBody = planted.uuid('token in a registration')
  await probe('PUT', '/v1/agent/service/register', { Name: 'x', Token: inBody }, asRoot)

  const hook = {
    ...{ kind: 'webhook', services: ['s0'], token: given[0] },
    settings: {
      url: 'http://127.0.0.1:1/',
      secret: planted.word('key of a webhook'),
      headers: { Authorization: `Bearer ${planted.word('header of a webhook')}` },
    },
  }
  t.equal((await ask('PUT', '/v1/sinks/hook', hook, asRoot)).status, 200)
  await probe('GET', '/v1/sinks/hook', '', asRoot)
  await probe('GET', '/v1/sinks/hook?plan', '', asRoot)
  const wrongly = { ...hook, kind: 'webhook', timeout: planted.word('a wrong field of a sink') }
  await probe('PUT', '/v1/sinks/hook', wrongly, asRoot)

  // --- values
  const Header = { Authorization: [`Bearer ${planted.value('header of a check')}`] }
  const HTTP = 'http://127.0.0.1:1/'
  const checked = {
    Name: 'http',
    HTTP,
    Interval: '1s',
    Header,
    Body: planted.value('body of a check'),
  }
  t.equal((await probe('PUT', '/v1/agent/check/register', checked, asRoot)).status, 200)
  for (let i = 0; i < 10; i++) {
    await probe('PUT', `/v1/kv/k${i}`, planted.value(`value ${i}`), asRoot)
  }
  const txn = [{ KV: { Verb: 'set', Key: 'in-txn', Value: b64(planted.value('value in txn')) } }]
  t.equal((await ask('PUT', '/v1/txn', txn, asRoot)).status, 200)
  await ask('PUT', '/v1/event/fire/deploy', planted.value('payload of an event'), asRoot)

  // --- every path, with wrong tokens by each way and bodies that do not parse
  for (const [i, { path, operations }] of declaredPaths.entries()) {
    for (const method of Object.keys(operations)) {
      const url = path.replaceAll(/\{\w+\}/g, 'a')
      const goesOn = /monitor|metrics\/stream|snapshot|feed/.test(path)
      const wrong = planted.uuid(`wrong token, ${method} ${path}`)
      const ways: Sent[] = [
        { token: wrong },
        { headers: { Authorization: `Bearer ${wrong}` } },
        { headers: { 'x-vault-token': wrong } },
      ]
      const broken = BROKEN.map(make => make(wrong))
      if (!goesOn) await probe(method, url, broken[i % broken.length], ways[i % ways.length])
      await probe(method, `${url}?token=${wrong}`, broken[(i + 1) % broken.length])
      if (goesOn || method === 'GET' || NOT_TO_RUN.test(path)) continue
      // With all rights it is parsed, and refused then.
      for (const body of broken) await probe(method, url, body, asRoot)
    }
  }
  const jwt = ['{"alg":"RS256"}', '{"iss":"x"}', planted.word('signature of a JWT')].map(b64url)
  const bearer = planted.plant('a JWT', jwt.join('.'))
  await probe('POST', '/v1/acl/login', { AuthMethod: 'none', BearerToken: bearer })
  await probe('POST', '/v1/acl/login', `{"AuthMethod":"none","BearerToken":"${bearer}`)
  await probe('POST', '/v1/acl/logout', '', { token: bearer })
  await probe('GET', '/v1/kv/a', '', {
    headers: { Authorization: `Basic ${b64(planted.word('a password'))}` },
  })
  await probe('GET', '/v1/kv/a', '', { headers: { Cookie: `session=${planted.uuid('a cookie')}` } })
  await probe(
    'GET',
    `/v1/catalog/nodes?token=${planted.uuid('beside a bad filter')}&filter=%28`,
    '',
  )
  await probe('GET', `/v1/./kv/a?token=${planted.uuid('in a redirect of nobody')}`, '').then(
    ({ headers }) => {
      // A redirect must repeat the query, or clients of Consul lose their token on the way.
      t.match(headers, /\/v1\/kv\/a\?token=/)
      kept.pop()
    },
  )
  await probe('GET', `/v1/agent/services?token=${planted.uuid('filtered')}&wait=nonsense`, '')

  await logIn(t, { ask, probe, asRoot }, planted)

  // --- what it tells of itself
  for (const url of [
    ...['/v1/agent/self', '/v1/agent/host', '/v1/agent/metrics', '/v1/agent/services'],
    ...['/v1/agent/metrics?format=prometheus', '/v1/agent/checks', '/v1/openapi.json'],
    ...['/v1/catalog/services', '/v1/catalog/node/canary', '/v1/operator/usage'],
  ]) {
    const { status } = await probe('GET', url, '', asRoot)
    t.equal(status, 200, url)
  }
  const reader = {
    token: await tokenFor(ask, asRoot, 'acl = "read" query_prefix "" { policy = "read" }'),
  }
  for (const url of ['/v1/acl/tokens', '/v1/query', '/v1/acl/policies', '/v1/acl/roles']) {
    t.equal((await probe('GET', url, '', reader)).status, 200, url)
  }

  // --- a debugging archive, a snapshot
  t.equal(await debugging.ended, 0, debugging.stderr())
  const snapshot = await ask('GET', '/v1/snapshot', '', asRoot)
  t.equal(snapshot.status, 200)
  writeFileSync(join(folder, 'snapshot.tgz'), Buffer.from(snapshot.text, 'latin1'))

  // --- reloads: one that is taken, with another key, and some that are not
  const next = authority.issue('next')
  plantKey('the next key of HTTPS', next.key)
  replacePair(web, next)
  t.equal((await probe('PUT', '/v1/agent/reload', '', asRoot)).status, 200)
  const good = readFileSync(file, 'utf8')
  for (const [i, make] of BAD_FILES.entries()) {
    writeFileSync(file, make(good, planted.uuid(`in a bad file ${i}`)))
    t.equal((await probe('PUT', '/v1/agent/reload', '', asRoot)).status, 500, `bad file ${i}`)
    const start = launch(t, program, ['agent', `-config-file=${file}`, `-data-dir=${dataDir}`])
    t.not(await start.ended, 0)
    kept.push(start.stdout(), start.stderr())
  }
  writeFileSync(file, good)
  const foreign = authority.issue('foreign')
  plantKey('a key that does not fit', foreign.key)
  const keyBefore = readFileSync(web.keyFile)
  writeFileSync(web.keyFile, foreign.key)
  t.equal((await probe('PUT', '/v1/agent/reload', '', asRoot)).status, 500)
  writeFileSync(web.keyFile, keyBefore)

  // --- a kill, a restart, a restore, a stop
  kept.push(readFileSync(`/proc/${daemon.pid}/cmdline`, 'latin1'))
  await daemon.kill()
  daemon = await startDaemon(t, { dataDir, words })
  starts.push(daemon)
  await until(
    'it knows its tokens',
    async () => (await ask('GET', '/v1/acl/token/self', '', asRoot)).status === 200,
  )
  await probe('GET', '/v1/catalog/services', '', { token: given[0]! })
  kept.push(readFileSync(`/proc/${daemon.pid}/cmdline`, 'latin1'))
  t.equal(await daemon.stop(), 0)
  for (const one of starts) kept.push(one.stdout(), one.stderr())

  t.ok(planted.count >= 200, `${planted.count} canaries`)
  // The configuration is where they came from.
  writeFileSync(file, '')
  t.strictSame(
    inFolder(planted.foundBelow(folder, ['secret']), folder),
    [],
    'no secret in any file',
  )
  const told = [...new Set(kept.flatMap(text => planted.foundIn(text)))]
  t.strictSame(told, [], 'neither secret nor value in what was told')
  const logs = planted.foundIn(readFileSync(log))
  t.strictSame(logs, [], 'neither secret nor value in the log')
  const audit = readFileSync(join(folder, 'audit.log'))
  t.ok(audit.toString('latin1').split('\n').length > 500, 'much was recorded')
  t.strictSame(planted.foundIn(audit), [], 'neither secret nor value in what was recorded')
  const archive = gunzipSync(readFileSync(join(folder, 'debug.tar.gz')))
  t.strictSame(planted.foundIn(archive), [], 'neither secret nor value in the debugging archive')
  await t.test('rows, whatever LevelDB packs', t => searchRows(t, dataDir, planted))
})

/** LevelDB may compress its blocks: rows are searched as the store gives them. */
async function searchRows(t: Test, dataDir: string, planted: Canaries): Promise<void> {
  const tables = withSystemTables(registryTables)
  const options = { tables, clock: systemClock, random: systemRandom, acceptRevision: undefined }
  const store = await openLevelStore({ ...options, folder: join(dataDir, 'store') })
  let rows = 0
  let values = 0
  for (const table of tables) {
    for (const { key, row } of store.view().entries(table)) {
      const plain = (_name: string, value: unknown): unknown =>
        typeof value === 'bigint'
          ? String(value)
          : isBytes(value)
            ? Buffer.from(value.data).toString('latin1')
            : value
      const text = `${key}\n${JSON.stringify(row, plain)}`
      rows++
      values += planted.foundIn(text, ['value']).length
      const found = planted.foundIn(text, ['secret'])
      if (found.length > 0) t.fail(`a row of ${table.name} holds ${found.join()}`)
    }
  }
  await store.close()
  t.ok(rows > 50, `${rows} rows`)
  t.ok(values >= 10, 'near miss: the search finds values, which may lie there')
}

/** What JSON makes of a Buffer. */
const isBytes = (value: unknown): value is { readonly data: readonly number[] } =>
  typeof value === 'object' && value !== null && 'type' in value && value.type === 'Buffer'

/** Logins: some that are taken, and the same with something wrong. */
async function logIn(
  t: Test,
  { ask, probe, asRoot }: { ask: Ask; probe: Ask; asRoot: Sent },
  planted: Canaries,
): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const Config = {
    JWTValidationPubKeys: [publicKey.export({ type: 'spki', format: 'pem' })],
    BoundIssuer: 'us',
    ClaimMappings: { sub: 'name' },
  }
  const method = { Name: 'jwt', Type: 'jwt', MaxTokenTTL: '1h', Config }
  t.equal((await probe('PUT', '/v1/acl/auth-method', method, asRoot)).status, 200)
  const rule = { AuthMethod: 'jwt', BindType: 'service', BindName: 'web' }
  t.equal((await probe('PUT', '/v1/acl/binding-rule', rule, asRoot)).status, 200)
  for (let i = 0; i < 5; i++) {
    const exp = Math.floor(Date.now() / 1_000) + 600
    const claims = {
      iss: 'us',
      sub: `s${i}`,
      exp,
      iat: exp - 700,
      jti: planted.value(`claim ${i}`),
    }
    const signed = [{ alg: 'RS256', typ: 'JWT' }, claims].map(part => b64url(JSON.stringify(part)))
    const signature = sign('sha256', Buffer.from(signed.join('.')), privateKey).toString(
      'base64url',
    )
    const bearer = planted.plant(`the JWT of login ${i}`, [...signed, signature].join('.'))
    planted.plant(`its signature ${i}`, signature)
    const login = (BearerToken: string): object => ({ AuthMethod: 'jwt', BearerToken })
    const { status, text } = await ask('POST', '/v1/acl/login', login(bearer))
    t.equal(status, 200, text)
    const secret = planted.plant(`the token of login ${i}`, JSON.parse(text).SecretID)
    await probe('GET', '/v1/catalog/services', '', { token: secret })
    for (const wrong of [
      bearer.slice(0, -8),
      `x${bearer}`,
      `${bearer}.${bearer}`,
      signed.join('.'),
    ]) {
      t.not((await probe('POST', '/v1/acl/login', login(wrong))).status, 200)
    }
    await probe('POST', '/v1/acl/login', { AuthMethod: 'none', BearerToken: bearer })
    await probe('GET', '/v1/kv/a', '', { headers: { Authorization: `Bearer ${bearer}` } })
    if (i % 2 === 0) await probe('POST', '/v1/acl/logout', '', { token: secret })
  }
}

t.test('near miss: what is looked for is found, in each form', async t => {
  const planted = new Canaries()
  const secret = planted.word('one')
  const uuid = planted.uuid('two')
  for (const text of [
    secret,
    `"${JSON.stringify({ a: secret })}"`,
    `?token=${encodeURIComponent(secret)}&x`,
    secret.toUpperCase(),
    Buffer.from(secret).toString('hex'),
    ...['', 'x', 'xy', 'xyz'].map(before =>
      Buffer.from(`${before}${secret}after`).toString('base64'),
    ),
    Buffer.from(`?${secret}`).toString('base64url'),
  ]) {
    t.strictSame(planted.foundIn(`before ${text} after`), ['one'], text)
  }
  t.strictSame(planted.foundIn(uuid.replaceAll('-', '')), ['two'])
  t.strictSame(planted.foundIn(`${randomUUID()} ${secret.slice(0, 7)}`), [])
})
