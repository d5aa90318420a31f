/**
 * The pages of docs/ that are made from the sources, so that they cannot say anything else.
 *
 * A page of bounds or errors is a table of one constant: section comments become headings, doc
 * comments become the last column. The page of the command line is made of its declarations.
 * `npm run format` writes them; docs.test.ts compares them.
 */

import { formatDuration } from '../../src/base/duration.ts'
import { clientFlags, queryFlags } from '../../src/cli/client.ts'
import type { Command, Flag, Verb } from '../../src/cli/command.ts'
import { verbs } from '../../src/cli/run.ts'
import { httpFlags } from '../../src/cli/secrets/flags.ts'
import { plainSecretsVerbs, secretsVerbs } from '../../src/cli/secrets/verbs.ts'
import { sinkKinds } from '../../src/feed/sink/mod.ts'
import type { SettingField } from '../../src/feed/sink/schema.ts'
import type { Handled, PathAccess } from '../../src/secrets/declare.ts'
import { declaredSecretsPaths, isLater, operationsOf } from '../secrets/declared.ts'
import { textOf } from './source.ts'

interface Loaded {
  readonly name: string
  readonly summary: string
  readonly command: Command
}

const loaded = (list: Readonly<Record<string, Verb>>): Promise<Loaded[]> =>
  Promise.all(
    Object.entries(list).map(async ([name, verb]) => {
      return { name, summary: verb.summary, command: await verb.load() }
    }),
  )
const commands = await loaded(verbs)
const secretsCommands = await loaded(secretsVerbs)

interface Row {
  readonly section: string
  readonly name: string
  readonly value: string
  readonly meaning: string
}

/** The text of every made page by its path. */
export function madePages(): Map<string, string> {
  return new Map([
    ['docs/limits.md', limitsPage()],
    ['docs/errors.md', errorsPage()],
    ['docs/cli.md', commandsPage()],
    ['docs/cli-secrets.md', secretsPage()],
    ['docs/secrets-paths.md', pathsPage()],
    ['docs/sinks-settings.md', sinksPage()],
  ])
}

/** How documentation calls operations: by the verbs that ask for them. */
const VERBS: Readonly<Record<Handled, string>> = {
  read: 'GET',
  update: 'POST',
  delete: 'DELETE',
  list: 'LIST',
  scan: 'SCAN',
  patch: 'PATCH',
}

/** What a path asks of who calls it. */
const RIGHTS: Readonly<Record<PathAccess, string>> = {
  authorized: '',
  privileged: '`sudo`',
  token: 'any token',
  optional: 'a token, or none',
  open: 'no token',
}

