/**
 * The verb `policy lint`: what of a policy does not do what it looks like.
 *
 * Owns how findings are printed. Vault has no such verb. The server is asked for its mounts alone,
 * as paths of an engine with versions are the usual mistake.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import { type LintedMount, lintPolicy, plainText } from '../../secrets/policy/mod.ts'
import type { SecretsClient } from './client.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { isTable, printData } from './output.ts'
import { type Data, isData, valueIn } from './secret.ts'

export const policyLint = secretsVerb({
  usage: '[options] FILE...   (- reads stdin)',
  flags: [
    { name: 'offline', kind: 'switch', doc: 'ask no server which engines are mounted where' },
    { name: 'strict', kind: 'switch', doc: 'exit with 1 for a warning too' },
    formatFlag,
    ...httpFlags,
  ],
  examples: ['web.hcl', '-offline -strict web.hcl ops.hcl'],
  args: [1, undefined],
  async run(call, client) {
    const { args, flags, io } = call
    const mounts = flags.isOn('offline') ? [] : await mountsOf(client)
    const found: { file: string; line: number; severity: string; text: string }[] = []
    for (const file of args) {
      const text = file === '-' ? (await io.readStdin()).toString('utf8') : await textOf(file)
      for (const finding of lintPolicy(plainText(text), mounts, io.clock.wall())) {
        found.push({ file, ...finding })
      }
    }
    if (!isTable(call)) printData(call, found)
    else {
      for (const { file, line, severity, text } of found) {
        io.print(`${file}:${line}: ${severity}: ${text}`)
      }
      if (found.length === 0) io.print('Nothing found')
    }
    const isBad = found.some(({ severity }) => severity === 'error' || flags.isOn('strict'))
    return isBad ? 1 : 0
  },
})

async function textOf(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new Failure(`Error opening policy file: ${messageOf(error)}`, 1)
  }
}

/** The mounts that the token may see. */
async function mountsOf(client: SecretsClient): Promise<LintedMount[]> {
  const work = client.read('sys/internal/ui/mounts')
  const secret = await saying('Error reading mounts (-offline asks for none)', work)
  const group = (name: string): [string, Data][] => {
    const mounts = valueIn(secret?.data, name)
    const entries = isData(mounts) ? Object.entries(mounts) : []
    return entries.filter((entry): entry is [string, Data] => isData(entry[1]))
  }
  return [
    ...group('secret').map(([path, mount]) => linted(path, mount)),
    ...group('auth').map(([path, mount]) => linted(`auth/${path}`, mount)),
  ]
}

function linted(path: string, mount: Data): LintedMount {
  const type = String(valueIn(mount, 'type'))
  const options = valueIn(mount, 'options')
  const version = isData(options) && valueIn(options, 'version') === '2' ? 2 : 1
  return { path, type, ...(type === 'kv' ? { version } : {}) }
}
