/**
 * The verbs `join-token create`, `list`, `read`, `rotate`, `revoke`, and `operator ca …`. They are
 * ours.
 *
 * Owns their flags and texts. A join token is printed when it is made and never again; it is given
 * to whoever joins by a file or the environment, never by an argument.
 */
import { asking, type Client, clientFlags, formatFlag, wantsJson } from './client.ts'
import { type Call, countMistake, type Flag, fail } from './command.ts'
import { exactJson } from './json.ts'
import { columns } from './table.ts'

interface Token {
  readonly ID: string
  readonly Description: string
  readonly Kind: string
  readonly Uses: number
  readonly MaxUses: number
  readonly CreateTime: string
  readonly ExpirationTime?: string
  readonly Revoked: boolean
  /** What whoever joins is given; only when it was made. */
  readonly Token?: string
}

const path = (id: string, what = ''): string =>
  `/v1/operator/join-token/${encodeURIComponent(id)}${what}`

const idFlag: Flag = { name: 'id', kind: 'text', doc: 'id of the join token' }

async function put<T>(client: Client, to: string, body?: object): Promise<T> {
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
  return JSON.parse(await client.send('PUT', to, {}, bytes)) as T
}

function show(call: Call, token: Token): number {
  call.io.print(wantsJson(call) ? exactJson(token) : tokenText(token))
  return 0
}

function tokenText(token: Token): string {
  const rows = [
    ['ID:', token.ID],
    ['Kind:', token.Kind],
    ['Description:', token.Description],
    ['Uses:', usesText(token)],
    ['Created:', token.CreateTime],
    ['Expires:', token.ExpirationTime ?? 'never'],
    ['State:', stateText(token)],
    ...(token.Token === undefined ? [] : [['Token:', token.Token]]),
  ]
  const hint = token.Token === undefined ? [] : ['', 'The token is shown this once.']
  return [columns(rows), ...hint].join('\n')
}

const usesText = ({ Uses, MaxUses }: Token): string =>
  MaxUses === 0 ? `${Uses}` : `${Uses} of ${MaxUses}`

const stateText = ({ Revoked }: Token): string => (Revoked ? 'revoked' : 'honoured')

export const joinTokenCreate = asking('Error creating join token', {
  usage: '[options]',
  flags: [
    { name: 'kind', kind: 'text', values: ['server', 'client'], doc: 'what it lets in (client)' },
    { name: 'description', kind: 'text', doc: 'what it is for' },
    { name: 'max-uses', kind: 'number', doc: 'how many agents it lets in; no bound unless given' },
    {
      name: 'ttl',
      kind: 'text',
      doc: 'how long it is honoured, such as 24h; for ever unless given',
    },
    formatFlag,
    ...clientFlags,
  ],
  examples: ['-kind=client -ttl=24h', '-kind=server -max-uses=1 -description="server 4"'],
  async run(call, client) {
    const { flags, args, io } = call
    const mistake = countMistake(args, 0)
    if (mistake !== undefined) return fail(io, mistake)
    const [Kind, Description, TTL] = ['kind', 'description', 'ttl'].map(name => flags.text(name))
    const MaxUses = flags.number('max-uses')
    const wish = { Kind: Kind ?? 'client', Description, TTL, MaxUses }
    return show(call, await put<Token>(client, '/v1/operator/join-token', wish))
  },
})

export const joinTokenList = asking('Error listing join tokens', {
  usage: '[options]',
  flags: [formatFlag, ...clientFlags],
  examples: ['', '-format=json'],
  async run(call, client) {
    const tokens = await client.read<Token[]>('/v1/operator/join-tokens')
    const rows = tokens.map(token => [
      ...[token.ID, token.Kind, usesText(token), token.ExpirationTime ?? 'never'],
      ...[stateText(token), token.Description],
    ])
    const head = ['ID', 'Kind', 'Uses', 'Expires', 'State', 'Description']
    call.io.print(wantsJson(call) ? exactJson(tokens) : columns([head, ...rows]))
    return 0
  },
})

