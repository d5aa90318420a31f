/**
 * The verbs `policy read`, `write`, `list` and `delete` of secrets.
 *
 * Owns their flags, texts and exit codes, which are those of Vault's command line. What a policy
 * may say is for the server to judge.
 */
import { readFile } from 'node:fs/promises'
import type { Call } from '../command.ts'
import { secretsVerb } from './command.ts'
import { Failure, saying } from './failure.ts'
import { formatFlag, httpFlags } from './flags.ts'
import { isTable, printData } from './output.ts'
import { keysOf, valueIn } from './secret.ts'
import { goText } from './values.ts'

const nameOf = ({ args }: Call): string => (args[0] ?? '').trim().toLowerCase()

export const policyRead = secretsVerb({
  usage: '[options] NAME',
  flags: [formatFlag, ...httpFlags],
  examples: ['default'],
  args: [1, 1],
  async run(call, client) {
    const name = nameOf(call)
    const work = client.read(`sys/policies/acl/${name}`)
    const secret = await saying(`Error reading policy named ${name}`, work)
    const policy = valueIn(secret?.data, 'policy')
    if (typeof policy !== 'string' || policy === '') {
      throw new Failure(`No policy named: ${name}`, 2)
    }
    if (!isTable(call)) return printData(call, { policy })
    call.io.print(policy.trim())
    return 0
  },
})

export const policyWrite = secretsVerb({
  usage: '[options] NAME FILE   (- reads stdin)',
  flags: httpFlags,
  examples: ['web web.hcl', 'web -'],
  args: [2, 2],
  async run(call, client) {
    const { args, io } = call
    const name = nameOf(call)
    const policy = await textOf(call, (args[1] ?? '').trim())
    const work = client.write(`sys/policies/acl/${name}`, { policy })
    const secret = await saying('Error uploading policy', work)
    if (args[0] !== name) {
      io.printError(`Policy name was converted from "${args[0]}" to "${name}"`)
    }
    for (const warning of secret?.warnings ?? []) io.printError(`WARNING! ${warning}`)
    io.print(`Success! Uploaded policy: ${name}`)
    return 0
  },
})

async function textOf({ io }: Call, file: string): Promise<string> {
  if (file === '-') return (await io.readStdin()).toString('utf8')
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    const { code = 'unreadable' } = error as { code?: string }
    throw new Failure(`Error opening policy file: ${file}: ${code}`, 2)
  }
}

export const policyList = secretsVerb({
  usage: '[options]',
  flags: [formatFlag, ...httpFlags],
  examples: ['', '-format=json'],
  args: [0, 0],
  async run(call, client) {
    const secret = await saying('Error listing policies', client.list('sys/policies/acl'))
    return printData(call, (keysOf(secret) ?? []).map(goText))
  },
})

export const policyDelete = secretsVerb({
  usage: '[options] NAME',
  flags: httpFlags,
  examples: ['web'],
  args: [1, 1],
  async run(call, client) {
    const name = nameOf(call)
    await saying(`Error deleting ${name}`, client.remove(`sys/policies/acl/${name}`))
    call.io.print(`Success! Deleted policy: ${name}`)
    return 0
  },
})
