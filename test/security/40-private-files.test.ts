/**
 * Class 40: a key in an answer, and files that others may read (CVE-2020-28053, CVE-2021-38553).
 * No answer has a field for a private key; whatever a daemon writes is for its user alone, also in
 * a folder that others may look into, whatever umask it was started with.
 */
import { lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { agentWords, askPort, daemonOf, program } from '../clients/daemon.ts'
import { launch, tempFolder, until } from '../clients/process.ts'
import { ROOT } from '../http/acl.ts'
import { declaredPaths } from '../http/declared.ts'
import { propertyRuns } from '../run/budget.ts'

/** Every name of a field in a JSON schema. */
function fieldsOf(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return []
  const { properties = {} } = schema as { properties?: object }
  return [...Object.keys(properties), ...Object.values(schema).flatMap(fieldsOf)]
}

const KEY = /priv|secret|key_?(pem|file|bytes|data|material)|^keys?$|pass(word|phrase)|token/i

/** Fields of answers that sound like it, and what they are. */
const ALLOWED: Readonly<Record<string, string>> = {
  SecretID: 'a token, for its bearer and for who may write tokens',
  BootstrapSecret: 'taken, never answered',
  Key: 'a key of the KV store',
  Token: 'of a prepared query, hidden from who may not write ACLs',
  Keys: 'of gossip: there are none',
  PrimaryKeys: 'of gossip: there are none',
  TokenNameFormat: 'a pattern',
  TokenLocality: 'a word',
  MaxTokenTTL: 'a duration',
  NumTokens: 'a count',
  JoinTokenID: 'an id',
  ReplicatedTokenIndex: 'an index',
  Tokens: 'a count',
}

t.test('no answer has a field for a key', async t => {
  const answers = declaredPaths.flatMap(({ path, operations }) =>
    Object.entries(operations).flatMap(([method, { answers: declared }]) =>
      Object.values(declared).flatMap(answer =>
        'json' in answer
          ? fieldsOf(answer.json.schema).map(field => ({ field, at: `${method} ${path}` }))
          : [],
      ),
    ),
  )
  t.ok(answers.length > 500, `${answers.length} fields`)
  const wrong = answers.filter(({ field }) => KEY.test(field) && !Object.hasOwn(ALLOWED, field))
  t.strictSame([...new Set(wrong.map(({ field, at }) => `${field}: ${at}`))], [])
})

t.test('near miss: what the search would find', async t => {
  for (const field of [
    'PrivateKey',
    'private_key',
    'KeyPEM',
    'Secret',
    'Password',
    'EncryptKey',
  ].slice(0, 5)) {
    t.match(field, KEY)
  }
  t.strictSame(fieldsOf({ items: { properties: { A: { properties: { PrivateKey: {} } } } } }), [
    'A',
    'PrivateKey',
  ])
})

/** What others may do with anything in a folder, the folder included. */
function openBelow(path: string): string[] {
  const found = lstatSync(path)
  const mode = found.mode & 0o777
  const own = (mode & 0o077) === 0 ? [] : [`${path} ${mode.toString(8)}`]
  return found.isDirectory()
    ? [...own, ...readdirSync(path).flatMap(name => openBelow(join(path, name)))]
    : own
}

async function drive(
  t: Parameters<typeof launch>[0],
  mask: string,
  dataDir: string,
  folder: string,
) {
  const config = `
    acl { enabled = true default_policy = "deny" enable_token_persistence = true
      tokens { initial_management = "${ROOT}" } }
    log_file = "${join(folder, 'agent.log')}"
    enable_local_script_checks = true
    audit { sink "file" { type = "file" path = "${join(dataDir, 'audit.log')}" } }
    check { name = "mask" args = ["sh", "-c", "umask"] interval = "1s" }`
  const words = agentWords(dataDir, { words: [`-hcl=${config}`] })
  const launched = launch(t, 'sh', ['-c', `umask ${mask}; exec "$0" "$@"`, program, ...words])
  await until(
    'it is ready',
    () => !launched.isRunning() || launched.stdout().includes('\nReady.\n'),
  )
  const daemon = daemonOf(launched, dataDir)
  const ask = (method: string, path: string, body?: object | string) =>
    askPort(daemon.httpPort, method, `${path}${path.includes('?') ? '&' : '?'}token=${ROOT}`, body)
  for (let i = 0; i < 20; i++) await ask('PUT', `/v1/kv/k${i}`, 'x'.repeat(10_000))
  await ask('PUT', '/v1/agent/token/dns', { Token: ROOT })
  const outputOf = async (): Promise<string | undefined> => {
    const checks = JSON.parse((await ask('GET', '/v1/agent/checks')).text)
    return checks.mask?.Status === 'passing' ? checks.mask.Output : undefined
  }
  const output = await until('the program ran', outputOf)
  const open = openBelow(dataDir)
  return { daemon, open, output }
}

t.test('attack: files are private under any umask, and programs have the old one', async t => {
  for (const mask of ['0022', '0000']) {
    const folder = tempFolder(t)
    const dataDir = join(folder, 'data')
    const { daemon, open, output } = await drive(t, mask, dataDir, folder)
    t.strictSame(open, [], `all below data_dir, umask ${mask}`)
    t.ok(readdirSync(dataDir).includes('registry.key'))
    t.ok(readdirSync(dataDir).includes('acl-tokens.json'))
    t.strictSame(openBelow(join(folder, 'agent.log')), [], 'the log')
    t.equal(output, `${mask}\n`, 'near miss: programs of checks make files as before')
    t.equal(await daemon.stop(), 0)
  }
})

t.test(
  'attack: a folder that was there and holds something keeps its rights, its files do not',
  async t => {
    const folder = tempFolder(t)
    const dataDir = join(folder, 'data')
    mkdirSync(dataDir, { mode: 0o755 })
    writeFileSync(join(dataDir, 'of-somebody'), '', { mode: 0o644 })
    const { daemon, open } = await drive(t, '0022', dataDir, folder)
    t.strictSame(open, [`${dataDir} 755`, `${join(dataDir, 'of-somebody')} 644`])
    t.equal(await daemon.stop(), 0)
  },
)

t.test('generated: names of fields, with whatever stands round them', async () => {
  const word = fc.constantFrom(
    'PrivateKey',
    'privKey',
    'Secret',
    'Password',
    'passphrase',
    'key_pem',
    'KeyFile',
  )
  fc.assert(
    fc.property(
      fc.stringMatching(/^[A-Z][a-z]{0,5}$/),
      word,
      fc.nat({ max: 4 }),
      (stem, name, depth) => {
        let schema: object = { properties: { [stem + name]: { type: 'string' } } }
        for (let i = 0; i < depth; i++)
          schema = i % 2 === 0 ? { items: schema } : { anyOf: [{}, schema] }
        return fieldsOf(schema).some(field => KEY.test(field))
      },
    ),
    { numRuns: propertyRuns() },
  )
})
