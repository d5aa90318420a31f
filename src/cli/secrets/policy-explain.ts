/**
 * The verb `policy explain` of secrets: why a request was refused.
 *
 * Owns how it is printed, as the registry's own `policy explain` does it. Vault has no such verb.
 */
import type { Call } from '../command.ts'
import { columns } from '../table.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { formatOf, printData } from './output.ts'
import { type Data, isData, valueIn } from './secret.ts'
import { goText } from './values.ts'

export const policyExplain = secretsVerb({
  usage: '[options] -request=ID   (what the answer said in X-Request-Id)',
  flags: [
    { name: 'request', kind: 'text', doc: 'id of the request, as its answer has it' },
    formatFlag,
    ...httpFlags,
  ],
  examples: ['-request=17ebdd62-ed61-4cea-8fdb-000000000002'],
  args: [0, 0],
  async run(call, client) {
    const request = call.flags.text('request')
    if (!request) throw new Failure('Must specify the -request parameter', 1)
    const found = await saying('Error explaining the request', explainedBy(client, request))
    if (found === undefined) {
      throw new Failure('The server knows of no such request: it was not refused, or long ago', 2)
    }
    return printExplained(call, found)
  },
})

/** What a server tells of a request; undefined where it remembers none. */
export async function explainedBy(
  client: SecretsClient,
  request: string,
): Promise<Data | undefined> {
  const secret = await client.read(`sys/internal/explain/${encodeURIComponent(request)}`)
  return secret?.data ?? undefined
}

/** Prints what a server tells; gives the exit code. */
export function printExplained(call: Call, found: Data): number {
  if (!['table', 'pretty'].includes(formatOf(call))) return printData(call, found)
  const text = (key: string): string => goText(valueIn(found, key) ?? '')
  const rule = valueIn(found, 'rule')
  const policies = valueIn(found, 'policies')
  if (text('reason').startsWith('turned away')) {
    call.io.print(
      columns([
        ['Request:', text('path') || UNREAD],
        ['Outcome:', text('reason')],
      ]),
    )
    return 0
  }
  const [operation, path] = [text('operation'), `${text('namespace')}${text('path')}`]
  call.io.print(
    columns([
      ['Request:', `${operation} ${path}`],
      ['Outcome:', 'refused'],
      ['Token:', `${text('accessor')} (${text('display_name')})`],
      ['Policies:', Array.isArray(policies) ? policies.map(goText).join(', ') : 'none'],
    ]),
  )
  call.io.print(`\nLacks ${operation} on "${path}"`)
  const allow = text('smallest_rule') || 'the rule that denies it must go first'
  call.io.print(
    columns([
      ['  Decided by:', decidedBy(isData(rule) ? rule : {}, text('reason'))],
      ...(text('parameter') === '' ? [] : [['  Parameter:', text('parameter')]]),
      ['  To allow it:', allow.replaceAll('\n', `\n${' '.repeat('  To allow it:  '.length)}`)],
    ]),
  )
  return 0
}

const UNREAD = 'not known: it was not read'

function decidedBy(rule: Data, reason: string): string {
  const path = goText(valueIn(rule, 'path') ?? '')
  if (path === '') return `no rule covers it (${reason})`
  const place = `policy "${goText(valueIn(rule, 'policy'))}", line ${goText(valueIn(rule, 'line'))}`
  return `path "${path}" (${place}): ${reason}`
}
