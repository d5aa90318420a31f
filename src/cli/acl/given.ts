/**
 * What the verbs below `acl` take: texts and secrets by flag, file or stdin, links and identities
 * in Consul's short forms, ids by their beginnings.
 *
 * Owns those forms. A secret that need not stand among the process's arguments is taken from a file
 * (`@file`) or stdin (`-`) everywhere.
 */
import { readFile } from 'node:fs/promises'
import { messageOf } from '../../base/errors.ts'
import { type HclObject, type HclValue, isObject, parse } from '../../hcl/hcl.ts'
import { type Client, ClientError, formatFlag } from '../client.ts'
import type { Call, Flag, Flags, Io } from '../command.ts'

/** One kind of objects of the ACL system. */
export interface AclKind {
  /** In Consul's texts: `policy`. */
  readonly noun: string
  readonly path: string
  readonly listPath: string
  readonly idField: 'ID' | 'AccessorID'
}

export const tokenKind: AclKind = {
  noun: 'token',
  path: '/v1/acl/token',
  listPath: '/v1/acl/tokens',
  idField: 'AccessorID',
}
export const policyKind: AclKind = {
  noun: 'policy',
  path: '/v1/acl/policy',
  listPath: '/v1/acl/policies',
  idField: 'ID',
}
export const roleKind: AclKind = {
  noun: 'role',
  path: '/v1/acl/role',
  listPath: '/v1/acl/roles',
  idField: 'ID',
}
export const ruleKind: AclKind = {
  noun: 'binding rule',
  path: '/v1/acl/binding-rule',
  listPath: '/v1/acl/binding-rules',
  idField: 'ID',
}

/** How it is shown: by every verb that prints an object. */
export const showFlags: readonly Flag[] = [
  { name: 'meta', kind: 'switch', doc: 'print its hash and its indexes too' },
  formatFlag,
]

/** A text as it is given, `@file`, or `-` for stdin. */
export async function textOf(given: string, io: Io): Promise<string> {
  if (given === '-') return (await io.readStdin()).toString('utf8')
  if (!given.startsWith('@')) return given
  try {
    return await readFile(given.slice(1), 'utf8')
  } catch (error) {
    throw new ClientError(`Failed to read file: ${messageOf(error)}`)
  }
}

/** As textOf, for a secret: white space around it does not count. */
export const secretOf = async (given: string, io: Io): Promise<string> =>
  (await textOf(given, io)).trim()

/** The whole id of what is named by an id or its unique beginning. */
export async function wholeId(client: Client, kind: AclKind, given: string): Promise<string> {
  const WHOLE_CHARS = 36
  if (given.length === WHOLE_CHARS) return given
  if (kind === tokenKind && given === 'anonymous') return ANONYMOUS
  const { noun, listPath, idField } = kind
  const list = await client.read<Readonly<Record<string, string>>[]>(listPath)
  const ids = list.map(each => each[idField] ?? '').filter(id => id.startsWith(given))
  if (ids.length > 1) throw new ClientError(`Partial ${noun} ID is not unique`)
  const [id] = ids
  if (id === undefined) throw new ClientError(`No such ${noun} ID with prefix: ${given}`)
  return id
}

const ANONYMOUS = '00000000-0000-0000-0000-000000000002'

/** The path of an object. */
export const pathOf = ({ path }: Pick<AclKind, 'path'>, id: string): string =>
  `${path}/${encodeURIComponent(id)}`

/** Writes an object, and gives what the agent made of it. */
export async function put<T>(client: Client, path: string, body: object): Promise<T> {
  return JSON.parse(await client.send('PUT', path, {}, Buffer.from(JSON.stringify(body)))) as T
}

// --- what gives rights

export interface Link {
  readonly ID?: string
  readonly Name?: string
}

export interface ServiceIdentity {
  readonly ServiceName: string
  readonly Datacenters?: readonly string[]
}

export interface NodeIdentity {
  readonly NodeName: string
  readonly Datacenter: string
}

export interface TemplatedPolicy {
  readonly TemplateName: string
  readonly TemplateVariables?: { readonly Name?: string }
  readonly Datacenters?: readonly string[]
}

/** What gives rights to a token or a role; lists that are empty are left out. */
export interface Grants {
  readonly Policies?: readonly Link[]
  readonly Roles?: readonly Link[]
  readonly ServiceIdentities?: readonly ServiceIdentity[]
  readonly NodeIdentities?: readonly NodeIdentity[]
  readonly TemplatedPolicies?: readonly TemplatedPolicy[]
}

/** The flags of grants; those of `append` add to what is there. */
export function grantFlags({ hasRoles, append }: GrantsOf): Flag[] {
  const kinds: readonly (readonly [string, string])[] = [
    ['policy-id', 'a policy by its id, or the unique beginning of one'],
    ['policy-name', 'a policy by its name'],
    ...(hasRoles
      ? ([
          ['role-id', 'a role by its id, or the unique beginning of one'],
          ['role-name', 'a role by its name'],
        ] as const)
      : []),
    ['service-identity', 'rights of a service: NAME, or NAME:DC1,DC2'],
    ['node-identity', 'rights of a node: NAME:DC'],
  ]
  const flags = kinds.map(([name, doc]): Flag => {
    return { name, kind: 'list', doc: `${doc}; may be repeated` }
  })
  const more = append
    ? kinds.map(([name]): Flag => {
        return { name: `append-${name}`, kind: 'list', doc: `as -${name}, beside what is there` }
      })
    : []
  return [...flags, ...more, ...templateFlags(append)]
}

