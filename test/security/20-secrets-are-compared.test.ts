/**
 * Class 20: a secret is compared byte by byte, and the time tells how much of it was right
 * (GHSA-34fc-gh42-pj53, CVE-2023-25000). In our sources a secret is looked up by its keyed hash, or
 * compared by `timingSafeEqual`; whatever else compares something that is called one stands in the
 * table below, with its reason.
 */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { propertyRuns } from '../run/budget.ts'
import { none, sourcesOf } from '../tidy/source.ts'

/** What is called a secret, as the last word of a name. */
const WORDS = [
  ...['[sS]ecret(?:ID|Key)?', '[tT]oken', '[pP]assword', '[bB]earer', '[sS]ealed', '[sS]ignature'],
  ...['[cC]ookie', '[mM]ac', '[dD]igest', '[hH]mac'],
]
const SECRET = `[\\w.?!()#]*?(?:${WORDS.join('|')})!?`
/** Compared with what says nothing of it; the contents of strings are blank here. */
const HARMLESS = String.raw`(?:''|\s|$|undefined|null|true|false|typeof\b|\d)`
const COMPARED = [
  new RegExp(`${SECRET} [!=]==? (?!${HARMLESS})`, 'g'),
  new RegExp(String.raw`(?<!typeof )(?<!${HARMLESS}) [!=]==? ${SECRET}(?![\w.(])`, 'g'),
  new RegExp(
    String.raw`${SECRET}\.(?:startsWith|endsWith|includes|indexOf|localeCompare|equals)\(`,
    'g',
  ),
]

/** Comparisons that tell nobody anything: by file, the words that are compared, and why. */
const ALLOWED: readonly (readonly [file: string, code: string, why: string])[] = [
  ['src/agent/certificates.ts', '?.digest !==', 'a digest of certificates'],
  ['src/agent/parts.ts', 'digest !== material.digest', 'a digest of certificates'],
  ['src/base/io/rpc-listener.ts', 'digest === material.digest', 'a digest of certificates'],
  ['src/cluster/ca.run.ts', 'keyDigest', 'a digest of a public key'],
  ['src/cluster/ca.ts', 'keyDigest', 'a digest of a public key'],
  ['src/registry/query-interest.ts', 'token === HIDDEN_TOKEN', 'with the text that hides one'],
  ['src/rpc/channels.ts', '#digest === material.digest', 'a digest of certificates'],
  ['src/client/token.ts', 'refused !== this.#token', 'of one who has both himself'],
  ['src/feed/sink/exec/target.run.ts', 'digest === this.#taken', 'a digest of a state'],
  ['src/feed/sink/stored.ts', 'sealed !== sealedBefore', 'the same row, sealed'],
  ['src/feed/sink/task.run.ts', 'digest', 'a digest of a state'],
  ['src/feed/sink/task.ts', 'digest', 'a digest of a state'],
  ['src/feed/sink/webhook/target.run.ts', 'digest === this.#taken', 'a digest of a state'],
  ['src/feed/token.ts', '!== token', 'a place in a feed, which is no secret'],
  ['src/secrets/audit.ts', 'known?.token === token', 'the same row, not what is in it'],
  ['src/cli/secrets/client.ts', 'token !== this.token', 'of one who types both himself'],
  ['src/secrets/barrier/pgp.ts', 'tag === Tag.signature', 'the number of a packet'],
  ['src/secrets/engine/kv/versioned.ts', 'secret?.currentVersion', 'the number of a version'],
  ['src/secrets/engine/sys/wrapping.ts', 'token !== secret', 'of one who shows both himself'],
  ['src/secrets/token/batch.ts', 'startsWith(BATCH_PREFIX)', 'the beginning that all have'],
  ['src/store/etcd/channel.ts', '#token === login', 'the same promise, not what is in it'],
  ['src/store/etcd/channel.ts', '?.digest !==', 'a digest of certificates'],
  [
    'src/agent/publishers.ts',
    'sealer.open(kept) === token',
    'nobody is told: one of two seals stays',
  ],
  ['src/http/registry/acl-token.ts', 'given.SecretID ===', 'with the text that hides one'],
  ['src/identity/token.ts', 'request.secretKey !== key', 'keyed hashes'],
  ['src/registry/query.run.ts', 'token === HIDDEN_TOKEN', 'with the text that hides one'],
  ['src/registry/query.ts', 'token === HIDDEN_TOKEN', 'with the text that hides one'],
  ['src/store/etcd/lane.ts', 'now.token === next.token', 'who wrote a batch, known to all servers'],
  ['src/wire/dns/questions.ts', 'code === OptionCode.cookie', 'the number of an option'],
]