function pathsPage(): string {
  const served = declaredSecretsPaths().filter(path => !isLater(path))
  const byMount = Map.groupBy(served, ({ pattern, engine }) =>
    engine.kind === 'auth' ? `auth/${engine.type}` : pattern.split('/', 1)[0]!,
  )
  const tables = [...byMount].map(([mount, paths]) => {
    const lines = paths.map(path => {
      const verbs = operationsOf(path).map(operation => VERBS[operation])
      const { access, help, isRootOnly } = path.spec
      const rights = [RIGHTS[access], isRootOnly === true ? 'root namespace' : '']
      const asked = rights.filter(text => text !== '').join(', ')
      const cells = [`\`${path.pattern}\``, verbs.join(' '), asked, help.synopsis]
      return `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')
    })
    const head = '| path | verbs | asks for | |\n|---|---|---|---|\n'
    return `## ${mount}\n\n${head}${lines.join('\n')}\n`
  })
  return `# Paths of the secrets

Behind \`/v1/\`, made of the declarations in \`src/secrets/engine\` (\`npm run format\`). Engines stand
under their types; where they are mounted is up to you. POST and PUT are one. What a path takes and
gives is told by \`?help=1\`. Where nothing else is asked for, a policy must allow the verb's
capability. What is served in another way than Vault does it, and what is not, stands in
[compatibility](compatibility.md).

${tables.join('\n')}`
}

function limitsPage(): string {
  const rows = rowsOf('src/base/limits.ts', 'limits')
  const sections = Map.groupBy(rows, row => row.section)
  const tables = [...sections].map(([section, its]) => {
    const lines = its.map(row => `| \`${row.name}\` | ${withUnit(row)} | ${row.meaning} |`)
    return `## ${section}\n\n| limit | value | meaning |\n|---|---|---|\n${lines.join('\n')}\n`
  })
  return `# Limits

Everything that can grow has a bound. Each is a line of \`src/base/limits.ts\`, from which this page
is made (\`npm run format\`). What meets a bound is refused or dropped as its line says, never half
done.

${tables.join('\n')}`
}

function sinksPage(): string {
  const parts = sinkKinds.map(({ kind, summary, fields, isLocal }) => {
    const lines = Object.entries(fields).map(([name, field]) => {
      const choices = 'oneOf' in field ? (field.oneOf ?? []) : []
      const isTold = choices.every(one => field.help.includes(one))
      const choice = isTold ? '' : `: ${choices.join(', ')}`
      const marks = [
        ...(field.isRequired === true ? ['required'] : []),
        ...(field.isSecret === true ? ['secret'] : []),
        ...(field.isLocal === true && !isLocal ? ['not by the API'] : []),
      ]
      const cells = [
        `\`${name}\``,
        field.type,
        defaultText(field),
        field.help + choice,
        marks.join(', '),
      ]
      return `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')
    })
    const who = isLocal ? 'Only the configuration of a machine may declare one.' : ''
    const title =
      `## ${kind}\n\n${summary.charAt(0).toUpperCase()}${summary.slice(1)}. ${who}`.trimEnd()
    const head = '| setting | type | default | meaning | |\n|---|---|---|---|---|\n'
    return `${title}\n\n${head}${lines.join('\n')}\n`
  })
  return `# Settings of sinks

What stands in the block \`settings\` of a sink, by its kind: made of the declarations in
\`src/feed/sink\` (\`npm run format\`). [sinks-kinds.md](sinks-kinds.md) tells how each kind goes about
its target, [sinks.md](sinks.md) what all sinks have in common. Secrets are shown nowhere.

${parts.join('\n')}`
}

function defaultText(field: SettingField): string {
  const { type, byDefault: value } = field
  if (value === undefined) return ''
  if (type === 'duration') return `\`"${formatDuration(Number(value))}"\``
  return JSON.stringify(value) === '{}' ? '' : `\`${JSON.stringify(value)}\``
}

function errorsPage(): string {
  const lines = rowsOf('src/base/errors.ts', 'OperatingCode').map(
    row => `| \`${row.name}\` | ${row.meaning} |`,
  )
  return `# Operating errors

What can go wrong that is neither the caller's fault (those answers are the protocol's own, see
[compatibility.md](compatibility.md)) nor a bug. Made from \`src/base/errors.ts\`
(\`npm run format\`).

Each error says what became of the write: \`none\` (nothing happened), \`unknown\` (it may have
happened: read before you retry) or \`done\`.

| code | meaning |
|---|---|
${lines.join('\n')}
`
}

/** The part of a page that says one verb, as `program` takes it. */
function verbText({ name, summary, command }: Loaded, program: string): string {
  const usage = `${program} ${name} ${command.usage}`.trimEnd()
  const examples = command.examples.map(each => `$ ${program} ${name} ${each}`.trimEnd())
  const title = summary.charAt(0).toUpperCase() + summary.slice(1)
  const head = `## ${name}\n\n${title}.\n\n\`\`\`\n${usage}\n\n${examples.join('\n')}\n\`\`\`\n`
  const own = ownFlags(name, command)
  return own === '' ? head : `${head}\n${own}\n`
}

function secretsPage(): string {
  const isPlain = (name: string): boolean => Object.hasOwn(plainSecretsVerbs, name)
  const parts = secretsCommands.map(each =>
    verbText(each, isPlain(each.name) ? 'gatehouse' : 'gatehouse vault'),
  )
  return `# The command line of the secrets

Made from the declarations of \`src/cli/secrets\` (\`npm run format\`); each verb prints its own part
of it with \`-help\`. It is the command line of Vault: called as \`vault\` or \`bao\` (by a link of
that name) the program takes these verbs, and \`gatehouse vault\` takes them all as well. Those that
begin with no word of Consul's also stand alone, \`gatehouse secrets list\`
([decision 32](decisions/0032-two-command-lines.md)).
[compatibility.md](compatibility.md) says how each compares to Vault's, and which variables of the
environment are read.

Data is given as \`key=value\`, \`key=@file\` or \`key=-\` (stdin), all of it as \`@file.json\` or \`-\`.
Where a verb takes a token or a share of the key, \`-\` reads it from stdin, and without one it is asked
for unseen. The exit code is 1 for a mistake made here, 2 for what the server said.

Verbs that ask a server take these as well:

${flagTable(httpFlags)}

${parts.join('\n')}`
}

function commandsPage(): string {
  const parts = commands.map(each => verbText(each, 'gatehouse'))
  return `# The command line

Made from the declarations of \`src/cli\` (\`npm run format\`); each verb prints its own part of it
with \`-help\`. Flags stand between the verb and its arguments, with one dash or two, as
\`-flag=value\` or \`-flag value\`. [compatibility.md](compatibility.md) says how each verb compares to
Consul's, and which variables of the environment are read. The verbs of the secrets have
[a page of their own](cli-secrets.md).

Verbs that ask an agent take these as well:

${flagTable(clientFlags)}

and those that ask about a whole datacenter these:

${flagTable(queryFlags.filter(flag => !clientFlags.includes(flag)))}

${parts.join('\n')}`
}

/** The flags that a verb has beyond the common ones. */
function ownFlags(name: string, { flags }: Command): string {
  if (name === 'agent') return 'Its flags stand in [compatibility.md](compatibility.md).'
  const common = new Set([...clientFlags, ...queryFlags, ...httpFlags])
  const own = flags.filter(flag => !common.has(flag))
  return own.length === 0 ? '' : flagTable(own)
}

function flagTable(flags: readonly Flag[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  const lines = flags.map(({ name, kind, doc }) => {
    const value = kind === 'switch' ? '' : '=…'
    return `| \`-${name}${value}\` | ${cell(doc)} |`
  })
  return `| flag | meaning |\n|---|---|\n${lines.join('\n')}`
}

/** The entries of `export const <name> = { … } as const`, with the comments above them. */
function rowsOf(file: string, name: string): Row[] {
  const body = textOf(file).split(`export const ${name} = {\n`)[1]?.split('\n} as const')[0] ?? ''
  const rows: Row[] = []
  let section = ''
  let meaning = ''
  for (const part of body.match(/\/\/ --- .*|\/\*\*[\s\S]*?\*\/|^ {2}\w+: .*,$/gm) ?? []) {
    const entry = /^ {2}(\w+): (.*),$/.exec(part)
    if (part.startsWith('//')) section = part.slice('// --- '.length)
    else if (entry) {
      rows.push({ section, name: entry[1] ?? '', value: entry[2] ?? '', meaning })
      meaning = ''
    } else
      meaning = part
        .replaceAll(/^\s*\/?\*+\/?|\*\/$/gm, '')
        .replaceAll(/\s+/g, ' ')
        .trim()
  }
  return rows
}

/** `limitMs: 900_000` reads `15 min`, `rowSizeBytes: 1_048_576` reads `1 MiB`. */
function withUnit({ name, value }: Row): string {
  const number = Number(value.replaceAll('_', ''))
  const plain = number.toLocaleString('en')
  const scales: [RegExp, [number, string][]][] = [
    [
      /Bytes$/,
      [
        [2 ** 30, 'GiB'],
        [2 ** 20, 'MiB'],
        [2 ** 10, 'KiB'],
        [1, 'bytes'],
      ],
    ],
    [
      /Ms$/,
      [
        [3_600_000, 'h'],
        [60_000, 'min'],
        [1_000, 's'],
        [1, 'ms'],
      ],
    ],
  ]
  const units = scales.find(([suffix]) => suffix.test(name))?.[1] ?? []
  const unit = units.find(([size]) => number >= size && Number.isInteger(number / size))
  return unit ? `${(number / unit[0]).toLocaleString('en')} ${unit[1]}` : plain
}