const templateFlags = (append: boolean): Flag[] => [
  { name: 'templated-policy', kind: 'text', doc: 'a templated policy by its name, with -var' },
  {
    name: 'templated-policy-file',
    kind: 'text',
    doc: 'a file of templated policies: TemplatedPolicy "builtin/service" { Name = "web" }',
  },
  { name: 'var', kind: 'list', doc: 'its variable: name:VALUE' },
  ...(append
    ? [
        {
          name: 'append-templated-policy',
          kind: 'text' as const,
          doc: 'as -templated-policy, beside what is there',
        },
      ]
    : []),
]

interface GrantsOf {
  readonly hasRoles: boolean
  readonly append: boolean
}

/** What the flags give; `prefix` is `append-` for those that add. */
export async function givenGrants(call: Call, client: Client, prefix = ''): Promise<Grants> {
  const { flags } = call
  const list = (name: string): string[] => flags.list(`${prefix}${name}`)
  const links = async (kind: AclKind): Promise<Link[]> => {
    const ids: Link[] = []
    for (const id of list(`${kind.noun}-id`)) ids.push({ ID: await wholeId(client, kind, id) })
    return [...list(`${kind.noun}-name`).map(Name => ({ Name })), ...ids]
  }
  return withoutEmpty({
    Policies: await links(policyKind),
    Roles: await links(roleKind),
    ServiceIdentities: list('service-identity').map(serviceOf),
    NodeIdentities: list('node-identity').map(nodeOf),
    TemplatedPolicies: await givenTemplates(flags, prefix),
  })
}

/** The grants with those lists alone that hold something. */
export function withoutEmpty(grants: Grants): Grants {
  const entries = Object.entries(grants).filter(([, list]) => (list?.length ?? 0) > 0)
  return Object.fromEntries(entries)
}

function serviceOf(given: string): ServiceIdentity {
  const [ServiceName = '', datacenters, ...rest] = given.split(':')
  if (ServiceName === '' || rest.length > 0) {
    throw new ClientError(`Malformed -service-identity argument: ${JSON.stringify(given)}`)
  }
  return { ServiceName, ...(datacenters ? { Datacenters: datacenters.split(',') } : {}) }
}

function nodeOf(given: string): NodeIdentity {
  const [NodeName = '', Datacenter = '', ...rest] = given.split(':')
  if (NodeName === '' || Datacenter === '' || rest.length > 0) {
    throw new ClientError(`Malformed -node-identity argument: ${JSON.stringify(given)}`)
  }
  return { NodeName, Datacenter }
}

/** The templated policies that the flags name, by name and variables or by a file. */
export async function givenTemplates(
  flags: Flags,
  prefix = '',
  names: { readonly name: string; readonly file: string } = {
    name: 'templated-policy',
    file: 'templated-policy-file',
  },
): Promise<TemplatedPolicy[]> {
  const TemplateName = flags.text(`${prefix}${names.name}`)
  const file = prefix === '' ? flags.text(names.file) : undefined
  const variables = flags.list('var').map(variableOf)
  if (TemplateName && file) {
    throw new ClientError(`Cannot combine the flags ${names.name} and ${names.file}`)
  }
  if (file) return templatesOf(await textOfFile(file))
  if (!TemplateName) return []
  if (variables.length > 1) throw new ClientError('there is one variable: -var name:VALUE')
  const [variable] = variables
  return [{ TemplateName, ...(variable === undefined ? {} : { TemplateVariables: variable }) }]
}

function variableOf(given: string): { Name: string } {
  const at = given.indexOf(':')
  if (at === -1 || given.slice(0, at).toLowerCase() !== 'name') {
    throw new ClientError('-var must be name:VALUE')
  }
  return { Name: given.slice(at + 1) }
}

async function textOfFile(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new ClientError(`Failed to read file: ${messageOf(error)}`)
  }
}

/** `TemplatedPolicy "NAME" { Name = "…" }` blocks in HCL, or the same in JSON. */
function templatesOf(text: string): TemplatedPolicy[] {
  let parsed: HclObject
  try {
    parsed = parse(text, { format: 'auto' })
  } catch (error) {
    throw new ClientError(`Failed to decode templated policies: ${messageOf(error)}`)
  }
  const found: TemplatedPolicy[] = []
  for (const [word, blocks] of Object.entries(parsed)) {
    if (!/^templatedpolic(y|ies)$/i.test(word)) {
      throw new ClientError(
        `Failed to decode templated policies: ${JSON.stringify(word)} is unknown`,
      )
    }
    for (const named of listOf(blocks)) {
      for (const [TemplateName, bodies] of Object.entries(named)) {
        for (const body of listOf(bodies)) found.push({ TemplateName, ...bodyOf(body) })
      }
    }
  }
  return found
}

function listOf(value: HclValue): HclObject[] {
  const list = Array.isArray(value) ? value : [value]
  if (list.every(isObject)) return list
  throw new ClientError('Failed to decode templated policies: a block is expected')
}

function bodyOf(body: HclObject): Omit<TemplatedPolicy, 'TemplateName'> {
  const fields = new Map(Object.entries(body).map(([name, value]) => [name.toLowerCase(), value]))
  const name = fields.get('name')
  const datacenters = fields.get('datacenters')
  return {
    ...(name === undefined ? {} : { TemplateVariables: { Name: textIn(name) } }),
    ...(Array.isArray(datacenters) ? { Datacenters: datacenters.map(textIn) } : {}),
  }
}

function textIn(value: HclValue): string {
  if (typeof value === 'string') return value
  throw new ClientError('Failed to decode templated policies: a text is expected')
}