interface Found {
  readonly file: string
  readonly line: number
  readonly code: string
}

function comparisonsIn(file: string, code: string): Found[] {
  return code
    .split('\n')
    .flatMap((text, at) =>
      COMPARED.some(pattern => new RegExp(pattern).test(text))
        ? [{ file, line: at + 1, code: text.trim() }]
        : [],
    )
}

t.test('our sources compare no secret by its bytes', async t => {
  const found = sourcesOf('src').flatMap(({ path, code }) => comparisonsIn(path, code))
  const isAllowed = ({ file, code }: Found): boolean =>
    ALLOWED.some(([path, text]) => path === file && code.includes(text))
  none(
    t,
    found.filter(one => !isAllowed(one)).map(({ file, line, code }) => `${file}:${line}: ${code}`),
  )
  const unused = ALLOWED.filter(
    ([path, text]) => !found.some(one => one.file === path && one.code.includes(text)),
  )
  t.strictSame(unused, [], 'every exception is one')
})

t.test('near miss: what the search finds, and what it lets pass', async t => {
  for (const code of [
    'if (token === own.token) return',
    'return shown !== secret',
    'a.SecretID === b.SecretID',
    'if (password == given) x()',
    'return token.startsWith(known)',
    'known === this.#secret',
    'signature === expected',
  ]) {
    t.equal(comparisonsIn('x.ts', code).length, 1, code)
  }
  for (const code of [
    "if (token === '') return",
    'token === undefined ? a : b',
    'typeof token === 0',
    'tokens.size === 3',
    'tokenKey === other.tokenKey',
    'secretOf(row)',
  ]) {
    t.equal(comparisonsIn('x.ts', code).length, 0, code)
  }
})

t.test('who compares in constant time', async t => {
  const users = sourcesOf('src').filter(({ code }) => /\btimingSafeEqual\(/.test(code))
  t.ok(users.length > 0)
  for (const { path, text } of users) {
    t.match(readFileSync(path, 'utf8'), /from 'node:crypto'/, path)
    t.match(
      text,
      /length === \w+\.length && timingSafeEqual|\.length !==? \w+|digest|hash/i,
      `${path}: equal lengths first`,
    )
  }
})

t.test('generated: whatever it is called, and on whichever side', async () => {
  const before = fc.constantFrom('', 'own.', 'this.#', 'row!.', 'a.b?.', 'given')
  const word = fc.constantFrom('token', 'Token', 'secret', 'SecretID', 'password', 'mac', 'digest')
  const operator = fc.constantFrom('===', '!==', '==', '!=')
  const other = fc
    .stringMatching(/^[a-su-z][a-zA-Z]{3,9}$/)
    .filter(name => !/^(true|null)/.test(name))
  fc.assert(
    fc.property(before, word, operator, other, fc.boolean(), (stem, last, op, name, isLeft) => {
      const code = isLeft
        ? `if (${stem}${last} ${op} ${name}) x()`
        : `if (${name} ${op} ${stem}${last}) x()`
      return comparisonsIn('x.ts', code).length === 1
    }),
    { numRuns: propertyRuns() },
  )
})
