/**
 * The verbs `acl bootstrap`, `acl set-agent-token` and those below `acl templated-policy`.
 *
 * Owns their flags and texts, which are those of Consul's command line.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import { asking, ClientError, formatFlag, queryFlags } from '../client.ts'
import { countMistake, fail, type Io } from '../command.ts'
import { givenTemplates, pathOf, put, secretOf, showFlags } from './given.ts'
import { type Policy, policyText, type Token, tokenText } from './show.ts'
import { show } from './verbs.ts'

export const aclBootstrap = asking('Failed ACL bootstrapping', {
  usage: '[options] [FILE]   (of the secret that the token shall have; - reads stdin)',
  flags: [...showFlags, ...queryFlags],
  examples: ['', '-format=json', 'secret.txt'],
  async run(call, client) {
    const { args, io } = call
    if (args.length > 1) return fail(io, `Too many arguments (expected 0 or 1, got ${args.length})`)
    const [file] = args
    const secret = file === undefined ? undefined : await secretFrom(file, io)
    const body = secret === undefined ? {} : { BootstrapSecret: secret }
    return show(call, await put<Token>(client, '/v1/acl/bootstrap', body), tokenText)
  },
})

async function secretFrom(file: string, io: Io): Promise<string> {
  if (file === '-') return secretOf('-', io)
  try {
    return (await readFile(file, 'utf8')).trim()
  } catch (error) {
    throw new ClientError(`Error reading ACL bootstrap secret: ${messageOf(error)}`)
  }
}

/** Consul's words for the kinds, and ours for the paths. */
const kinds: Readonly<Record<string, string>> = {
  default: 'default',
  agent: 'agent',
  recovery: 'agent_recovery',
  master: 'agent_recovery',
  replication: 'replication',
  config_file_service_registration: 'config_file_service_registration',
  dns: 'dns',
}

export const aclSetAgentToken = asking('Failed to set ACL token', {
  usage: '[options] KIND TOKEN   (@FILE or - for stdin keeps the token out of the arguments)',
  flags: queryFlags,
  examples: ['agent @agent.token', 'default -', 'dns ""'],
  async run({ args, io }, client) {
    const mistake = countMistake(args, 2)
    if (mistake !== undefined) return fail(io, mistake)
    const [kind = '', given = ''] = args
    if (!Object.hasOwn(kinds, kind)) {
      const known = Object.keys(kinds).filter(each => each !== 'master')
      return fail(io, `Unknown token type: ${known.join(', ')} are known`)
    }
    const body = Buffer.from(JSON.stringify({ Token: await secretOf(given, io) }))
    await client.send('PUT', pathOf({ path: '/v1/agent/token' }, kinds[kind] ?? ''), {}, body)
    io.print(`ACL token "${kind}" set successfully`)
    return 0
  },
})

interface Template {
  readonly TemplateName: string
  readonly Description: string
  readonly Schema: string
  readonly Template: string
}

export const aclTemplateList = asking('Failed to retrieve the templated policies list', {
  usage: '[options]',
  flags: [formatFlag, ...queryFlags],
  examples: ['', '-format=json'],
  async run(call, client) {
    const list = await client.read<Record<string, Template>>('/v1/acl/templated-policies')
    return show(call, list, all => Object.keys(all).sort().join('\n'))
  },
})

export const aclTemplateRead = asking('Error reading templated policy', {
  usage: '[options] -name=NAME',
  flags: [
    { name: 'name', kind: 'text', doc: 'name of the templated policy' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-name=builtin/service', '-name=builtin/dns -meta'],
  async run(call, client) {
    const name = call.flags.text('name')
    if (!name) return fail(call.io, 'Must specify the -name parameter')
    const path = pathOf({ path: '/v1/acl/templated-policy/name' }, name)
    return show(call, await client.read<Template>(path), (found, hasMeta) =>
      templateText(call.program, found, hasMeta),
    )
  },
})

function templateText(program: string, found: Template, hasMeta: boolean): string {
  const { TemplateName, Description, Schema, Template: template } = found
  const takesName = Schema !== ''
  const variable = takesName ? ' -var=name:NAME' : ''
  return [
    `Name:            ${TemplateName}`,
    `Description:     ${Description}`,
    ...(takesName ? ['Input variables:', '\tName: String - Required'] : ['Input variables: None']),
    'Example usage:',
    `\t${program} acl token create -templated-policy=${TemplateName}${variable}`,
    ...(hasMeta && takesName ? ['Schema:', Schema] : []),
    ...(hasMeta ? ['Raw Template:', template.trimEnd()] : []),
  ].join('\n')
}

export const aclTemplatePreview = asking('Failed to generate the templated policy preview', {
  usage: '[options] -name=NAME   (or -file=FILE)',
  flags: [
    { name: 'name', kind: 'text', doc: 'name of the templated policy' },
    { name: 'var', kind: 'list', doc: 'its variable: name:VALUE' },
    { name: 'file', kind: 'text', doc: 'a file of one templated policy with its variables' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-name=builtin/service -var=name:api', '-file=api.hcl'],
  async run(call, client) {
    const { flags, io } = call
    const given = await givenTemplates(flags, '', { name: 'name', file: 'file' })
    const [template] = given
    if (template === undefined) {
      return fail(io, 'Cannot preview a templated policy without specifying -name or -file')
    }
    if (given.length > 1) {
      return fail(io, 'Can only preview a single templated policy at a time.')
    }
    const path = pathOf({ path: '/v1/acl/templated-policy/preview' }, template.TemplateName)
    const body = Buffer.from(JSON.stringify(template.TemplateVariables ?? {}))
    const made = JSON.parse(await client.send('POST', path, {}, body)) as Policy
    return show(call, made, policyText)
  },
})
