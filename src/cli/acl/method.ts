/**
 * The verbs below `acl auth-method` and `acl binding-rule`: create, read, update, delete and list.
 *
 * Owns their flags and texts, which are those of Consul's command line. What a method's
 * configuration may say is for the agent to judge.
 */
import { asking, ClientError, queryFlags } from '../client.ts'
import { type Call, type Flag, type Flags, fail } from '../command.ts'
import { pathOf, put, ruleKind, secretOf, showFlags, textOf, wholeId } from './given.ts'
import {
  type AuthMethod,
  type BindingRule,
  methodEntry,
  methodText,
  ruleEntry,
  ruleText,
} from './show.ts'
import { deleteVerb, listVerb, show, showList } from './verbs.ts'

const methodKind = {
  noun: 'auth method',
  path: '/v1/acl/auth-method',
  listPath: '/v1/acl/auth-methods',
  idField: 'ID',
} as const

const nameFlag: Flag = { name: 'name', kind: 'text', doc: 'name of the auth method' }
const methodFlags: readonly Flag[] = [
  { name: 'display-name', kind: 'text', doc: 'what people see instead of the name' },
  { name: 'description', kind: 'text', doc: 'what it is for' },
  { name: 'max-token-ttl', kind: 'duration', doc: 'how long tokens of its logins are good' },
  {
    name: 'token-locality',
    kind: 'text',
    values: ['local', 'global'],
    doc: 'where tokens of its logins are good: local (default) or global',
  },
  { name: 'config', kind: 'text', doc: 'its settings in JSON: the text, @FILE, or - for stdin' },
  { name: 'kubernetes-host', kind: 'text', doc: 'Host of a method of type kubernetes' },
  { name: 'kubernetes-ca-cert', kind: 'text', doc: 'its CACert: the text, @FILE, or -' },
  {
    name: 'kubernetes-service-account-jwt',
    kind: 'text',
    doc: 'its ServiceAccountJWT; @FILE or - (stdin) hides it from others',
  },
]

async function configOf({ flags, io }: Call): Promise<object | undefined> {
  const config = flags.text('config')
  const host = flags.text('kubernetes-host')
  const authorities = flags.text('kubernetes-ca-cert')
  const proof = flags.text('kubernetes-service-account-jwt')
  const hasShort = [host, authorities, proof].some(each => each !== undefined)
  if (config !== undefined && hasShort) {
    throw new ClientError('Cannot use command line arguments with the -config flag')
  }
  if (config !== undefined) return parseConfig(await textOf(config, io))
  if (!hasShort) return undefined
  return {
    ...(host === undefined ? {} : { Host: host }),
    ...(authorities === undefined ? {} : { CACert: await textOf(authorities, io) }),
    ...(proof === undefined ? {} : { ServiceAccountJWT: await secretOf(proof, io) }),
  }
}

/** JSON may hold a key: an error says where, and does not quote it. */
function parseConfig(text: string): object {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new ClientError('Error parsing JSON for auth method config')
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  throw new ClientError('Error parsing JSON for auth method config: it is no object')
}

const methodFields = (flags: Flags): object => {
  const fields: readonly (readonly [string, string])[] = [
    ['DisplayName', 'display-name'],
    ['Description', 'description'],
    ['MaxTokenTTL', 'max-token-ttl'],
    ['TokenLocality', 'token-locality'],
  ]
  return Object.fromEntries(
    fields.flatMap(([field, name]) => {
      const value = flags.text(name)
      return value === undefined ? [] : [[field, value]]
    }),
  )
}

