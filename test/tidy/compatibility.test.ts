/**
 * docs/compatibility.md against the sources, both ways: endpoints, services of gRPC, DNS forms,
 * check kinds, configuration keys, flags, variables, verbs, and the tests that its traps name.
 *
 * The page holds tables whose first column is a key; a row is `| key | status | note |`.
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { sourceFlags } from '../../src/agent/config-load.ts'
import { agentFlags } from '../../src/agent/config-read.ts'
import {
  type LaterKey,
  later as laterKeys,
  served as servedKeys,
} from '../../src/agent/config-schema.ts'
import { vaultBlocks, vaultLater, vaultServed } from '../../src/agent/vault/keys.ts'
import { checkKinds } from '../../src/checks/mod.ts'
import { laterVerbs, neverVerbs, verbs } from '../../src/cli/run.ts'
import { variables as secretsVariables } from '../../src/cli/secrets/flags.ts'
import { laterSecretsVerbs, neverSecretsVerbs, secretsVerbs } from '../../src/cli/secrets/verbs.ts'
import { laterServerFlags, serverFlags } from '../../src/cli/server.ts'
import { forms } from '../../src/dns/form/mod.ts'
import { laterServices } from '../../src/grpc/later.ts'
import type { PathDeclaration } from '../../src/http/declare.ts'
import { laterPaths } from '../../src/http/registry/mod.ts'
import { everyMethod, serviceOf } from '../grpc/every-method.ts'
import { declaredPaths } from '../http/declared.ts'
import { type DeclaredPath, declaredSecretsPaths, isLater } from '../secrets/declared.ts'
import { filesOf, none, root, textOf } from './source.ts'

interface Row {
  readonly key: string
  readonly status: 'works' | 'differs' | 'later' | 'never'
  readonly note: string
}

const sections = new Map(
  textOf('docs/compatibility.md')
    .split(/^## /m)
    .slice(1)
    .map(section => [section.split('\n', 1)[0] ?? '', rowsOf(section)]),
)

function rowsOf(section: string): Row[] {
  const lines = [...section.matchAll(/^\| (.+?) \| (.+?) \| ?(.*?) ?\|$/gm)]
  return lines
    .map(([, key = '', status = '', note = '']) => ({ key, status, note }))
    .filter(({ status }) => /^(works|differs|never|later \(.+\))$/.test(status))
    .map(({ key, status, note }) => ({
      key: key.replaceAll('`', ''),
      status: status.split(' ')[0] as Row['status'],
      note,
    }))
}

/** The rows of a section: keys that are served, and keys that are not. */
function keysOf(title: string): { served: string[]; later: string[] } {
  const rows = sections.get(title) ?? []
  const isServed = ({ status }: Row) => status === 'works' || status === 'differs'
  return {
    served: rows.filter(isServed).map(({ key }) => key),
    later: rows.filter(row => !isServed(row)).map(({ key }) => key),
  }
}

/** The two lists hold the same keys; each that is missing on one side is named. */
function same(t: Test, onPage: readonly string[], inSource: Iterable<string>): void {
  const [page, source] = [new Set(onPage), new Set(inSource)]
  t.equal(page.size, onPage.length, 'each key has one row')
  none(t, [
    ...[...page].filter(key => !source.has(key)).map(key => `only on the page: ${key}`),
    ...[...source].filter(key => !page.has(key)).map(key => `only in the sources: ${key}`),
  ])
}

t.test('every row has a status', async t => {
  const text = textOf('docs/compatibility.md')
  const lines = text.split('\n').filter(line => /^\| (?!\S+ \| (status|meaning|works))/.test(line))
  const rows = [...sections.values()].flat()
  t.ok(rows.length > 400, `${rows.length} rows`)
  const heads = /^\| (\w[\w ]*) \| (status|meaning) \||^\| (works|differs|never|later \(…\)) \|/
  none(
    t,
    lines.filter(line => !heads.test(line) && rowsOf(line).length === 0),
  )
})

t.test('endpoints are those that are declared', async t => {
  const { served, later } = keysOf('HTTP endpoints')
  same(t, served, endpointsOf(declaredPaths.filter(path => !laterPaths.includes(path))))
  same(t, later, endpointsOf(laterPaths))
})

/** Sections of the paths of secrets that have not all of the rest. */
const PATHS = {
  'Paths of logins and identities': [
    ...['auth/approle/', 'auth/userpass/', 'identity/', 'sys/locked-users'],
  ],
  'Paths of tokens, leases and wrapping': [
    ...['auth/token/', 'cubbyhole/', 'sys/leases', 'sys/renew', 'sys/revoke', 'sys/wrapping/'],
  ],
} as const

/** The section that a declared path stands in. */
const sectionOf = ({ pattern }: DeclaredPath): string =>
  Object.entries(PATHS).find(([, prefixes]) =>
    prefixes.some(prefix => pattern.startsWith(prefix)),
  )?.[0] ?? 'Paths of secrets'

for (const title of [...Object.keys(PATHS), 'Paths of secrets']) {
  t.test(`${title.toLowerCase()} are those that are declared`, async t => {
    const { served, later } = keysOf(title)
    const declared = declaredSecretsPaths().filter(path => sectionOf(path) === title)
    const patterns = (paths: readonly DeclaredPath[]) => paths.map(({ pattern }) => pattern)
    same(t, served, patterns(declared.filter(path => !isLater(path))))
    same(t, later, patterns(declared.filter(isLater)))
  })
}

