/**
 * The verbs `acl token create`, `read`, `update`, `delete`, `clone` and `list`.
 *
 * Owns their flags and texts, which are those of Consul's command line. A secret is printed only as
 * part of the token that was asked for.
 */
import { asking, type Client, ClientError, queryFlags } from '../client.ts'
import { type Call, type Flag, type Flags, fail } from '../command.ts'
import { expandedText } from './expanded.ts'
import {
  type Grants,
  givenGrants,
  grantFlags,
  pathOf,
  put,
  secretOf,
  showFlags,
  tokenKind,
  wholeId,
  withoutEmpty,
} from './given.ts'
import { joinGrants } from './join.ts'
import { type Token, tokenText } from './show.ts'
import { listVerb, show } from './verbs.ts'

const accessorFlags: readonly Flag[] = [
  {
    name: 'accessor-id',
    kind: 'text',
    doc: 'accessor of the token, or the unique beginning of one',
  },
  { name: 'id', kind: 'text', doc: 'as -accessor-id; its older name' },
]
const descriptionFlag: Flag = { name: 'description', kind: 'text', doc: 'what it is for' }

/** The accessor that the flags name; undefined when none does. */
async function accessorOf({ flags }: Call, client: Client): Promise<string | undefined> {
  const given = flags.text('accessor-id') || flags.text('id')
  return given ? wholeId(client, tokenKind, given) : undefined
}