export const aclMethodCreate = asking('Failed to create new auth method', {
  usage: '[options] -type=TYPE -name=NAME',
  flags: [
    { name: 'type', kind: 'text', doc: 'jwt, or secrets for tokens of the secrets' },
    nameFlag,
    ...methodFlags,
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-type=jwt -name=ci -max-token-ttl=1h -config=@ci.json'],
  async run(call, client) {
    const { flags, io } = call
    const [Type, Name] = [flags.text('type'), flags.text('name')]
    if (!Type) return fail(io, "Missing required '-type' flag")
    if (!Name) return fail(io, "Missing required '-name' flag")
    const Config = (await configOf(call)) ?? {}
    const body = { Name, Type, ...methodFields(flags), Config }
    return show(call, await put<AuthMethod>(client, methodKind.path, body), methodText)
  },
})

export const aclMethodRead = asking('Error reading auth method', {
  usage: '[options] -name=NAME',
  flags: [nameFlag, ...showFlags, ...queryFlags],
  examples: ['-name=ci'],
  async run(call, client) {
    const name = call.flags.text('name')
    if (!name) return fail(call.io, 'Must specify the -name parameter')
    return show(call, await client.read<AuthMethod>(pathOf(methodKind, name)), methodText)
  },
})

export const aclMethodUpdate = asking('Error updating auth method', {
  usage: '[options] -name=NAME',
  flags: [
    nameFlag,
    ...methodFlags,
    { name: 'no-merge', kind: 'switch', doc: 'what is not given becomes empty' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-name=ci -max-token-ttl=30m', '-name=ci -config=@ci.json'],
  async run(call, client) {
    const { flags, io } = call
    const name = flags.text('name')
    if (!name) {
      return fail(io, 'Cannot update an auth method without specifying the -name parameter')
    }
    const path = pathOf(methodKind, name)
    const before = await client.read<AuthMethod>(path)
    const given = await configOf(call)
    const { Name, Type } = before
    const isMerging = !flags.isOn('no-merge')
    // A whole configuration replaces the other; single settings change those alone.
    const Config =
      flags.text('config') === undefined && isMerging ? { ...before.Config, ...given } : given
    const kept = isMerging ? before : { Name, Type }
    const body = { ...kept, ...methodFields(flags), Config: Config ?? {} }
    return show(call, await put<AuthMethod>(client, path, body), methodText)
  },
})

export const aclMethodDelete = asking('Error deleting auth method', {
  usage: '[options] -name=NAME',
  flags: [nameFlag, ...queryFlags],
  examples: ['-name=ci'],
  async run({ flags, io }, client) {
    const name = flags.text('name')
    if (!name) return fail(io, 'Must specify the -name parameter')
    await client.send('DELETE', pathOf(methodKind, name))
    io.print(`Auth-method "${name}" deleted successfully`)
    return 0
  },
})

export const aclMethodList = listVerb<AuthMethod>(methodKind, methodEntry)

// --- binding rules

const ruleFlags: readonly Flag[] = [
  { name: 'description', kind: 'text', doc: 'what it is for' },
  {
    name: 'bind-type',
    kind: 'text',
    doc: 'what a login is given: service (default), node, role, policy or templated-policy',
  },
  { name: 'bind-name', kind: 'text', doc: 'its name, which may be made of what a login said' },
  { name: 'bind-vars', kind: 'list', doc: 'variable of a templated policy: name=VALUE' },
  { name: 'selector', kind: 'text', doc: 'which logins: a filter expression; all unless given' },
]
const ruleIdFlag: Flag = {
  name: 'id',
  kind: 'text',
  doc: 'id of the binding rule, or the unique beginning of one',
}

function ruleFields(flags: Flags): object {
  const fields: readonly (readonly [string, string])[] = [
    ['Description', 'description'],
    ['BindType', 'bind-type'],
    ['BindName', 'bind-name'],
    ['Selector', 'selector'],
  ]
  const given = fields.flatMap(([field, name]) => {
    const value = flags.text(name)
    return value === undefined ? [] : [[field, value]]
  })
  const [variable, ...rest] = flags.list('bind-vars')
  if (variable === undefined) return Object.fromEntries(given)
  const at = variable.indexOf('=')
  if (rest.length > 0 || at === -1 || variable.slice(0, at).toLowerCase() !== 'name') {
    throw new ClientError('-bind-vars must be name=VALUE, once')
  }
  return { ...Object.fromEntries(given), BindVars: { Name: variable.slice(at + 1) } }
}

export const aclRuleCreate = asking('Failed to create new binding rule', {
  usage: '[options] -method=NAME -bind-name=NAME',
  flags: [
    { name: 'method', kind: 'text', doc: 'the auth method whose logins it is for' },
    ...ruleFlags,
    ...showFlags,
    ...queryFlags,
  ],
  examples: [
    '-method=ci -bind-type=policy -bind-name=deploy -selector=\'value.team=="web"\'',
    `-method=ci -bind-name='\${value.service}'`,
  ],
  async run(call, client) {
    const { flags, io } = call
    const AuthMethod = flags.text('method')
    if (!AuthMethod) return fail(io, "Missing required '-method' flag")
    if (!flags.text('bind-name')) return fail(io, "Missing required '-bind-name' flag")
    const body = { AuthMethod, BindType: 'service', ...ruleFields(flags) }
    return show(call, await put<BindingRule>(client, ruleKind.path, body), ruleText)
  },
})

export const aclRuleRead = asking('Error reading binding rule', {
  usage: '[options] -id=ID',
  flags: [ruleIdFlag, ...showFlags, ...queryFlags],
  examples: ['-id=b6b85'],
  async run(call, client) {
    const id = call.flags.text('id')
    if (!id) return fail(call.io, 'Must specify the -id parameter')
    const path = pathOf(ruleKind, await wholeId(client, ruleKind, id))
    return show(call, await client.read<BindingRule>(path), ruleText)
  },
})

export const aclRuleUpdate = asking('Error updating binding rule', {
  usage: '[options] -id=ID',
  flags: [
    ruleIdFlag,
    ...ruleFlags,
    { name: 'no-merge', kind: 'switch', doc: 'what is not given becomes empty' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-id=b6b85 -bind-name=web'],
  async run(call, client) {
    const { flags, io } = call
    const id = flags.text('id')
    if (!id) return fail(io, 'Cannot update a binding rule without specifying the -id parameter')
    const path = pathOf(ruleKind, await wholeId(client, ruleKind, id))
    const before = await client.read<BindingRule>(path)
    const { ID, AuthMethod } = before
    const kept = flags.isOn('no-merge') ? { ID, AuthMethod, BindType: 'service' } : before
    const body = { ...kept, ...ruleFields(flags) }
    return show(call, await put<BindingRule>(client, path, body), ruleText)
  },
})

export const aclRuleDelete = deleteVerb(ruleKind, 'Binding rule', false)

export const aclRuleList = asking('Failed to retrieve the binding rule list', {
  usage: '[options]',
  flags: [
    { name: 'method', kind: 'text', doc: 'those of this auth method alone' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['', '-method=ci'],
  async run(call, client) {
    const query = { authmethod: call.flags.text('method') || undefined }
    const list = await client.read<BindingRule[] | null>(ruleKind.listPath, query)
    return showList(call, list ?? [], ruleEntry)
  },
})