function endpointsOf(paths: readonly PathDeclaration[]): string[] {
  return paths.flatMap(({ path: pattern, operations }) =>
    Object.keys(operations).map(method => `${method} ${pattern}`),
  )
}

t.test('configuration keys are those of the schema', async t => {
  const { served, later } = keysOf('Configuration')
  same(t, served, Object.keys(servedKeys))
  same(t, later, laterKeys.keys())
  const rows = sections.get('Configuration') ?? []
  for (const { key, note } of rows.filter(row => laterKeys.has(row.key))) {
    t.equal(note, takenValues(laterKeys.get(key)?.neutral), key)
  }
})

t.test('keys of the other form of configuration are those of its table', async t => {
  const { served, later } = keysOf('Configuration of `server`')
  same(t, served, [...Object.keys(vaultServed), ...vaultBlocks])
  same(t, later, Object.keys(vaultLater))
  const rows = sections.get('Configuration of `server`') ?? []
  for (const { key, note } of rows.filter(row => Object.hasOwn(vaultLater, row.key))) {
    t.equal(note, takenValues(vaultLater[key]?.neutral), key)
  }
  const flags = keysOf('Flags of `server`')
  same(
    t,
    flags.served,
    serverFlags.map(({ name }) => `-${name}`),
  )
  same(
    t,
    flags.later,
    Object.keys(laterServerFlags).map(name => `-${name}`),
  )
})

/** What the note of a key that comes later says: the values that it may have today. */
function takenValues(neutral: LaterKey['neutral'] = []): string {
  if (neutral === 'any') return 'any value, with a line in the log'
  if (neutral.length === 0) return 'only empty'
  return `only ${neutral.map(value => `\`${JSON.stringify(value)}\``).join(' or ')}`
}

t.test('flags are those of the schema', async t => {
  const { served, later } = keysOf('Flags of `agent`')
  const laterFlags = new Set([...laterKeys.values()].map(({ flag }) => flag))
  const known = [...agentFlags.map(({ name }) => name), ...Object.keys(sourceFlags)]
  same(
    t,
    served,
    known.filter(name => !laterFlags.has(name)).map(name => `-${name}`),
  )
  same(
    t,
    later,
    known.filter(name => laterFlags.has(name)).map(name => `-${name}`),
  )
})

t.test('variables are those that the command line reads', async t => {
  const { served, later } = keysOf('Environment of the command line')
  const read = new Set(textOf('src/cli/client.ts').match(/\bCONSUL_[A-Z_]+/g))
  same(t, served, read)
  none(
    t,
    later.filter(name => read.has(name)),
  )
})

t.test('verbs are those of the command line', async t => {
  const { served, later } = keysOf('Verbs')
  same(t, served, Object.keys(verbs))
  same(t, later, [...Object.keys(laterVerbs), ...Object.keys(neverVerbs)])
  const page = textOf('docs/compatibility.md')
  for (const [name, step] of Object.entries(laterVerbs)) {
    t.match(page, `| \`${name}\` | later (${step}) |`)
  }
})

t.test('verbs of secrets are those of the command line', async t => {
  const { served, later } = keysOf('Verbs of secrets')
  same(t, served, Object.keys(secretsVerbs))
  same(t, later, [...Object.keys(laterSecretsVerbs), ...Object.keys(neverSecretsVerbs)])
  const page = textOf('docs/compatibility.md')
  for (const [name, step] of Object.entries(laterSecretsVerbs)) {
    t.match(page, `| \`${name}\` | later (${step}) |`)
  }
})

t.test('variables are those that the verbs of secrets read', async t => {
  const { served, later } = keysOf('Environment of the verbs of secrets')
  same(t, served, secretsVariables)
  none(
    t,
    later.filter(name => secretsVariables.some(each => each === name)),
  )
})

t.test('DNS forms are those that are declared', async t => {
  const { served } = keysOf('DNS names')
  same(
    t,
    served,
    forms
      .filter(({ name }) => name !== 'not served yet')
      .map(({ pattern }) => pattern || '<domain>'),
  )
})

t.test('check kinds are those that are declared', async t => {
  const { served } = keysOf('Health checks')
  same(
    t,
    served,
    checkKinds.map(({ kind }) => kind),
  )
})

t.test('gRPC services are those that are declared', async t => {
  const { served, later } = keysOf('gRPC')
  same(t, served, [...new Set(everyMethod().map(serviceOf))])
  const services = Object.keys(laterServices).filter(name => !name.includes('/'))
  none(
    t,
    services.filter(name => !later.includes(name)),
  )
})

t.test('every trap that is served names its test', async t => {
  const rows = (sections.get('Traps') ?? []).filter(({ status }) => status !== 'later')
  t.ok(rows.length > 0)
  for (const { key, note } of rows) {
    const [, file = '', name = ''] = /^`(test\/\S+)` (.+)$/.exec(note) ?? []
    const text = existsSync(path.join(root, file)) ? textOf(file) : ''
    t.ok(file !== '' && text.includes(name), `${key}: ${note}`)
  }
})

t.test('files that the pages name exist', async t => {
  const missing = filesOf('{README,docs/**/*}.md').flatMap(page =>
    [...textOf(page).matchAll(/`((?:src|test|bench|config|proto|bin|docs)\/[\w./-]+\w)`/g)]
      .map(([, file = '']) => file)
      .filter(file => !existsSync(path.join(root, file)))
      .map(file => `${page}: ${file}`),
  )
  none(t, missing)
})