export const aclTokenCreate = asking('Failed to create new token', {
  usage: '[options]',
  flags: [
    { name: 'accessor', kind: 'text', doc: 'its accessor, a UUID; made up unless given' },
    {
      name: 'secret',
      kind: 'text',
      doc: 'its secret, a UUID; made up unless given. @FILE or - (stdin) hides it from others',
    },
    descriptionFlag,
    ...grantFlags({ hasRoles: true, append: false }),
    { name: 'local', kind: 'switch', doc: 'a token of this datacenter alone' },
    { name: 'expires-ttl', kind: 'duration', doc: 'how long it is good, at least 1m' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: [
    '-policy-name=web -description="the web servers"',
    '-service-identity=web:dc1,dc2 -expires-ttl=1h',
    '-templated-policy=builtin/service -var=name:api -format=json',
    '-policy-name=web -secret=@secret',
  ],
  async run(call, client) {
    const { flags, io } = call
    const grants = await givenGrants(call, client)
    if (Object.keys(grants).length === 0) return fail(io, NOTHING)
    const secret = flags.text('secret')
    const made = await put<Token>(client, tokenKind.path, {
      Description: flags.text('description') ?? '',
      Local: flags.isOn('local'),
      AccessorID: flags.text('accessor') ?? '',
      SecretID: secret === undefined ? '' : await secretOf(secret, io),
      ...grants,
      ...(flags.text('expires-ttl') ? { ExpirationTTL: flags.text('expires-ttl') } : {}),
    })
    return show(call, made, tokenText)
  },
})

const NOTHING =
  'Cannot create a token without specifying -policy-name, -policy-id, -role-name, -role-id, ' +
  '-service-identity, -node-identity, -templated-policy or -templated-policy-file at least once'

export const aclTokenRead = asking('Error reading token', {
  usage: '[options] -accessor-id=ID   (or -self)',
  flags: [
    ...accessorFlags,
    { name: 'self', kind: 'switch', doc: 'the token that is asked with' },
    { name: 'expanded', kind: 'switch', doc: 'with all policies that it comes to' },
    ...showFlags,
    ...queryFlags,
  ],
  examples: ['-self', '-accessor-id=986193 -expanded'],
  async run(call, client) {
    const { flags, io } = call
    const isExpanded = flags.isOn('expanded')
    const accessor = flags.isOn('self') ? 'self' : await accessorOf(call, client)
    if (accessor === undefined) return fail(io, 'Must specify the -accessor-id parameter')
    const query = { expanded: isExpanded ? 'true' : undefined }
    const found = await client.read<Token>(pathOf(tokenKind, accessor), query)
    return show(call, found, isExpanded ? expandedText : tokenText)
  },
})

export const aclTokenUpdate = asking('Failed to update token', {
  usage: '[options] -accessor-id=ID',
  flags: [
    ...accessorFlags,
    descriptionFlag,
    ...grantFlags({ hasRoles: true, append: true }),
    ...['policies', 'roles', 'service-identities', 'node-identities'].map((name): Flag => {
      return { name: `merge-${name}`, kind: 'switch', doc: 'older form of the append flags' }
    }),
    ...showFlags,
    ...queryFlags,
  ],
  examples: [
    '-accessor-id=986193 -description="the web servers"',
    '-accessor-id=986193 -append-policy-name=more',
  ],
  async run(call, client) {
    const { flags, io } = call
    const accessor = await accessorOf(call, client)
    if (accessor === undefined) {
      return fail(io, 'Cannot update a token without specifying the -accessor-id parameter')
    }
    const before = await client.read<Token>(pathOf(tokenKind, accessor))
    const given = await givenGrants(call, client)
    const more = await givenGrants(call, client, 'append-')
    const made = await put<Token>(client, pathOf(tokenKind, accessor), {
      ...withoutGrants(before),
      ...grantsAfter(flags, before, given, more),
      Description: flags.text('description') || before.Description,
    })
    return show(call, made, tokenText)
  },
})

const mergeFlags = {
  Policies: 'merge-policies',
  Roles: 'merge-roles',
  ServiceIdentities: 'merge-service-identities',
  NodeIdentities: 'merge-node-identities',
  TemplatedPolicies: '',
} as const
type GrantName = keyof typeof mergeFlags
const grantNames = Object.keys(mergeFlags) as GrantName[]

function withoutGrants(token: Token): object {
  const names: readonly string[] = grantNames
  return Object.fromEntries(Object.entries(token).filter(([name]) => !names.includes(name)))
}

/** What is given replaces what is there, what is appended or merged stands beside it. */
function grantsAfter(flags: Flags, before: Grants, given: Grants, more: Grants): Grants {
  const after = grantNames.map((name): [GrantName, unknown] => {
    if (given[name] !== undefined && more[name] !== undefined) {
      const word = mergeFlags[name].slice('merge-'.length) || 'templated policies'
      const text = `${word} are either replaced or added to: the flags that append go alone`
      throw new ClientError(text)
    }
    const isMerged = mergeFlags[name] !== '' && flags.isOn(mergeFlags[name])
    const added = isMerged ? given[name] : more[name]
    if (added !== undefined) return [name, joinGrants(before, { [name]: added })[name]]
    return [name, given[name] ?? before[name]]
  })
  return withoutEmpty(Object.fromEntries(after))
}

export const aclTokenClone = asking('Error cloning token', {
  usage: '[options] -accessor-id=ID',
  flags: [...accessorFlags, descriptionFlag, ...showFlags, ...queryFlags],
  examples: ['-accessor-id=986193 -description="for the second rack"'],
  async run(call, client) {
    const accessor = await accessorOf(call, client)
    if (accessor === undefined) {
      return fail(call.io, 'Cannot clone a token without specifying the -accessor-id parameter')
    }
    const Description = call.flags.text('description') ?? ''
    const path = `${pathOf(tokenKind, accessor)}/clone`
    return show(call, await put<Token>(client, path, { Description }), tokenText)
  },
})

export const aclTokenDelete = asking('Error deleting token', {
  usage: '[options] -accessor-id=ID',
  flags: [...accessorFlags, ...queryFlags],
  examples: ['-accessor-id=986193'],
  async run(call, client) {
    const accessor = await accessorOf(call, client)
    if (accessor === undefined) {
      return fail(call.io, 'Must specify the -accessor-id parameter')
    }
    await client.send('DELETE', pathOf(tokenKind, accessor))
    call.io.print(`Token "${accessor}" deleted successfully`)
    return 0
  },
})

export const aclTokenList = listVerb<Token>(tokenKind, tokenText, '\n\n')
