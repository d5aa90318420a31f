/**
 * The verbs `policy explain` and `policy test`: why a request was refused, and whether policies say
 * what they should.
 *
 * Owns how both are printed. These are ours; Consul has neither.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../base/errors.ts'
import { asking, formatFlag, queryFlags, wantsJson } from './client.ts'
import { type Call, type Command, countMistake, fail } from './command.ts'
import { exactJson } from './json.ts'
import { runPolicyTests } from './policy-file.ts'
import { columns } from './table.ts'

interface Explained {
  readonly RequestID: string
  readonly AccessorID: string
  readonly Description: string
  readonly AuthMethod: string
  readonly Policies: readonly string[]
  readonly Roles: readonly string[]
  readonly Operation: string
  readonly Name: string
  readonly Outcome: string
  readonly Count: number
  readonly Lacking: readonly {
    readonly Resource: string
    readonly Access: string
    readonly Segment: string
    readonly Reason: string
    readonly Rule?: string
    readonly Policy?: string
    readonly Line?: number
    readonly SmallestRule?: string
  }[]
  /** Agents of before conditions were explained leave it out. */
  readonly Conditions?: readonly UnmetCondition[]
  /** Why nobody looked at who sent it. */
  readonly TurnedAway?: {
    readonly Status: number
    readonly Reason: string
    readonly SourceIP: string
  }
}

interface UnmetCondition {
  readonly Name: string
  readonly Level: string
  readonly Outcome: string
}

export const policyExplain = asking('Error explaining the request', {
  usage: '[options] -request=ID   (what the answer said in X-Request-Id)',
  flags: [
    { name: 'request', kind: 'text', doc: 'id of the request, as its answer has it' },
    formatFlag,
    ...queryFlags,
  ],
  examples: ['-request=104b78db-9261-42', '-request=104b78db-9261-42 -format=json'],
  async run(call, client) {
    const { flags, args, io } = call
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    const request = flags.text('request')
    if (!request) return fail(io, 'Must specify the -request parameter')
    let found: Explained
    try {
      found = await client.read<Explained>(`/v1/acl/explain/${encodeURIComponent(request)}`)
    } catch (error) {
      // It may have been a request to the secrets: ids do not say to which half.
      const code = await explainBySecrets(call, request)
      if (code === undefined) throw error
      return code
    }
    io.print(wantsJson(call) ? exactJson(found) : explainedText(found))
    return 0
  },
})

/** Prints what the secrets know of the request; undefined where they know nothing. */
async function explainBySecrets(call: Call, request: string): Promise<number | undefined> {
  if (call.program !== 'gatehouse') return undefined
  const { secretsClientOf } = await import('./secrets/client.ts')
  const { explainedBy, printExplained } = await import('./secrets/policy-explain.ts')
  const silent = { ...call, io: { ...call.io, printError: () => {} } }
  const found = await secretsClientOf(silent)
    .then(client => explainedBy(client, request))
    .catch(() => undefined)
  return found && printExplained(call, found)
}

function explainedText(found: Explained): string {
  const { AccessorID, Description, AuthMethod, Policies, Roles, Operation, Name } = found
  if (found.TurnedAway !== undefined) return turnedAwayText(found, found.TurnedAway)
  const origin = AuthMethod === '' ? '' : `, from a login by ${AuthMethod}`
  const named = Description === '' ? '' : ` (${Description})`
  const rows = [
    ['Request:', `${Operation.replace(/\{[^}]*\}/, () => Name)}`],
    ['Outcome:', outcomeText(found)],
    ['Token:', `${AccessorID}${named}${origin}`],
    ['Policies:', Policies.join(', ') || 'none'],
    ...(Roles.length === 0 ? [] : [['Roles:', Roles.join(', ')]]),
  ]
  const conditions = (found.Conditions ?? []).map(conditionText)
  return [columns(rows), ...conditions, ...found.Lacking.map(lackingText)].join('\n')
}

function turnedAwayText(
  { Operation, Name }: Explained,
  { Status, Reason, SourceIP }: NonNullable<Explained['TurnedAway']>,
): string {
  const asked = Operation.replace(/\{[^}]*\}/, () => Name)
  return columns([
    ['Request:', asked || 'not known: it was not read'],
    ['Outcome:', `turned away with ${Status}`],
    ['Reason:', Reason],
    ['From:', SourceIP || 'a socket in a file'],
  ])
}

const outcomeText = ({ Outcome, Count }: Explained): string =>
  Outcome === 'filtered' ? `${Count} left out of the answer` : Outcome

function conditionText({ Name, Level, Outcome }: UnmetCondition): string {
  const rows = [
    ['  What came of it:', CAME_OF_IT.get(Outcome) ?? Outcome],
    ...(Outcome === 'refused' && Level === 'soft-mandatory'
      ? [['  To pass over it:', 'X-Policy-Override: true, by a token with acl:write']]
      : []),
  ]
  return `\nCondition "${Name}" (${Level}) did not hold\n${columns(rows)}`
}

const CAME_OF_IT = new Map([
  ['refused', 'the request was refused'],
  ['overridden', 'it was passed over, as the request asked'],
  ['advised', 'nothing: it only advises'],
])

function lackingText(lack: Explained['Lacking'][number]): string {
  const { Resource, Access, Segment, Reason, Rule, Policy, Line, SmallestRule } = lack
  const place = Line === undefined || Line === 0 ? '' : `, line ${Line}`
  const decided =
    Rule === undefined
      ? `no rule covers it (${Reason})`
      : `${Rule} (policy "${Policy ?? ''}"${place})`
  const rows = [
    ['  Decided by:', decided],
    ['  To allow it:', SmallestRule ?? 'the rule that denies it must go first'],
  ]
  const what = Segment === '' ? `${Resource}:${Access}` : `${Resource}:${Access} on "${Segment}"`
  return `\nLacks ${what}\n${columns(rows)}`
}

export const policyTest: Command = {
  usage: '[options] FILE...   (HCL or JSON; without a server)',
  flags: [formatFlag],
  examples: ['web.test.hcl', '-format=json web.test.hcl ops.test.hcl'],
  async run(call) {
    const { args, io } = call
    if (args.length === 0) return fail(io, 'Not enough arguments (expected a FILE of tests)')
    let passed = 0
    let failed = 0
    const reports: object[] = []
    for (const file of args) {
      const text = await textOfFile(file)
      const read = (named: string): Promise<string> =>
        readFile(path.resolve(path.dirname(file), named), 'utf8')
      const report = await runPolicyTests(file, text, read)
      reports.push({ file, ...report })
      passed += report.passed
      failed += report.failed
      if (wantsJson(call)) continue
      for (const { at, kind, text: note } of report.notes) {
        io.print(`${kind === 'failed' ? 'FAILED' : kind} ${at}: ${note}`)
      }
    }
    io.print(wantsJson(call) ? exactJson(reports) : `${passed} passed, ${failed} failed`)
    return failed === 0 ? 0 : 1
  },
}

async function textOfFile(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Error(`cannot read ${file}: ${messageOf(error)}`)
  }
}