export const joinTokenRead = asking('Error reading join token', {
  usage: '[options] -id=ID',
  flags: [idFlag, formatFlag, ...clientFlags],
  examples: ['-id=0d6c3c1e-7c5e-4f4e-8c58-0c2a2f1d9b11'],
  async run(call, client) {
    const id = call.flags.text('id')
    if (!id) return fail(call.io, 'Must specify the -id parameter')
    return show(call, await client.read<Token>(path(id)))
  },
})

export const joinTokenRotate = asking('Error rotating join token', {
  usage: '[options] -id=ID   (the old secret lets nobody in any more)',
  flags: [idFlag, formatFlag, ...clientFlags],
  examples: ['-id=0d6c3c1e-7c5e-4f4e-8c58-0c2a2f1d9b11'],
  async run(call, client) {
    const id = call.flags.text('id')
    if (!id) return fail(call.io, 'Must specify the -id parameter')
    return show(call, await put<Token>(client, path(id, '/rotate')))
  },
})

export const joinTokenRevoke = asking('Error revoking join token', {
  usage: '[options] -id=ID   (whom it let in stays)',
  flags: [idFlag, ...clientFlags],
  examples: ['-id=0d6c3c1e-7c5e-4f4e-8c58-0c2a2f1d9b11'],
  async run({ flags, io }, client) {
    const id = flags.text('id')
    if (!id) return fail(io, 'Must specify the -id parameter')
    await client.send('DELETE', path(id), {})
    io.print(`Join token ${id} revoked`)
    return 0
  },
})

interface Root {
  readonly Use: string
  readonly Generation: number
  readonly Signs: boolean
  readonly Trusted: boolean
  readonly Fingerprint: string
  readonly ExpirationTime: string
}

export const caRoots = asking("Error reading the agents' CA", {
  usage: '[options]',
  flags: [formatFlag, ...clientFlags],
  examples: ['', '-format=json'],
  async run(call, client) {
    const roots = await client.read<Root[]>('/v1/operator/ca/roots')
    const stateOf = ({ Signs, Trusted }: Root): string =>
      Signs ? 'signs' : Trusted ? 'trusted' : 'retired'
    const rows = roots.map(root => [
      ...[root.Use, String(root.Generation), stateOf(root), root.ExpirationTime, root.Fingerprint],
    ])
    const head = ['Use', 'Generation', 'State', 'Expires', 'SHA-256']
    call.io.print(wantsJson(call) ? exactJson(roots) : columns([head, ...rows]))
    return 0
  },
})

export const caRotate = asking("Error rotating the roots of the agents' CA", {
  usage: '[options]',
  flags: clientFlags,
  examples: [''],
  async run({ io }, client) {
    await put(client, '/v1/operator/ca/rotate')
    io.print('New roots sign from now on; the old ones are trusted until no leaf of theirs is left')
    return 0
  },
})

interface Agent {
  readonly NodeID: string
  readonly Node: string
  readonly Kind: string
  readonly Root: number
  readonly ExpirationTime: string
  readonly Revoked: boolean
}

export const caAgents = asking('Error listing agents', {
  usage: '[options]',
  flags: [formatFlag, ...clientFlags],
  examples: ['', '-format=json'],
  async run(call, client) {
    const agents = await client.read<Agent[]>('/v1/operator/ca/agents')
    const rows = agents.map(agent => [
      ...[agent.Node, agent.NodeID, agent.Kind, String(agent.Root), agent.ExpirationTime],
      agent.Revoked ? 'revoked' : 'let in',
    ])
    const head = ['Node', 'ID', 'Kind', 'Root', 'Certificate until', 'State']
    call.io.print(wantsJson(call) ? exactJson(agents) : columns([head, ...rows]))
    return 0
  },
})

export const caRevoke = asking('Error revoking agent', {
  usage: '[options] -node-id=ID',
  flags: [{ name: 'node-id', kind: 'text', doc: 'id of its node' }, ...clientFlags],
  examples: ['-node-id=f2f5a8e0-5f1c-4d4c-9b3d-2b8d2d3c5d11'],
  async run({ flags, io }, client) {
    const id = flags.text('node-id')
    if (!id) return fail(io, 'Must specify the -node-id parameter')
    await put(client, `/v1/operator/ca/revoke/${encodeURIComponent(id)}`)
    io.print(`Agent ${id} revoked`)
    return 0
  },
})
